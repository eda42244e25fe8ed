#include "source/cache.h"

#include "base/log.h"
#include "base/progress.h"
#include "base/units.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <errno.h>
#include <string.h>

struct options {
    const char *days, *max_size;
    struct cli_list keep_lock;
    bool all, dry_run;
};

#define DEFAULT_DAYS 30

static const struct option_spec options[] = {
    {"days", 0, OPTION_STRING, offsetof(struct options, days), "N",
     "gc: what was used within N days stays (30; 0: nothing stays for its age)"},
    {"max-size", 0, OPTION_STRING, offsetof(struct options, max_size), "SIZE",
     "gc: the least recently used go until all takes no more, as 20GiB; without --days, age does "
     "not matter"},
    {"keep-lock", 0, OPTION_LIST, offsetof(struct options, keep_lock), "NAME.lock",
     "gc: what this lock file names stays too"},
    {"all", 0, OPTION_FLAG, offsetof(struct options, all), NULL,
     "gc: nothing stays, not even what lock files name"},
    {"dry-run", 'n', OPTION_FLAG, offsetof(struct options, dry_run), NULL,
     "gc: only say what would go"},
    {0},
};

/* What an action found or did. */
struct outcome {
    struct cache_item *items;
    size_t count;
    struct cache_gc_result gc;
};

/* --- printing -----------------------------------------------------------------------------------
 */

static const char *const kinds[] = {[CACHE_BLOB] = "blob", [CACHE_LAYER] = "layer"};

static uint64_t size_of(const struct cache_item *items, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += items[i].size;
    return total;
}

static const char *counted(struct arena *a, size_t n, uint64_t bytes)
{
    char size[16];
    return arena_printf(a, "%zu item%s, %s", n, n == 1 ? "" : "s", units_format_size(bytes, size));
}

static void print_items(const struct cache_item *items, size_t count)
{
    char size[16], when[32];
    for (size_t i = 0; i < count; i++) {
        const struct cache_item *c = &items[i];
        struct tm tm;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&c->used, &tm));
        printf("%-6s %.12s  %10s  %s  %-6s  %s\n", kinds[c->kind], c->name,
               units_format_size(c->size, size), when, c->locked ? "locked" : "",
               c->url ? c->url : "");
    }
}

static json_t *items_to_json(const struct cache_item *items, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct cache_item *c = &items[i];
        json_t *one = json_object();
        json_set_string(one, "kind", kinds[c->kind]);
        json_set_string(one, "name", c->name);
        json_set_string(one, "path", c->path);
        json_set_string(one, "url", c->url);
        json_set_integer(one, "bytes", (json_int_t)c->size);
        json_set_integer(one, "used", c->used);
        json_set_bool(one, "locked", c->locked);
        json_array_append_new(list, one);
    }
    return list;
}

static void print_total(struct arena *a, const struct outcome *out, const struct options *o,
                        const char *root)
{
    (void)o;
    printf("%s in %s\n", counted(a, out->count, size_of(out->items, out->count)), root);
}

static void print_damaged(struct arena *a, const struct outcome *out, const struct options *o,
                          const char *root)
{
    (void)a, (void)o;
    if (!out->count)
        printf("every blob in %s is what its name says\n", root);
    else
        printf("%zu damaged blob%s set aside in %s/damaged: fetched again when needed\n",
               out->count, out->count == 1 ? "" : "s", root);
}

static void print_gc(struct arena *a, const struct outcome *out, const struct options *o,
                     const char *root)
{
    const struct cache_gc_result *r = &out->gc;
    char size[16];
    printf("%s%s %s from %s\n", counted(a, r->removed_count, r->removed_size),
           o->dry_run ? " would be" : "", "removed", root);
    if (r->left_over)
        printf("%s of old logs and what killed runs left%s\n",
               units_format_size(r->left_over, size),
               o->dry_run ? " would be removed too" : ", too");
    printf("%s stay", counted(a, r->kept_count, r->kept_size));
    if (r->locked_count)
        printf(", of which lock files name %s", counted(a, r->locked_count, r->locked_size));
    printf("\n");
}

static void add_gc(json_t *j, const struct cache_gc_result *r)
{
    json_set_integer(j, "left_over_bytes", (json_int_t)r->left_over);
    json_set_integer(j, "kept", (json_int_t)r->kept_count);
    json_set_integer(j, "kept_bytes", (json_int_t)r->kept_size);
    json_set_integer(j, "locked", (json_int_t)r->locked_count);
    json_set_integer(j, "locked_bytes", (json_int_t)r->locked_size);
}

/* --- doing --------------------------------------------------------------------------------------
 */

