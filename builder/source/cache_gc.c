/* Cleaning the cache up. Whoever is killed here leaves a blob whole or gone, a layer whole or under
 * a name that is none, and records without what they lead to: the next time takes the rest away. */
#include "source/cache_internal.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DAY ((time_t)24 * 60 * 60)
#define PARTIAL_DAYS 3  /* how long an unfinished download waits to be resumed */
#define DERIVED_DAYS 90 /* facts and resolutions: small, and dear to make again */
#define RECORD_MAX ((size_t)64 << 10)
#define MADE_OF_MAX ((size_t)8 << 20)
#define OUTPUT_MAX ((size_t)1 << 20)

struct cleaning {
    struct store *store;
    const struct cache_gc_options *options;
    struct cache_gc_result *result;
    struct arena *arena;
    struct cache_item *items;
    size_t count;
    bool *kept, *gone; /* of each item */
    time_t now;
};

/* --- what goes ----------------------------------------------------------------------------------
 */

static bool is_named(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* What a layer was made of is used when the layer is, and stays where the layer does. */
static bool note_made_of(struct cleaning *c, size_t layer, struct error **err)
{
    autofree char *path = path_join(c->items[layer].path, "made-of"), *text = NULL;
    size_t size;
    if (access(path, F_OK) != 0)
        return true;
    if (!file_read(path, MADE_OF_MAX, &text, &size, err))
        return false;
    char *save = NULL;
    for (char *name = strtok_r(text, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
        struct cache_item *blob = cache_find_blob(c->items, c->count, name);
        if (!blob)
            continue;
        if (blob->used < c->items[layer].used)
            blob->used = c->items[layer].used;
        c->kept[blob - c->items] = c->kept[blob - c->items] || c->kept[layer];
    }
    return true;
}

static bool choose_by_age(struct cleaning *c, struct error **err)
{
    const struct cache_gc_options *o = c->options;
    for (size_t i = 0; i < c->count; i++)
        c->kept[i] = c->items[i].locked || is_named(o->keep, c->items[i].name);
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].kind == CACHE_LAYER && !note_made_of(c, i, err))
            return false;
    time_t since = c->now - (time_t)o->days * DAY;
    for (size_t i = 0; i < c->count; i++)
        c->gone[i] =
            !c->kept[i] && o->days != CACHE_ANY_AGE && (o->days == 0 || c->items[i].used <= since);
    return true;
}

static int compare_used(const void *a, const void *b)
{
    const struct cache_item *x = *(const struct cache_item *const *)a,
                            *y = *(const struct cache_item *const *)b;
    if (x->used != y->used)
        return x->used < y->used ? -1 : 1;
    return (int)y->kind - (int)x->kind; /* a layer before what it was made of */
}

static void choose_by_size(struct cleaning *c)
{
    const struct cache_item **order = arena_alloc(c->arena, (c->count + 1) * sizeof *order);
    size_t n = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < c->count; i++) {
        total += c->gone[i] ? 0 : c->items[i].size;
        if (!c->gone[i] && !c->kept[i])
            order[n++] = &c->items[i];
    }
    qsort(order, n, sizeof *order, compare_used);
    for (size_t i = 0; i < n && total > c->options->max_size; i++) {
        c->gone[order[i] - c->items] = true;
        total -= order[i]->size;
    }
}

static bool remove_item(struct cleaning *c, const struct cache_item *item, struct error **err)
{
    if (item->kind == CACHE_LAYER)
        return file_discard(item->path, err);
    autofree char *stamps = path_join(store_root(c->store), "stamps");
    autofree char *stamp = path_join(stamps, item->name);
    if (unlink(item->path) < 0 && errno != ENOENT)
        return error_errno(err, ERROR_HOST, errno, "cannot remove %s", item->path);
    unlink(stamp);
    return true;
}

static bool remove_chosen(struct cleaning *c, struct error **err)
{
    struct cache_gc_result *r = c->result;
    for (size_t i = 0; i < c->count; i++) {
        const struct cache_item *item = &c->items[i];
        if (interrupted())
            return interrupt_error(err);
        if (c->gone[i]) {
            if (!c->options->dry_run && !remove_item(c, item, err))
                return false;
            r->removed_size += item->size;
            arena_append(c->arena, r->removed, r->removed_count, *item);
            continue;
        }
        r->kept_count++;
        r->kept_size += item->size;
        r->locked_count += item->locked;
        r->locked_size += item->locked ? item->size : 0;
    }
    return true;
}

/* --- what is left over --------------------------------------------------------------------------
 */

static bool drop(struct cleaning *c, const char *path, struct error **err)
{
    return cache_add_size(path, &c->result->left_over, err) &&
           (c->options->dry_run || file_remove_tree(path, err));
}

