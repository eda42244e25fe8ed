#include "source/cache.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define DAY ((time_t)24 * 60 * 60)
#define RECORD_MAX ((size_t)64 << 10)

static void cleanup_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Calls `each` for what is in a folder; one that is absent is empty. */
static bool for_each(const char *folder,
                     bool (*each)(const char *path, void *data, struct error **), void *data,
                     struct error **err)
{
    cleanup(cleanup_dir) DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT || error_errno(err, ERROR_HOST, errno, "%s", folder);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (interrupted())
            return interrupt_error(err);
        autofree char *path = path_join(folder, d->d_name);
        if (!each(path, data, err))
            return false;
    }
    return true;
}

static bool add_size(const char *path, void *data, struct error **err)
{
    struct stat st;
    uint64_t *total = data;
    if (lstat(path, &st) < 0)
        return true; /* gone meanwhile */
    *total += file_allocated(&st);
    return !S_ISDIR(st.st_mode) || for_each(path, add_size, data, err);
}

/* --- listing ------------------------------------------------------------------------------------
 */

struct listing {
    struct arena *arena;
    const char *root;
    enum cache_kind kind;
    struct cache_item *items;
    size_t count;
};

static bool list_one(const char *path, void *data, struct error **err)
{
    struct listing *l = data;
    struct stat st;
    if (!digest_is_valid(DIGEST_SHA256, path_basename(path)) || lstat(path, &st) < 0)
        return true;
    struct cache_item item = {
        .kind = l->kind, .path = arena_strdup(l->arena, path), .used = st.st_mtim.tv_sec};
    item.name = path_basename(item.path);
    if (l->kind == CACHE_BLOB &&
        stat(arena_printf(l->arena, "%s/stamps/%s", l->root, item.name), &st) == 0)
        item.used = st.st_mtim.tv_sec;
    if (!add_size(path, &item.size, err))
        return false;
    arena_append(l->arena, l->items, l->count, item);
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct cache_item *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

static struct cache_item *find_blob(struct cache_item *items, size_t count, const char *name)
{
    const struct cache_item key = {.kind = CACHE_BLOB, .name = name};
    return count ? bsearch(&key, items, count, sizeof key, compare_items) : NULL;
}

/* Tells a blob where it came from. */
static bool note_record(const char *path, void *data, struct error **err)
{
    struct listing *l = data;
    autojson json_t *record = NULL;
    (void)err;
    if (!text_ends_with(path, ".json") || !json_read_file(path, RECORD_MAX, &record, NULL))
        return true;
    struct cache_item *item = find_blob(l->items, l->count, json_string_or(record, "sha256", ""));
    if (item && !item->url)
        item->url = arena_strdup(l->arena, json_string_or(record, "url", NULL));
    return true;
}

bool cache_list(struct store *s, struct arena *a, struct cache_item **items, size_t *count,
                struct error **err)
{
    autofree char *blobs = NULL, *layers = NULL, *sources = NULL;
    struct listing l = {.arena = a, .root = store_root(s), .kind = CACHE_BLOB};
    if (!store_folder(s, "blobs/sha256", &blobs, err) || !store_folder(s, "layers", &layers, err) ||
        !store_folder(s, "sources", &sources, err) || !for_each(blobs, list_one, &l, err))
        return false;
    l.kind = CACHE_LAYER;
    if (!for_each(layers, list_one, &l, err))
        return false;
    if (l.count)
        qsort(l.items, l.count, sizeof *l.items, compare_items);
    if (!for_each(sources, note_record, &l, err))
        return false;
    *items = l.items;
    *count = l.count;
    return true;
}

/* --- verifying ----------------------------------------------------------------------------------
 */

bool cache_verify(struct store *s, struct arena *a, struct cache_item **damaged, size_t *count,
                  struct error **err)
{
    struct cache_item *items;
    size_t n;
    uint64_t done = 0, total = 0;
    *damaged = NULL;
    *count = 0;
    if (!cache_list(s, a, &items, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        total += items[i].kind == CACHE_BLOB ? items[i].size : 0;
    for (size_t i = 0; i < n && items[i].kind == CACHE_BLOB; i++) {
        bool bad;
        (void)store_rehash(s, items[i].name, &bad);
        if (interrupted())
            return interrupt_error(err);
        if (bad) {
            items[i].path = arena_printf(a, "%s/damaged/%s", store_root(s), items[i].name);
            arena_append(a, *damaged, *count, items[i]);
        }
        progress_update(done += items[i].size, total);
    }
    return true;
}

/* --- cleaning up --------------------------------------------------------------------------------
 */

struct cleaning {
    struct store *store;
    const struct cache_gc_options *options;
    time_t now;
};

/* A record whose blob is gone. */
static bool drop_record(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    autojson json_t *record = NULL;
    (void)err;
    bool leads = json_read_file(path, RECORD_MAX, &record, NULL) &&
                 store_has(c->store, json_string_or(record, "sha256", ""));
    if (!leads)
        unlink(path);
    return true;
}

static bool drop_older(const char *path, time_t than, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0 || st.st_mtim.tv_sec > than)
        return true;
    return file_remove_tree(path, err);
}

/* What a killed process left: nothing is written for a whole day. */
static bool drop_temporary(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    return drop_older(path, c->now - DAY, err);
}

/* Folders of layers in the making or on their way out (.work-…, .gone-…) that a killed process
 * left. */
static bool drop_unfinished(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    return path_basename(path)[0] != '.' || drop_older(path, c->now - DAY, err);
}

static bool remove_item(const struct cache_item *item, struct error **err)
{
    return item->kind == CACHE_LAYER ? file_discard(item->path, err)
                                     : file_remove_tree(item->path, err);
}

static bool drop_log(const char *path, void *data, struct error **err)
{
    struct cleaning *c = data;
    time_t days = c->options->days ? (time_t)c->options->days : 1;
    return drop_older(path, c->now - days * DAY, err);
}

static bool is_kept(const struct cleaning *c, const struct cache_item *item)
{
    const struct cache_gc_options *o = c->options;
    for (size_t i = 0; o->keep && o->keep[i]; i++)
        if (strcmp(o->keep[i], item->name) == 0)
            return true;
    return o->days && item->used > c->now - (time_t)o->days * DAY;
}

bool cache_gc(struct store *s, const struct cache_gc_options *o, struct arena *a,
              struct cache_item **removed, size_t *count, struct error **err)
{
    struct cleaning c = {.store = s, .options = o, .now = time(NULL)};
    struct cache_item *items;
    size_t n;
    *removed = NULL;
    *count = 0;
    if (!cache_list(s, a, &items, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_kept(&c, &items[i]))
            continue;
        if (!o->dry_run && !remove_item(&items[i], err))
            return false;
        arena_append(a, *removed, *count, items[i]);
    }
    if (o->dry_run)
        return true;
    autofree char *sources = NULL, *temporary = NULL, *logs = NULL, *layers = NULL;
    autofree char *damaged = path_join(store_root(s), "damaged");
    return store_folder(s, "sources", &sources, err) && store_folder(s, "tmp", &temporary, err) &&
           store_folder(s, "log", &logs, err) && store_folder(s, "layers", &layers, err) &&
           for_each(layers, drop_unfinished, &c, err) && for_each(logs, drop_log, &c, err) &&
           for_each(sources, drop_record, &c, err) &&
           for_each(temporary, drop_temporary, &c, err) && file_remove_tree(damaged, err);
}