static bool list(const struct cli *cli, struct session *s, const struct options *o,
                 struct outcome *out, struct error **err)
{
    (void)cli, (void)o;
    return cache_list(s->store, s->arena, &out->items, &out->count, err);
}

static bool verify(const struct cli *cli, struct session *s, const struct options *o,
                   struct outcome *out, struct error **err)
{
    (void)o;
    autoclose int use = store_use(s->store, false, err);
    if (use < 0)
        return false;
    progress_step("hash every blob");
    if (!cache_verify(s->store, s->arena, &out->items, &out->count, err))
        return false;
    progress_done();
    *cli->exit_code = out->count ? error_kinds[ERROR_TRUST].exit_code : 0;
    return true;
}

static bool parse_days(const struct options *o, unsigned *days, struct error **err)
{
    char *end;
    *days = o->max_size ? CACHE_ANY_AGE : DEFAULT_DAYS;
    if (o->all)
        *days = 0;
    if (!o->days)
        return true;
    errno = 0;
    unsigned long n = strtoul(o->days, &end, 10);
    if (*o->days < '0' || *o->days > '9' || *end || errno || n > 36500)
        return error_set(err, ERROR_USAGE, "--days is a number of days, not '%s'", o->days);
    *days = (unsigned)n;
    return true;
}

static bool collect(const struct cli *cli, struct session *s, const struct options *o,
                    struct outcome *out, struct error **err)
{
    (void)cli;
    const char *why;
    struct cache_gc_options how = {
        .all = o->all, .dry_run = o->dry_run, .limited = o->max_size != NULL};
    if (o->all && (o->days || o->max_size || o->keep_lock.count))
        return error_set(err, ERROR_USAGE,
                         "--all leaves nothing: it takes no --days, --max-size or --keep-lock");
    if (o->max_size && !units_parse_size(o->max_size, &how.max_size, &why))
        return error_set(err, ERROR_USAGE, "--max-size: '%s': %s", o->max_size, why);
    if (!parse_days(o, &how.days, err))
        return false;
    const char **locks = arena_alloc(s->arena, (o->keep_lock.count + 1) * sizeof *locks);
    for (size_t i = 0; i < o->keep_lock.count; i++)
        locks[i] = o->keep_lock.items[i];
    how.locks = locks;
    autoclose int use = o->dry_run ? -1 : store_use(s->store, true, err);
    if ((!o->dry_run && use < 0) || !cache_gc(s->store, &how, s->arena, &out->gc, err))
        return false;
    out->items = out->gc.removed;
    out->count = out->gc.removed_count;
    if (how.limited && out->gc.kept_size > how.max_size)
        log_warning("what stays takes more than --max-size: lock files name it");
    return true;
}

static const struct {
    const char *name;
    bool (*run)(const struct cli *cli, struct session *s, const struct options *o,
                struct outcome *out, struct error **err);
    void (*print)(struct arena *a, const struct outcome *out, const struct options *o,
                  const char *root);
} actions[] = {
    {"ls", list, print_total}, {"verify", verify, print_damaged}, {"gc", collect, print_gc}};

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    struct outcome out = {0};
    autosession struct session *s = NULL;
    size_t i = 0;
    while (i < COUNT(actions) && strcmp(actions[i].name, cli->arguments[0]) != 0)
        i++;
    if (i == COUNT(actions))
        return error_set(err, ERROR_USAGE, "cache does ls, verify or gc, not '%s'",
                         cli->arguments[0]);
    if (!session_open(&s, err) || !session_cache(s, NULL, err) ||
        !actions[i].run(cli, s, given, &out, err))
        return false;
    if (!cli->json) {
        print_items(out.items, out.count);
        actions[i].print(s->arena, &out, given, store_root(s->store));
        return true;
    }
    autojson json_t *document = json_object();
    json_set_string(document, "cache", store_root(s->store));
    json_set(document, "items", items_to_json(out.items, out.count));
    json_set_integer(document, "bytes", (json_int_t)size_of(out.items, out.count));
    if (actions[i].run == collect)
        add_gc(document, &out.gc);
    autofree char *text = json_pretty(document);
    fputs(text, stdout);
    return true;
}

const struct command command_cache = {
    .name = "cache",
    .arguments = "ls|verify|gc",
    .summary = "Lists, verifies or cleans up the store and the layers",
    .details =
        "ls      every blob and layer, with its size, last use and where it came from\n"
        "verify  hashes every blob again; damaged ones are set aside and listed (exit code 4), "
        "and\n"
        "        fetched again when they are needed\n"
        "gc      removes what was not used for a while; not while something is built (exit code "
        "11).\n"
        "        What the lock files of earlier builds name stays, for as long as they are where\n"
        "        they were, and what a layer was made of stays with the layer",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
