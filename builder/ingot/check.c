#include "base/log.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <limits.h>

struct options {
    struct cli_list set;
};

static const struct option_spec options[] = {
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe, as disk=8GiB or boot.memory=2GiB"},
    {0},
};

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    int code = 0;
    autosession struct session *s = NULL;
    if (!session_open(&s, err))
        return false;
    autojson json_t *report = json_object();
    json_t *list = json_array();
    json_set(report, "recipes", list);
    for (size_t i = 0; i < cli->argument_count; i++) {
        autorecipe struct recipe *r = NULL;
        autoerror struct error *why = NULL;
        json_t *one = json_object(), *diagnostics = json_array();
        json_array_append_new(list, one);
        bool ok = session_diagnose(s, cli->arguments[i], &o->set, false, &r, diagnostics, &why);
        json_set_string(one, "recipe", cli->arguments[i]);
        json_set_bool(one, "ok", ok);
        json_set(one, "diagnostics", diagnostics);
        json_set_string(one, "error", ok ? NULL : error_text(why));
        if (!ok)
            log_error("%s", error_text(why));
        else if (!cli->json)
            printf("%s: ok\n", r->file);
        if (!ok)
            code = error_exit_code(why);
    }
    if (cli->json) {
        autofree char *text = json_pretty(report);
        fputs(text, stdout);
    }
    *cli->exit_code = code;
    return true;
}

const struct command command_check = {
    .name = "check",
    .arguments = "RECIPE…",
    .summary = "Reports every error and warning of recipes, with its place; uses no network",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
