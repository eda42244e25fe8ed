#include "source/fetch.h"

#include "base/progress.h"
#include "ingot/commands.h"
#include "ingot/pipeline.h"

#include <inttypes.h>
#include <limits.h>

struct options {
    struct cli_list set, mirror;
    bool offline, locked;
    unsigned jobs;
};

static const struct option_spec options[] = {
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe"},
    {"locked", 0, OPTION_FLAG, offsetof(struct options, locked), NULL,
     "refuse a recipe that differs from its lock (exit code 4)"},
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL,
     "reach no network: only look that everything is in the cache"},
    {"jobs", 0, OPTION_NUMBER, offsetof(struct options, jobs), "N", "fetch N files at once (8)"},
    {"mirror", 0, OPTION_LIST, offsetof(struct options, mirror), "PREFIX=REPLACEMENT",
     "ask for URLs that begin with PREFIX elsewhere; can be given several times"},
    {0},
};

static void report(const struct cli *cli, struct pipeline *p, json_t *list)
{
    size_t count;
    const struct pin_file *files = pins_files(p->arena, &p->pins.next, &count);
    json_t *j = json_object(), *all = json_array();
    for (size_t i = 0; i < count; i++) {
        autofree char *path = store_blob_path(p->session->store, files[i].sha256);
        json_t *one = json_object();
        json_set_string(one, "what", files[i].what);
        json_set_string(one, "url", files[i].url);
        json_set_string(one, "sha256", files[i].sha256);
        json_set_string(one, "path", path);
        json_array_append_new(all, one);
        if (!cli->json)
            printf("%s  %s\n", files[i].sha256, files[i].url);
    }
    json_set_string(j, "name", p->recipe->name.text);
    json_set_string(j, "lock", p->pins.path);
    json_set_bool(j, "complete", !p->packages_open);
    json_set(j, "files", all);
    json_array_append_new(list, j);
}

static bool fetch_one(const struct cli *cli, const void *options_given, struct session *s,
                      const char *given, json_t *list, struct error **err)
{
    const struct options *o = options_given;
    const struct pipeline_options how = {.offline = o->offline,
                                         .locked = o->locked,
                                         .everything = true,
                                         .anywhere = true,
                                         .until = LAYER_SEAL};
    autorecipe struct recipe *r = NULL;
    if (!session_recipe(s, given, &o->set, o->locked, &r, err))
        return false;
    autopipeline struct pipeline *p = pipeline_new(s, r, &how, err);
    if (!p || !pipeline_look(p, err) || !pipeline_resolve(p, err))
        return error_wrap(err, "cannot fetch what '%s' needs", r->title);
    progress_done();
    report(cli, p, list);
    return true;
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    const struct session_network network = {
        .offline = o->offline, .jobs = o->jobs, .mirrors = &o->mirror};
    return session_each(cli, &network, "recipes", fetch_one, o, err);
}

const struct command command_fetch = {
    .name = "fetch",
    .arguments = "RECIPE…",
    .summary = "Brings all that a build needs into the cache",
    .details =
        "By the lock, which is made or completed where it has to be. Afterwards `ingot build\n"
        "--locked --offline` works. Prints digest and URL of each file on stdout.",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
