#include "ingot/session.h"

#include "base/log.h"
#include "base/path.h"
#include "disk/appliance.h"
#include "ingot/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)

static void add(struct arena *a, const char ***list, size_t *count, const char *folder)
{
    const char *copy = arena_strdup(a, folder);
    *list = arena_append_(a, *list, count, sizeof copy, &copy);
}

static void find_search(struct session *s)
{
    const char **list = NULL;
    size_t count = 0;
    const char *path = getenv("INGOT_PATH"), *config = getenv("XDG_CONFIG_HOME"),
               *home = getenv("HOME");
    autofree char *copy = strdup(path ? path : "");
    char *save = NULL;
    add(s->arena, &list, &count, "recipes");
    for (char *p = strtok_r(copy, ":", &save); p; p = strtok_r(NULL, ":", &save))
        add(s->arena, &list, &count, p);
    if (config && *config)
        add(s->arena, &list, &count, arena_printf(s->arena, "%s/ingot", config));
    else if (home && *home)
        add(s->arena, &list, &count, arena_printf(s->arena, "%s/.config/ingot", home));
    add(s->arena, &list, &count, "/etc/ingot");
    add(s->arena, &list, &count, INGOT_SHARE "/recipes");
    const char *end = NULL;
    list = arena_append_(s->arena, list, &count, sizeof end, &end);
    s->search = list;
}

bool session_open(struct session **out, struct error **err)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->arena = arena_new();
    s->use = -1;
    *out = s;
    const struct setting *settings;
    if (!settings_load(s->arena, &settings, err))
        return false;
    find_search(s);
    return true;
}

/* --mirror's before those of the environment, where the settings are too. */
static bool open_fetcher(struct session *s, const struct session_network *n, struct error **err)
{
    struct fetch_options o = {.offline = !n || n->offline, .jobs = n ? n->jobs : 0};
    const char *more = getenv("INGOT_MIRROR");
    for (size_t i = 0; n && n->mirrors && i < n->mirrors->count; i++)
        if (!mirrors_parse(s->arena, n->mirrors->items[i], "--mirror", &o.mirrors, err))
            return false;
    if (n && more && *more && !mirrors_parse(s->arena, more, "INGOT_MIRROR", &o.mirrors, err))
        return false;
    return fetcher_new(s->store, &o, &s->fetcher, err);
}

bool session_cache(struct session *s, const struct session_network *network, struct error **err)
{
    autofree char *folder = NULL;
    if (!store_open(&s->store, err) || !store_folder(s->store, "inputs", &folder, err))
        return false;
    autofree char *file = path_join(folder, "digests");
    s->inputs = inputs_new(file);
    appliance_set_cache(store_root(s->store));
    return open_fetcher(s, network, err);
}

bool session_start(struct session **out, const struct session_network *network, struct error **err)
{
    if (!session_open(out, err) || !session_cache(*out, network, err))
        return false;
    (*out)->use = store_use((*out)->store, false, err);
    return (*out)->use >= 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    if (s->use >= 0)
        close(s->use);
    inputs_free(s->inputs);
    fetcher_free(s->fetcher);
    store_close(s->store);
    arena_free(s->arena);
    free(s);
}

/* The environment's, then those of --set, which win. */
static bool read_overrides(struct arena *a, const struct cli_list *sets, struct recipe_options *o,
                           struct error **err)
{
    struct recipe_override *list = NULL;
    size_t count = 0;
    recipe_overrides_from_environment(a, environ, &list, &count);
    for (size_t i = 0; sets && i < sets->count; i++) {
        struct recipe_override one;
        if (!recipe_override_parse(a, sets->items[i], &one, err))
            return false;
        list = arena_append_(a, list, &count, sizeof one, &one);
    }
    o->overrides = list;
    o->override_count = count;
    return true;
}

