#include "ingot/commands.h"
#include "ingot/pipeline.h"

struct options {
    bool explain;
    const char *show;
    struct cli_list set;
};

static const struct option_spec options[] = {
    {"explain", 0, OPTION_FLAG, offsetof(struct options, explain), NULL,
     "also where each value came from"},
    {"show", 0, OPTION_STRING, offsetof(struct options, show), "PATH",
     "the text of one file that the plan writes into the guest"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe"},
    {0},
};

static bool show(const struct cli *cli, const struct plan *p, const char *path, struct error **err)
{
    if (!cli->json)
        return plan_show(p, path, stdout, err);
    autofree char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    bool ok = plan_show(p, path, f, err);
    if (fclose(f) != 0)
        abort();
    if (!ok)
        return false;
    autojson json_t *j = json_object();
    json_set_string(j, "path", path);
    json_set_string(j, "content", text);
    autofree char *document = json_pretty(j);
    fputs(document, stdout);
    return true;
}

static json_t *lock_to_json(struct pipeline *p)
{
    json_t *j = json_object();
    json_set_string(j, "path", p->pins.path);
    json_set_bool(j, "present", p->pins.read != NULL);
    json_set(j, "differs", json_strings(pins_drift(p)));
    return j;
}

static void print_lock(struct pipeline *p)
{
    const char *const *drift = pins_drift(p);
    printf("\nlock\n");
    if (!p->pins.read)
        printf("  there is no %s yet\n", p->pins.path);
    else if (!drift[0])
        printf("  %s has all of it\n", p->pins.path);
    for (size_t i = 0; p->pins.read && drift[i]; i++)
        printf("%s    %s\n", i ? "" : arena_printf(p->arena, "  %s differs\n", p->pins.path),
               drift[i]);
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    const struct pipeline_options how = {.offline = true, .until = LAYER_SEAL};
    autosession struct session *s = NULL;
    autorecipe struct recipe *r = NULL;
    if (!session_open(&s, err) || !session_cache(s, NULL, err) ||
        !session_recipe(s, cli->arguments[0], &o->set, false, &r, err))
        return false;
    autopipeline struct pipeline *p = pipeline_new(s, r, &how, err);
    if (!p || !pipeline_look(p, err))
        return false;
    if (o->show)
        return show(cli, p->plan, o->show, err);
    if (cli->json) {
        autojson json_t *j = plan_to_json(p->plan);
        json_set(j, "lock", lock_to_json(p));
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
    } else {
        plan_print(p->plan, o->explain, stdout);
        print_lock(p);
    }
    return true;
}

const struct command command_plan = {
    .name = "plan",
    .arguments = "RECIPE",
    .summary = "Prints what a build will fetch, install, write, run, remove and emit",
    .details =
        "Uses no network and changes nothing. What the cache does not know yet of the base or of\n"
        "package indexes is printed as open. What the lock says holds.",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
