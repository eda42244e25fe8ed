/* NAME.lock: what a recipe's wishes came to, made for review in a diff. JSON, sorted, one source,
 * package or index a line; no credentials, and no path of a host: local files are named relative to
 * the lock's folder, beginning with `./` or `../`.
 *
 *   {"ingot_lock": 1, "epoch": 1795219200,
 *    "amd64": {
 *      "base": {"url", "sha256", "bytes", "verified"}
 *              or {"bootstrap": {"os", "suite", "mirror"}, …as "packages" below},
 *      "sources": {URL: {"sha256", "sha512", "bytes", "verified"}},
 *      "keys": {URL: {"sha256", "bytes", "verified"}},
 *      "packages": {"wanted": […], "present": […], "recommends": false, "base": digest,
 *                   "repositories": digest, "snapshot": stamp,
 *                   "packages": [{"name", "version", …}], "indexes": [{"url", "sha256"}]}}}
 *
 * `verified` says how the digest was vouched for when it was pinned; "first use" that nothing did.
 * Members that do not apply are left out.
 */
#ifndef INGOT_RESOLVE_LOCK_H
#define INGOT_RESOLVE_LOCK_H

#include "base/arena.h"
#include "recipe/recipe.h"
#include "resolve/resolution.h"

struct lock_source {
    const char *url;    /* as the recipe has it, filled in, without credentials; local files as
                           absolute paths. See lock_key */
    const char *sha256; /* of the blob */
    const char *sha512; /* of the blob, where that is what the recipe says; or NULL */
    uint64_t size;
    const char *verified;
};

/* A resolved set of packages and what was asked for. */
struct lock_packages {
    const char *os, *suite, *mirror; /* bootstrap only; mirror NULL: the host's sources */
    const char *const *wanted;       /* sorted; NULL at the end */
    const char *const *present;      /* asked for too, but the base has them; sorted, NULL-ended */
    bool recommends;
    const char *base;         /* digest of the base that it was resolved against; NULL: bootstrap */
    const char *repositories; /* digest over the recipe's repositories and keys; "" for none */
    const char *snapshot;     /* "20261121T000000Z": when the indexes were read; for snapshot
                                 services */
    const struct resolution *resolution; /* every package with its digest */
};

struct lock_arch {
    bool present;
    struct lock_source base;           /* url NULL: bootstrap or not locked yet */
    struct lock_packages bootstrap;    /* resolution NULL: none */
    struct lock_packages packages;     /* resolution NULL: none */
    const struct lock_source *sources; /* sorted by url */
    size_t source_count;
    const struct lock_source *keys; /* of package repositories, fetched by URL; sorted by url */
    size_t key_count;
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
/* The same from a text; dir: absolute folder that relative names start from. */
bool lock_parse(struct arena *a, const char *text, size_t size, const char *path, const char *dir,
                const struct lock **out, struct error **err) must_check;
/* Writes it (temporary file, fsync, rename), 0644; an unchanged text is not written again.
 * *changed says whether it was. */
bool lock_write(const struct lock *l, const char *path, bool *changed, struct error **err)
    must_check;
/* The text as it is written into the absolute folder dir. Free it. */
char *lock_text(const struct lock *l, const char *dir);

/* What a URL or host path is locked under: without the user part; a file: URL as its path, without
 * `.` and `..`. In the arena. */
const char *lock_key(struct arena *a, const char *url);
/* How a URL stands in a lock in the folder dir: without the user part, a local one relative to dir.
 * Free it. */
char *lock_name(const char *dir, const char *url);

/* NULL where it is not locked. url need not be a lock_key. */
const struct lock_source *lock_find_source(const struct lock_arch *l, const char *url);
const struct lock_source *lock_find_key(const struct lock_arch *l, const char *url);

#endif
