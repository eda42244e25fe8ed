#include "base/json.h"
#include "ingot/commands.h"
#include "recipe/recipe.h"

struct options {
    bool markdown;
};

static const struct option_spec options[] = {
    {"markdown", 0, OPTION_FLAG, offsetof(struct options, markdown), NULL,
     "the reference for people instead (the key tables of docs/recipe.md)"},
    {0},
};

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    (void)cli, (void)err;
    const struct options *o = given;
    autojson json_t *schema = o->markdown ? NULL : recipe_schema();
    autofree char *text = o->markdown ? recipe_reference() : json_pretty(schema);
    fputs(text, stdout);
    return true;
}

const struct command command_schema = {
    .name = "schema",
    .summary = "Prints the JSON Schema of the recipe language",
    .details = "Editors with a YAML language server use it for completion and checks; so does\n"
               "`check-jsonschema --schemafile`.",
    .options = options,
    .options_size = sizeof(struct options),
    .run = run,
};
