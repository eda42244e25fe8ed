#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "emit/emit.h"
#include "emit/seed.h"
#include "ingot/commands.h"
#include "ingot/outputs.h"
#include "ingot/pipeline.h"
#include "ingot/room.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

struct options {
    const char *output, *until, *writer;
    struct cli_list set, mirror;
    bool offline, force, locked;
    unsigned jobs;
};

static const struct option_spec options[] = {
    {"output", 'o', OPTION_STRING, offsetof(struct options, output), "DIR",
     "write below DIR instead of out (DIR/NAME/)"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe, as disk=8GiB or boot.memory=2GiB"},
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL,
     "reach no network: everything must be in the cache"},
    {"locked", 0, OPTION_FLAG, offsetof(struct options, locked), NULL,
     "refuse a recipe that differs from its lock (exit code 4)"},
    {"jobs", 0, OPTION_NUMBER, offsetof(struct options, jobs), "N", "fetch N files at once (8)"},
    {"mirror", 0, OPTION_LIST, offsetof(struct options, mirror), "PREFIX=REPLACEMENT",
     "ask for URLs that begin with PREFIX elsewhere; can be given several times"},
    {"force", 0, OPTION_FLAG, offsetof(struct options, force), NULL,
     "make the image again although nothing has changed"},
    {"until", 0, OPTION_STRING, offsetof(struct options, until), "LAYER",
     "stop at base, system, payload, run or seal and print the raw disk's path"},
    {"writer", 0, OPTION_STRING, offsetof(struct options, writer), "auto|appliance",
     "who writes the payload: auto takes libext2fs on the host where it can"},
    {0},
};

static bool parse_how(const struct options *o, struct pipeline_options *how, struct error **err)
{
    *how = (struct pipeline_options){
        .offline = o->offline, .force = o->force, .locked = o->locked, .until = LAYER_SEAL};
    if (o->writer && strcmp(o->writer, "appliance") == 0)
        how->appliance = true;
    else if (o->writer && strcmp(o->writer, "auto") != 0)
        return error_set(err, ERROR_USAGE, "--writer is auto or appliance, not '%s'", o->writer);
    if (!o->until)
        return true;
    for (enum layer_kind k = 0; k < LAYER_KINDS; k++)
        if (strcmp(o->until, layer_names[k]) == 0) {
            how->until = k;
            return true;
        }
    return error_set(err, ERROR_USAGE, "--until is base, system, payload, run or seal, not '%s'",
                     o->until);
}

/* The build log: cache/log/NAME-TIME.log. */
struct build_log {
    char *path;
    FILE *file;
};

static bool open_log(struct session *s, const char *name, struct build_log *log, struct error **err)
{
    autofree char *folder = NULL;
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", localtime_r(&now, &tm));
    if (!store_folder(s->store, "log", &folder, err))
        return false;
    if (asprintf(&log->path, "%s/%s-%s-%d.log", folder, name, stamp, (int)getpid()) < 0)
        abort();
    log->file = fopen(log->path, "we");
    if (!log->file)
        return error_errno(err, ERROR_HOST, errno, "cannot write %s", log->path);
    log_tee(log->file);
    return true;
}

static void close_log(struct build_log *log)
{
    log_tee(NULL);
    if (log->file)
        fclose(log->file);
    free(log->path);
}

static bool report(const struct cli *cli, const struct pipeline *p, const char *out, bool changed,
                   const char *raw)
{
    if (!cli->json) {
        printf("%s\n", raw ? raw : out);
        return true;
    }
    autojson json_t *j = json_object();
    json_set_string(j, "name", p->recipe->name.text);
    json_set_bool(j, "changed", changed);
    if (raw)
        json_set_string(j, "disk", raw);
    else
        json_set_string(j, "folder", out);
    json_t *layers = json_object();
    for (size_t i = 0; i < p->plan->layer_count; i++)
        json_set_string(layers, layer_names[p->plan->layers[i].kind], p->plan->layers[i].key);
    json_set(j, "layers", layers);
    autofree char *text = json_pretty(j);
    fputs(text, stdout);
    return true;
}

