/* Shared by cache*.c only. */
#ifndef INGOT_SOURCE_CACHE_INTERNAL_H
#define INGOT_SOURCE_CACHE_INTERNAL_H

#include "source/cache.h"

/* Calls `each` for what is in a folder; one that is absent is empty. */
bool cache_each(const char *folder, bool (*each)(const char *path, void *data, struct error **),
                void *data, struct error **err) must_check;
/* Adds the bytes that a file or tree takes to *(uint64_t *)total. */
bool cache_add_size(const char *path, void *total, struct error **err) must_check;

/* Digests (SHA-256 or SHA-512), sorted. */
struct cache_names {
    const char **items;
    size_t count;
};
bool cache_names_have(const struct cache_names *n, const char *digest);
/* What the remembered lock files and `locks` (NULL at the end, or NULL) name. A remembered one that
 * is gone counts no longer, and with `forget` is not remembered any more. strict: one that cannot
 * be read is an error, else a warning. */
bool cache_locked(struct store *s, struct arena *a, const char *const *locks, bool strict,
                  bool forget, struct cache_names *n, struct error **err) must_check;
/* cache_list with these names. */
bool cache_list_with(struct store *s, struct arena *a, const struct cache_names *locked,
                     struct cache_item **items, size_t *count, struct error **err) must_check;
/* The blob of that name in a list, or NULL. */
struct cache_item *cache_find_blob(struct cache_item *items, size_t count, const char *name);

#endif
