/* NAME.lock: what a recipe's wishes came to, made for review in a diff. JSON, keys sorted, lists
 * sorted, one entry a line where it fits; no path of a host, no credentials.
 *
 *   {"ingot_lock": 1, "epoch": 1795219200,
 *    "amd64": {
 *      "base": {"url": …, "sha256": …, "bytes": …, "verified": "checksums …"}
 *              or {"bootstrap": {"os", "suite"}, "wanted": […], "packages": […], "indexes": […]},
 *      "sources": {URL: {"sha256", "bytes", "verified"}},
 *      "packages": {"wanted": […], "recommends": false, "repositories": {URL: key digest},
 *                   "packages": [{"name", "version", …}], "indexes": [{"url", "sha256"}]}}}
 *
 * `verified` says how the digest was vouched for when it was pinned; "first use" that nothing did.
 */
#ifndef INGOT_RESOLVE_LOCK_H
#define INGOT_RESOLVE_LOCK_H

#include "base/arena.h"
#include "recipe/recipe.h"
#include "resolve/resolution.h"

struct lock_source {
    const char *url;    /* as the recipe has it, filled in, without credentials */
    const char *sha256; /* of the blob */
    uint64_t size;
    const char *verified;
};

/* A resolved set of packages and what was asked for. */
struct lock_packages {
    const char *const *wanted; /* sorted; NULL at the end */
    bool recommends;
    const char *base;         /* digest of the base that it was resolved against; NULL: bootstrap */
    const char *repositories; /* digest over the recipe's repositories and keys; "" for none */
    const char *snapshot;     /* "20261121T000000Z": when the indexes were read; for snapshot
                                 services */
    const struct resolution *resolution;
};

struct lock_arch {
    bool present;
    struct lock_source base;           /* url NULL: bootstrap or not locked yet */
    struct lock_packages bootstrap;    /* resolution NULL: none */
    struct lock_packages packages;     /* resolution NULL: none */
    const struct lock_source *sources; /* sorted by url */
    size_t source_count;
};

struct lock {
    int64_t epoch;            /* seconds: of everything that is written */
    struct lock_arch arch[2]; /* by enum architecture */
};

/* NAME.lock beside the recipe file. Free it. */
char *lock_path(const char *recipe_path);
/* *out is NULL where there is no such file. ERROR_INPUT with the place for one that is malformed,
 * ERROR_UNSUPPORTED for a newer format. */
bool lock_read(struct arena *a, const char *path, const struct lock **out, struct error **err)
    must_check;
/* Writes it (temporary file, fsync, rename), 0644; an unchanged text is not written again.
 * *changed says whether it was. */
bool lock_write(const struct lock *l, const char *path, bool *changed, struct error **err)
    must_check;
/* The text as it is written. Free it. */
char *lock_text(const struct lock *l);

const struct lock_source *lock_find_source(const struct lock_arch *l, const char *url);

#endif