static bool drop_older(struct cleaning *c, const char *path, unsigned days, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0 || st.st_mtim.tv_sec > c->now - (time_t)days * DAY)
        return true;
    return drop(c, path, err);
}

/* What a killed process left: nothing is written for a whole day. */
static bool drop_temporary(const char *path, void *data, struct error **err)
{
    return drop_older(data, path, 1, err);
}

/* HEX and HEX.json, by the process that has the lock HEX. */
static bool drop_partial(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    autoclose int lock = store_try_lock_digest(c->store, path_basename(path), NULL);
    return lock < 0 || drop_older(c, path, c->options->all ? 0 : PARTIAL_DAYS, err);
}

static bool drop_derived(const char *path, void *data, struct error **err)
{
    return drop_older(data, path, DERIVED_DAYS, err);
}

/* Layers in the making or on their way out (.work-…, .gone-…), and files that were to be renamed.
 */
static bool drop_unfinished(const char *path, void *data, struct error **err)
{
    return path_basename(path)[0] != '.' || drop_older(data, path, 1, err);
}

static bool drop_log(const char *path, void *data, struct error **err)
{
    const struct cleaning *c = data;
    unsigned days = c->options->days;
    if (days == CACHE_ANY_AGE)
        return true;
    return drop_older(data, path, days ? days : 1, err);
}

static bool drop_damaged(const char *path, void *data, struct error **err)
{
    return drop(data, path, err);
}

static bool is_there(const struct cleaning *c, const char *sha256)
{
    if (!digest_is_valid(DIGEST_SHA256, sha256))
        return false;
    autofree char *path = store_blob_path(c->store, sha256);
    return access(path, F_OK) == 0;
}

static bool leads_somewhere(const struct cleaning *c, const json_t *record)
{
    const char *sha256;
    json_t *url;
    json_object_foreach(json_object_get(record, "urls"), sha256, url)
    {
        if (is_there(c, sha256))
            return true;
    }
    return is_there(c, json_string_or(record, "sha256", ""));
}

/* A record whose blobs are gone, or which a crash of the host left empty. */
static bool drop_record(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    autojson json_t *record = NULL;
    if (text_ends_with(path, ".json") && json_read_file(path, RECORD_MAX, &record, NULL) &&
        leads_somewhere(c, record))
        return true;
    return drop(c, path, err);
}

static bool drop_stamp(const char *path, void *data, struct error **err)
{
    return is_there(data, path_basename(path)) || drop(data, path, err);
}

/* An artifact's record whose folder is gone. */
static bool drop_output(const char *path, void *data, struct error **err)
{
    autojson json_t *record = NULL;
    const char *folder =
        json_read_file(path, OUTPUT_MAX, &record, NULL) ? json_string_or(record, "folder", "") : "";
    if (*folder != '/') /* relative to who knows what */
        return drop_older(data, path, DERIVED_DAYS, err);
    return access(folder, F_OK) == 0 || drop(data, path, err);
}

static const struct {
    const char *folder;
    bool (*each)(const char *path, void *data, struct error **err);
} leftovers[] = {
    {"layers", drop_unfinished},
    {"roots", drop_unfinished},
    {"inputs", drop_unfinished},
    {"tmp", drop_temporary},
    {"partial", drop_partial},
    {"log", drop_log},
    {"damaged", drop_damaged},
    {"facts", drop_derived},
    {"resolutions", drop_derived},
    {"outputs", drop_output},
    /* Last: what leads to blobs that are gone by now. */
    {"sources", drop_record},
    {"stamps", drop_stamp},
};

bool cache_gc(struct store *s, const struct cache_gc_options *o, struct arena *a,
              struct cache_gc_result *result, struct error **err)
{
    struct cleaning c = {.store = s, .options = o, .result = result, .arena = a, .now = time(NULL)};
    struct cache_names locked = {0};
    *result = (struct cache_gc_result){0};
    if ((!o->all && !cache_locked(s, a, o->locks, true, !o->dry_run, &locked, err)) ||
        !cache_list_with(s, a, &locked, &c.items, &c.count, err))
        return false;
    c.kept = arena_alloc(a, c.count + 1);
    c.gone = arena_alloc(a, c.count + 1);
    if (!choose_by_age(&c, err))
        return false;
    if (o->limited)
        choose_by_size(&c);
    if (!remove_chosen(&c, err))
        return false;
    for (size_t i = 0; i < COUNT(leftovers); i++) {
        autofree char *folder = path_join(store_root(s), leftovers[i].folder);
        if (!cache_each(folder, leftovers[i].each, &c, err))
            return false;
    }
    return true;
}
