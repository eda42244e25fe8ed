/* The reference of docs/recipe.md from the key table: a Markdown table for each map. */
#include "base/buffer.h"
#include "recipe/keys.h"

#include <string.h>

#define MAX_SECTIONS 64

/* Maps that have a section already, and its title: each has one. */
struct sections {
    const struct type *types[MAX_SECTIONS];
    char *paths[MAX_SECTIONS];
    size_t count;
};

/* Text in a cell of a table. */
static void cell(struct buffer *b, const char *s)
{
    for (; *s; s++)
        buffer_printf(b, *s == '|' ? "\\%c" : "%c", *s);
}

static void type_cell(struct buffer *b, const struct type *type)
{
    const struct type *one = type->item && type->shapes & SHAPE_LIST ? type->item : type;
    cell(b, type->label);
    if (one->choices) {
        buffer_puts(b, ": ");
        for (size_t i = 0; one->choices[i]; i++)
            buffer_printf(b, "%s`%s`", i ? ", " : "", one->choices[i]);
    }
    for (size_t i = 0; one->choices_not_yet && one->choices_not_yet[i]; i++)
        buffer_printf(b, "%s`%s`", i ? ", " : "; not yet ", one->choices_not_yet[i]);
    if (type->example)
        buffer_printf(b, ", such as `%s`", type->example);
}

static void row(struct buffer *b, const struct key *k)
{
    buffer_printf(b, "| `%s` | ", k->name);
    if (k->not_yet) {
        buffer_puts(b, "not yet | | ");
    } else {
        type_cell(b, k->type);
        buffer_puts(b, " | ");
        if (k->required)
            buffer_puts(b, "required");
        else if (k->fallback)
            buffer_printf(b, "`%s`", k->fallback);
        else if (k->otherwise)
            cell(b, k->otherwise);
        buffer_puts(b, " | ");
    }
    cell(b, k->help);
    buffer_puts(b, " |\n");
}

static void section(struct buffer *b, const struct type *type, const char *path,
                    struct sections *done);

/* The maps below a key, each as a section of its own. */
static void below(struct buffer *b, const struct key *k, const char *path, struct sections *done)
{
    const struct type *type = k->type;
    const char *suffix = "";
    if (k->not_yet || type->any)
        return;
    if (!type->keys && type->item && type->item->keys) {
        suffix = type->shapes & SHAPE_LIST ? "[]" : ".NAME";
        type = type->item;
    }
    if (!type->keys)
        return;
    autofree char *inner = NULL;
    if (asprintf(&inner, "%s%s%s%s", path, *path ? "." : "", k->name, suffix) < 0)
        abort();
    for (size_t i = 0; i < done->count; i++) {
        if (done->types[i]->keys != type->keys)
            continue;
        buffer_printf(b, "\n#### `%s`\n\nAs `%s`.\n", inner, done->paths[i]);
        return;
    }
    if (done->count < MAX_SECTIONS) {
        done->types[done->count] = type;
        done->paths[done->count++] = strdup(inner);
    }
    section(b, type, inner, done);
}

static void section(struct buffer *b, const struct type *type, const char *path,
                    struct sections *done)
{
    if (*path)
        buffer_printf(b, "\n#### `%s`\n\n", path);
    if (type->scalar_key)
        buffer_printf(b, "A single value is short for `{%s: VALUE}`.\n\n", type->scalar_key);
    buffer_puts(b, "| Key | Value | Default | What it says |\n| --- | --- | --- | --- |\n");
    for (const struct key *k = type->keys; k->name; k++)
        row(b, k);
    for (const struct key *k = type->keys; k->name; k++)
        below(b, k, path, done);
}

char *recipe_reference(void)
{
    struct buffer b = {0};
    struct sections done = {.count = 0};
    buffer_puts(&b, "### Recipes\n\n");
    section(&b, &recipe_type, "", &done);
    buffer_puts(&b, "\n### Base profiles\n\nFiles `bases/NAME.yaml`.\n\n");
    section(&b, &base_profile_type, "", &done);
    buffer_puts(&b,
                "\n### Distribution profiles\n\nFiles `distributions/NAME.yaml`. Lists and maps of "
                "a profile come before the recipe's own and are added to them; where both say the "
                "same thing, the recipe wins.\n\n");
    section(&b, &distribution_profile_type, "", &done);
    for (size_t i = 0; i < done.count; i++)
        free(done.paths[i]);
    return buffer_take(&b);
}
