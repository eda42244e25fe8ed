#include "base/log.h"
#include "base/progress.h"
#include "ingot/commands.h"
#include "ingot/pipeline.h"

#include <limits.h>

struct options {
    struct cli_list update, mirror;
    bool offline;
    unsigned jobs;
};

static const struct option_spec options[] = {
    {"update", 0, OPTION_WORDS, offsetof(struct options, update), "NAME",
     "ask anew for all, or for: base, packages, sources, a package, a URL or its last part"},
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL,
     "reach no network: everything must be in the cache"},
    {"jobs", 0, OPTION_NUMBER, offsetof(struct options, jobs), "N", "fetch N files at once (8)"},
    {"mirror", 0, OPTION_LIST, offsetof(struct options, mirror), "PREFIX=REPLACEMENT",
     "ask for URLs that begin with PREFIX elsewhere; can be given several times"},
    {0},
};

static json_t *change_to_json(const struct pin_change *c)
{
    json_t *j = json_object();
    json_set_string(j, "what", c->what);
    json_set_string(j, "name", c->name);
    json_set_string(j, "from", c->from);
    json_set_string(j, "to", c->to);
    return j;
}

static json_t *report(const struct pipeline *p)
{
    const struct pins *k = &p->pins;
    json_t *j = json_object(), *changes = json_array(), *first = json_array();
    for (size_t i = 0; i < k->change_count; i++)
        json_array_append_new(changes, change_to_json(&k->changes[i]));
    for (size_t i = 0; i < k->first_use_count; i++)
        json_array_append_new(first, json_string(k->first_use[i]));
    json_set_string(j, "name", p->recipe->name.text);
    json_set_string(j, "lock", k->path);
    json_set_string(j, "arch", architecture_name(p->recipe->arch));
    json_set_bool(j, "changed", k->written);
    json_set_bool(j, "complete", !p->packages_open);
    json_set(j, "changes", changes);
    json_set(j, "first_use", first);
    return j;
}

static bool lock_one(const struct cli *cli, const void *options_given, struct session *s,
                     const char *given, json_t *list, struct error **err)
{
    const struct options *o = options_given;
    const struct pipeline_options how = {
        .offline = o->offline, .update = &o->update, .anywhere = true, .until = LAYER_SEAL};
    autorecipe struct recipe *r = NULL;
    if (!session_recipe(s, given, NULL, false, &r, err))
        return false;
    if (s->overridden)
        return error_set(err, ERROR_TRUST,
                         "a lock is made of the recipe as it stands, and INGOT_SET_… overrides it");
    autopipeline struct pipeline *p = pipeline_new(s, r, &how, err);
    if (!p || !pipeline_look(p, err) || !pipeline_resolve(p, err))
        return error_wrap(err, "cannot lock '%s'", r->title);
    progress_done();
    if (!p->pins.written)
        log_info("%s is as it was", p->pins.path);
    if (cli->json)
        json_array_append_new(list, report(p));
    else
        printf("%s\n", p->pins.path);
    return true;
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    const struct session_network network = {
        .offline = o->offline, .jobs = o->jobs, .mirrors = &o->mirror};
    return session_each(cli, &network, "locks", lock_one, o, err);
}

const struct command command_lock = {
    .name = "lock",
    .arguments = "RECIPE…",
    .summary = "Resolves and records every source, package and index in NAME.lock",
    .details =
        "The lock stands beside the recipe and is made to be kept with it: every build takes from\n"
        "then on what it says, by digest, and asks nobody. What is there stays; what the recipe\n"
        "newly asks for is added. --update asks anew. Prints the lock's path on stdout, and the\n"
        "difference on stderr.",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