static bool make(struct pipeline *p, const struct cidata *seed, struct outputs *have,
                 const char *out, struct error **err)
{
    const struct contract_file *files;
    size_t count;
    struct emit_request r = {.plan = p->plan, .seed = seed, .out = out};
    if (have->disk_current && !p->options->force) {
        r.reuse = have->files;
        r.reuse_count = have->count;
        r.reuse_folder = out;
    } else {
        autofree char *folder = NULL;
        if (!room_check(p, out, err) || !pipeline_bake(p, &r.raw, &r.below_raw, err))
            return false;
        folder = path_dirname(r.below_raw);
        r.companion = arena_printf(p->arena, "%s/disk.%s.qcow2", folder, p->recipe->compression);
    }
    return emit(&r, p->arena, &files, &count, err) &&
           outputs_record(p, out, have, files, count, err);
}

/* --until: a layer and no artifact. The base alone asks for no packages. */
static bool build_part(const struct cli *cli, struct pipeline *p, const char *out,
                       struct error **err)
{
    const char *raw, *below;
    if (!pipeline_check_host(p, err))
        return false;
    if (p->options->until == LAYER_BASE) {
        if (!pipeline_base(p, err))
            return false;
        raw = p->base_raw;
    } else if (!pipeline_resolve(p, err) || !room_check(p, NULL, err) ||
               !pipeline_bake(p, &raw, &below, err)) {
        return false;
    }
    progress_done();
    return report(cli, p, out, true, raw);
}

static bool build(const struct cli *cli, struct pipeline *p, const char *out, struct error **err)
{
    struct cidata seed;
    struct outputs have;
    autoclose int lock = outputs_lock(p->session, out, err);
    if (lock < 0 || (p->options->until == LAYER_SEAL && !emit_check_folder(out, err)))
        return false;
    if (!pipeline_look(p, err))
        return false;
    if (p->options->until < LAYER_SEAL)
        return build_part(cli, p, out, err);
    if (!pipeline_is_final(p) && (!pipeline_check_host(p, err) || !pipeline_resolve(p, err)))
        return false;
    if (!seed_make(p->arena, p->recipe, p->session->inputs, p->facts, p->epoch, NULL, &seed, err) ||
        !outputs_look(p, &seed, out, &have, err))
        return false;
    bool changed = !have.all_current || p->options->force;
    bool disk = changed && (!have.disk_current || p->options->force);
    if (disk && (!pipeline_check_host(p, err) || !pipeline_resolve(p, err)))
        return false;
    if (changed && !make(p, &seed, &have, out, err))
        return false;
    progress_done();
    if (!changed)
        log_info("%s is up to date", out);
    return report(cli, p, out, changed, NULL);
}

static bool build_one(const struct cli *cli, const struct options *o, struct session *s,
                      const char *given, struct error **err)
{
    struct pipeline_options how;
    autorecipe struct recipe *r = NULL;
    cleanup(close_log) struct build_log log = {0};
    if (!parse_how(o, &how, err) || !session_recipe(s, given, &o->set, o->locked, &r, err) ||
        !open_log(s, r->name.text, &log, err))
        return false;
    autofree char *out = path_join(o->output ? o->output : "out", r->title);
    autopipeline struct pipeline *p = pipeline_new(s, r, &how, err);
    if (p && build(cli, p, out, err))
        return true;
    progress_done();
    log_info("log: %s", log.path);
    return error_wrap(err, "cannot build '%s'", r->title);
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    autosession struct session *s = NULL;
    if (cli->json && cli->argument_count > 1)
        return error_set(err, ERROR_USAGE, "--json is for one recipe at a time");
    const struct session_network network = {
        .offline = o->offline, .jobs = o->jobs, .mirrors = &o->mirror};
    if (!session_start(&s, &network, err))
        return false;
    for (size_t i = 0; i < cli->argument_count; i++)
        if (!build_one(cli, o, s, cli->arguments[i], err))
            return false;
    return true;
}

const struct command command_build = {
    .name = "build",
    .arguments = "RECIPE…",
    .summary = "Bakes images: out/NAME/, whole or not at all",
    .details =
        "Prints the folder of each image on stdout. What is in the cache is not made again; a\n"
        "recipe without changes is done at once. An image that stands in the folder is replaced "
        "with\n"
        "all that is beside it; a folder without an image.json is left alone (exit code 11).",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
