/* Which blobs lock files name. */
#include "source/cache_internal.h"

#include "base/log.h"
#include "base/text.h"
#include "resolve/lock.h"

#include <errno.h>
#include <string.h>

#define ROOT_MAX ((size_t)64 << 10)

struct gathering {
    struct arena *arena;
    struct cache_names *names;
    bool strict, forget;
};

static void add(struct gathering *g, const char *digest)
{
    if (digest)
        arena_append(g->arena, g->names->items, g->names->count, digest);
}

static void add_sources(struct gathering *g, const struct lock_source *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(g, list[i].sha256);
        add(g, list[i].sha512);
    }
}

static void add_resolution(struct gathering *g, const struct resolution *r)
{
    for (size_t i = 0; r && i < r->count; i++)
        add(g, r->packages[i].digest);
    for (size_t i = 0; r && i < r->index_count; i++)
        add(g, r->indexes[i].digest);
}

static bool add_lock(struct gathering *g, const char *path, struct error **err)
{
    const struct lock *lock;
    if (!lock_read(g->arena, path, &lock, err))
        return false;
    for (size_t i = 0; lock && i < COUNT(lock->arch); i++) {
        const struct lock_arch *one = &lock->arch[i];
        if (!one->present)
            continue;
        add_sources(g, &one->base, 1);
        add_sources(g, one->sources, one->source_count);
        add_sources(g, one->keys, one->key_count);
        add_resolution(g, one->bootstrap.resolution);
        add_resolution(g, one->packages.resolution);
    }
    return true;
}

static bool add_root(const char *record, void *data, struct error **err)
{
    struct gathering *g = data;
    autojson json_t *j = NULL;
    autoerror struct error *why = NULL;
    if (!text_ends_with(record, ".json"))
        return true;
    /* A record that a crash of the host left empty is written again by the next build. */
    const char *path =
        json_read_file(record, ROOT_MAX, &j, NULL) ? json_string_or(j, "lock", "") : "";
    if (*path != '/' || (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))) {
        if (g->forget)
            unlink(record);
        return true;
    }
    if (add_lock(g, path, &why))
        return true;
    if (!g->strict) {
        log_warning("what a lock file names is not known: %s", error_text(why));
        return true;
    }
    return error_set(err, error_kind(why),
                     "%s (what this lock names would stay in the cache: mend the file or remove "
                     "it, or say --all)",
                     error_text(why));
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool cache_names_have(const struct cache_names *n, const char *digest)
{
    return n && n->count && digest &&
           bsearch(&digest, n->items, n->count, sizeof *n->items, compare);
}

bool cache_locked(struct store *s, struct arena *a, const char *const *locks, bool strict,
                  bool forget, struct cache_names *n, struct error **err)
{
    struct gathering g = {.arena = a, .names = n, .strict = strict, .forget = forget};
    autofree char *roots = NULL;
    *n = (struct cache_names){0};
    if (!store_folder(s, "roots", &roots, err) || !cache_each(roots, add_root, &g, err))
        return false;
    for (; locks && *locks; locks++) {
        if (access(*locks, F_OK) != 0)
            return error_errno(err, ERROR_INPUT, errno, "%s", *locks);
        if (!add_lock(&g, *locks, err))
            return false;
    }
    if (n->count)
        qsort(n->items, n->count, sizeof *n->items, compare);
    return true;
}
