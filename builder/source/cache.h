/* What `ingot cache` does with the store: list it, verify it, clean it up. Layers are folders below
 * root/layers and are listed and cleaned up here too; what is in them is the bake's, but for
 * layers/KEY/made-of: the SHA-256 of each blob that went into it, one a line.
 */
#ifndef INGOT_SOURCE_CACHE_H
#define INGOT_SOURCE_CACHE_H

#include "base/arena.h"
#include "source/store.h"

#include <limits.h>
#include <time.h>

enum cache_kind { CACHE_BLOB, CACHE_LAYER };

struct cache_item {
    enum cache_kind kind;
    const char *name; /* SHA-256 of the blob, or key of the layer */
    const char *path;
    const char *url; /* where a blob came from; NULL: not remembered, or a layer */
    uint64_t size;   /* bytes that it takes on disk */
    time_t used;     /* when it was last used */
    bool locked;     /* a lock file names it */
};

/* Everything in the cache, blobs first, sorted by name; lives in the arena. A lock file that cannot
 * be read is only warned of. */
bool cache_list(struct store *s, struct arena *a, struct cache_item **items, size_t *count,
                struct error **err) must_check;

/* Hashes every blob again. A damaged one is moved to root/damaged, out of the way of every build,
 * and given in *damaged (in the arena, paths where they are now). True whatever is found. */
bool cache_verify(struct store *s, struct arena *a, struct cache_item **damaged, size_t *count,
                  struct error **err) must_check;

#define CACHE_ANY_AGE UINT_MAX
struct cache_gc_options {
    unsigned days;     /* what was used within so many days stays; 0: nothing stays for its age;
                          CACHE_ANY_AGE: nothing goes for its age */
    bool limited;      /* then the least recently used go until all takes at most max_size */
    uint64_t max_size; /* bytes */
    bool all;          /* what lock files name goes too */
    bool dry_run;      /* only say what would go */
    const char *const *locks; /* lock files that count beside those that the cache remembers; NULL
                                 at the end; or NULL */
    const char *const *keep;  /* names that stay, NULL at the end; or NULL */
};
struct cache_gc_result {
    struct cache_item *removed; /* what went, in the arena */
    size_t removed_count;
    uint64_t removed_size;
    uint64_t left_over; /* bytes of what killed runs, damaged blobs and old logs had taken */
    size_t kept_count, locked_count;
    uint64_t kept_size, locked_size; /* locked: those that stay for a lock's sake */
};
/* Removes what is not to be kept: a blob stays for its age, for a lock file that names it, or for a
 * layer that was made of it and stays. With it go old logs, partial downloads and records that lead
 * nowhere, and what killed processes left half-written; what another process is writing stays. The
 * caller holds store_use alone. ERROR_INPUT where a remembered lock file cannot be read: what it
 * names is not known. */
bool cache_gc(struct store *s, const struct cache_gc_options *o, struct arena *a,
              struct cache_gc_result *result, struct error **err) must_check;

#endif
