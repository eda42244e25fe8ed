#include "source/cache_internal.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_MAX ((size_t)64 << 10)

static void cleanup_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

bool cache_each(const char *folder, bool (*each)(const char *path, void *data, struct error **),
                void *data, struct error **err)
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

bool cache_add_size(const char *path, void *data, struct error **err)
{
    struct stat st;
    uint64_t *total = data;
    if (lstat(path, &st) < 0)
        return true; /* gone meanwhile */
    *total += file_allocated(&st);
    return !S_ISDIR(st.st_mode) || cache_each(path, cache_add_size, data, err);
}

/* --- listing ------------------------------------------------------------------------------------
 */

struct listing {
    struct arena *arena;
    const char *root;
    const struct cache_names *locked;
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
    item.locked = l->kind == CACHE_BLOB && cache_names_have(l->locked, item.name);
    if (l->kind == CACHE_BLOB &&
        stat(arena_printf(l->arena, "%s/stamps/%s", l->root, item.name), &st) == 0)
        item.used = st.st_mtim.tv_sec;
    if (!cache_add_size(path, &item.size, err))
        return false;
    arena_append(l->arena, l->items, l->count, item);
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct cache_item *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

struct cache_item *cache_find_blob(struct cache_item *items, size_t count, const char *name)
{
    const struct cache_item key = {.kind = CACHE_BLOB, .name = name};
    return count ? bsearch(&key, items, count, sizeof key, compare_items) : NULL;
}

/* Tells a blob where it came from, and what else it is known by. */
static bool note_record(const char *path, void *data, struct error **err)
{
    struct listing *l = data;
    autojson json_t *record = NULL;
    (void)err;
    if (!text_ends_with(path, ".json") || !json_read_file(path, RECORD_MAX, &record, NULL))
        return true;
    const char *sha256;
    json_t *url;
    json_object_foreach(json_object_get(record, "urls"), sha256, url)
    {
        struct cache_item *one = cache_find_blob(l->items, l->count, sha256);
        if (one && !one->url)
            one->url = arena_strdup(l->arena, json_string_value(url));
    }
    struct cache_item *item =
        cache_find_blob(l->items, l->count, json_string_or(record, "sha256", ""));
    if (!item)
        return true;
    if (!item->url)
        item->url = arena_strdup(l->arena, json_string_or(record, "url", NULL));
    item->locked =
        item->locked || cache_names_have(l->locked, json_string_or(record, "sha512", NULL));
    return true;
}

bool cache_list_with(struct store *s, struct arena *a, const struct cache_names *locked,
                     struct cache_item **items, size_t *count, struct error **err)
{
    autofree char *blobs = NULL, *layers = NULL, *sources = NULL;
    struct listing l = {.arena = a, .root = store_root(s), .locked = locked, .kind = CACHE_BLOB};
    if (!store_folder(s, "blobs/sha256", &blobs, err) || !store_folder(s, "layers", &layers, err) ||
        !store_folder(s, "sources", &sources, err) || !cache_each(blobs, list_one, &l, err))
        return false;
    l.kind = CACHE_LAYER;
    if (!cache_each(layers, list_one, &l, err))
        return false;
    if (l.count)
        qsort(l.items, l.count, sizeof *l.items, compare_items);
    if (!cache_each(sources, note_record, &l, err))
        return false;
    *items = l.items;
    *count = l.count;
    return true;
}

bool cache_list(struct store *s, struct arena *a, struct cache_item **items, size_t *count,
                struct error **err)
{
    struct cache_names locked;
    return cache_locked(s, a, NULL, false, false, &locked, err) &&
           cache_list_with(s, a, &locked, items, count, err);
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
