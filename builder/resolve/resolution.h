/* What a resolution of packages says: which files to fetch, from where, with which digest. */
#ifndef INGOT_RESOLVE_RESOLUTION_H
#define INGOT_RESOLVE_RESOLUTION_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

struct package {
    const char *name, *version, *architecture;
    const char *url;      /* where it is fetched */
    const char *filename; /* the name of the file that the package manager expects */
    uint64_t size;
    enum digest_kind digest_kind;
    const char *digest;       /* hexadecimal; NULL for apk before the first fetch */
    bool automatic;           /* a dependency, not asked for by name */
    const char *apk_checksum; /* what a signed index says of one that has no digest yet
                                 (resolve/apk_package.h); not in JSON; or NULL */
    bool first_use;           /* nothing vouched for the digest when it was taken */
};

/* A package index that the resolution was made from, as it was read. */
struct index_pin {
    const char *url, *digest; /* SHA-256 */
    const char *path;         /* host file with that text */
    const char *archive;      /* URL that the archive's packages are below, with a slash at the end;
                                 NULL:      not known */
    const char *snapshot; /* the archive's snapshot service: what stands in place of `archive`, with
                             @SNAPSHOTID@ for the time; NULL: it has none (resolve/snapshot.h) */
};

struct resolution {
    const struct package *packages; /* sorted by name */
    size_t count;
    const struct index_pin *indexes;
    size_t index_count;
};

/* The package of this name (of n bytes); NULL: none. */
const struct package *resolution_find(const struct resolution *r, const char *name, size_t n);

json_t *resolution_to_json(const struct resolution *r);
bool resolution_from_json(struct arena *a, const json_t *j, const struct resolution **out,
                          struct error **err) must_check;

#endif
