/* What `ingot cache` does with the store: list it, verify it, clean it up. Layers are folders below
 * root/layers and are listed and cleaned up here too; what is in them is the bake's.
 */
#ifndef INGOT_SOURCE_CACHE_H
#define INGOT_SOURCE_CACHE_H

#include "base/arena.h"
#include "source/store.h"

#include <time.h>

enum cache_kind { CACHE_BLOB, CACHE_LAYER };

struct cache_item {
    enum cache_kind kind;
    const char *name; /* SHA-256 of the blob, or key of the layer */
    const char *path;
    const char *url; /* where a blob came from; NULL: not remembered, or a layer */
    uint64_t size;   /* bytes that it takes on disk */
    time_t used;     /* when it was last used */
};

/* Everything in the cache, blobs first, sorted by name; lives in the arena. */
bool cache_list(struct store *s, struct arena *a, struct cache_item **items, size_t *count,
                struct error **err) must_check;

/* Hashes every blob again. A damaged one is moved to root/damaged, out of the way of every build,
 * and given in *damaged (in the arena, paths where they are now). True whatever is found. */
bool cache_verify(struct store *s, struct arena *a, struct cache_item **damaged, size_t *count,
                  struct error **err) must_check;

struct cache_gc_options {
    unsigned days; /* what was used within so many days stays; 0: nothing stays for its age */
    const char *const *keep; /* names that stay, NULL at the end; or NULL */
    bool dry_run;            /* only say what would go */
};
/* Removes what is not to be kept, old logs, records that lead nowhere, and files and layers that a
 * killed process left half-written. *removed (in the arena) gets what went; what is being written
 * by another process stays. */
bool cache_gc(struct store *s, const struct cache_gc_options *o, struct arena *a,
              struct cache_item **removed, size_t *count, struct error **err) must_check;

#endif