static void print_diagnostic(const struct diagnostic *d)
{
    autofree char *where = NULL;
    if (!d->place.file)
        where = strdup("");
    else if (d->place.line &&
             asprintf(&where, "%s:%u:%u: ", d->place.file, d->place.line, d->place.column) < 0)
        abort();
    else if (!d->place.line && asprintf(&where, "%s: ", d->place.file) < 0)
        abort();
    const char *colon = *d->key ? ": " : "";
    if (d->severity == SEVERITY_ERROR)
        log_error("%s%s%s%s", where, d->key, colon, d->message);
    else
        log_warning("%s%s%s%s", where, d->key, colon, d->message);
}

static json_t *diagnostic_to_json(const struct diagnostic *d)
{
    json_t *j = json_object();
    json_set_string(j, "severity", d->severity == SEVERITY_ERROR ? "error" : "warning");
    json_set_string(j, "file", d->place.file);
    json_set_integer(j, "line", d->place.line);
    json_set_integer(j, "column", d->place.column);
    json_set_string(j, "key", d->key);
    json_set_string(j, "message", d->message);
    return j;
}

bool session_diagnose(struct session *s, const char *given, const struct cli_list *sets,
                      bool locked, struct recipe **out, json_t *list, struct error **err)
{
    autofree char *path = NULL;
    struct recipe_options o = {.search = s->search};
    if (!recipe_find(given, s->search, &path, err))
        return false;
    if (!read_overrides(s->arena, sets, &o, err))
        return false;
    s->overridden = o.override_count > 0;
    if (locked && o.override_count)
        return error_set(err, ERROR_TRUST, "--locked takes no overrides, but there is %s",
                         o.overrides[0].origin);
    struct diagnostics found = {.arena = s->arena};
    autoerror struct error *why = NULL;
    bool ok = recipe_load(path, &o, out, &found, &why);
    /* A single error is the error that main prints; of several, each has its line. */
    for (size_t i = 0; i < found.count; i++) {
        if (found.items[i].severity == SEVERITY_WARNING || found.errors > 1)
            print_diagnostic(&found.items[i]);
        if (list)
            json_array_append_new(list, diagnostic_to_json(&found.items[i]));
    }
    if (ok)
        return true;
    if (found.errors > 1)
        return error_set(err, error_kind(why), "%s: %zu errors", given, found.errors);
    *err = take_ptr(why);
    return false;
}

bool session_recipe(struct session *s, const char *given, const struct cli_list *sets, bool locked,
                    struct recipe **out, struct error **err)
{
    return session_diagnose(s, given, sets, locked, out, NULL, err);
}

bool session_epoch(const struct lock *locked, int64_t *epoch, struct error **err)
{
    const char *s = getenv("SOURCE_DATE_EPOCH");
    char *end;
    *epoch = locked ? locked->epoch : (int64_t)time(NULL) / DAY * DAY;
    if (!s || !*s)
        return true;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (errno || *end || value < 0 || value > UINT32_MAX)
        return error_set(err, ERROR_USAGE, "SOURCE_DATE_EPOCH is no time in seconds: '%s'", s);
    *epoch = value;
    return true;
}

bool session_recipe_epoch(struct session *s, const struct recipe *r, int64_t *epoch,
                          struct error **err)
{
    autofree char *path = lock_path(r->file);
    const struct lock *locked;
    return lock_read(s->arena, path, &locked, err) && session_epoch(locked, epoch, err);
}

bool session_each(const struct cli *cli, const struct session_network *network, const char *name,
                  bool (*one)(const struct cli *cli, const void *options, struct session *s,
                              const char *given, json_t *list, struct error **err),
                  const void *options, struct error **err)
{
    autosession struct session *s = NULL;
    if (!session_start(&s, network, err))
        return false;
    autojson json_t *document = json_object();
    json_t *list = json_array();
    json_set(document, name, list);
    for (size_t i = 0; i < cli->argument_count; i++)
        if (!one(cli, options, s, cli->arguments[i], list, err))
            return false;
    if (cli->json) {
        autofree char *text = json_pretty(document);
        fputs(text, stdout);
    }
    return true;
}
