#include "source/cache.h"

#include "base/units.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <string.h>

struct options {
    unsigned days;
    bool all, dry_run;
};

static const struct option_spec options[] = {
    {"days", 0, OPTION_NUMBER, offsetof(struct options, days), "N",
     "gc: what was used within N days stays (30)"},
    {"all", 0, OPTION_FLAG, offsetof(struct options, all), NULL, "gc: nothing stays"},
    {"dry-run", 'n', OPTION_FLAG, offsetof(struct options, dry_run), NULL,
     "gc: only say what would go"},
    {0},
};

#define DEFAULT_DAYS 30

static const char *const kinds[] = {[CACHE_BLOB] = "blob", [CACHE_LAYER] = "layer"};

static void print(const struct cli *cli, const char *root, const struct cache_item *items,
                  size_t count)
{
    uint64_t total = 0;
    char size[16], when[32];
    autojson json_t *document = json_object();
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct cache_item *c = &items[i];
        struct tm tm;
        total += c->size;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&c->used, &tm));
        if (!cli->json) {
            printf("%-6s %.12s  %10s  %s  %s\n", kinds[c->kind], c->name,
                   units_format_size(c->size, size), when, c->url ? c->url : "");
            continue;
        }
        json_t *one = json_object();
        json_set_string(one, "kind", kinds[c->kind]);
        json_set_string(one, "name", c->name);
        json_set_string(one, "path", c->path);
        json_set_string(one, "url", c->url);
        json_set_integer(one, "bytes", (json_int_t)c->size);
        json_set_integer(one, "used", c->used);
        json_array_append_new(list, one);
    }
    json_set_string(document, "cache", root);
    json_set(document, "items", list);
    if (cli->json) {
        autofree char *text = json_pretty(document);
        fputs(text, stdout);
    } else {
        printf("%zu item%s, %s in %s\n", count, count == 1 ? "" : "s",
               units_format_size(total, size), root);
    }
}

static bool list(const struct cli *cli, struct session *s, const struct options *o,
                 struct cache_item **items, size_t *count, struct error **err)
{
    (void)cli, (void)o;
    return cache_list(s->store, s->arena, items, count, err);
}

static bool verify(const struct cli *cli, struct session *s, const struct options *o,
                   struct cache_item **items, size_t *count, struct error **err)
{
    (void)o;
    if (!cache_verify(s->store, s->arena, items, count, err))
        return false;
    *cli->exit_code = *count ? error_kinds[ERROR_TRUST].exit_code : 0;
    return true;
}

static bool collect(const struct cli *cli, struct session *s, const struct options *o,
                    struct cache_item **items, size_t *count, struct error **err)
{
    (void)cli;
    autoclose int use = o->dry_run ? -1 : store_use(s->store, true, err);
    if (!o->dry_run && use < 0)
        return false;
    const struct cache_gc_options how = {
        .days = o->all    ? 0
                : o->days ? o->days
                          : DEFAULT_DAYS,
        .dry_run = o->dry_run,
    };
    return cache_gc(s->store, &how, s->arena, items, count, err);
}

static const struct {
    const char *name;
    bool (*run)(const struct cli *cli, struct session *s, const struct options *o,
                struct cache_item **items, size_t *count, struct error **err);
} actions[] = {{"ls", list}, {"verify", verify}, {"gc", collect}};

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    struct cache_item *items = NULL;
    size_t count = 0;
    autosession struct session *s = NULL;
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (strcmp(actions[i].name, cli->arguments[0]) != 0)
            continue;
        if (!session_open(&s, err) || !session_cache(s, NULL, err) ||
            !actions[i].run(cli, s, given, &items, &count, err))
            return false;
        print(cli, store_root(s->store), items, count);
        return true;
    }
    return error_set(err, ERROR_USAGE, "cache does ls, verify or gc, not '%s'", cli->arguments[0]);
}

const struct command command_cache = {
    .name = "cache",
    .arguments = "ls|verify|gc",
    .summary = "Lists, verifies or cleans up the store and the layers",
    .details =
        "ls      every blob and layer, with its size, last use and where it came from\n"
        "verify  hashes every blob again; damaged ones are set aside and listed (exit code 4)\n"
        "gc      removes what was not used for a while; not while something is built (exit code "
        "11)",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
