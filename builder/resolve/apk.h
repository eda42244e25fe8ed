/* What is known on the host of apk's repositories and indexes (apk-repositories(5); apk 2.14 and
 * 3).
 *
 * The solving is done by the guest's own apk, in the appliance (bake/system_apk.c): it alone
 * verifies the indexes' signatures. Here are the parsers, and the step from apk's answer to files
 * with URLs.
 */
#ifndef INGOT_RESOLVE_APK_H
#define INGOT_RESOLVE_APK_H

#include "resolve/repository.h"
#include "resolve/resolution.h"

/* A repository, as a folder on the drive that the appliance gets. */
struct apk_repository {
    const char *tag;       /* "@edge", or NULL */
    const char *url;       /* without a slash at the end */
    const char *index_url; /* URL/ARCH/APKINDEX.tar.gz: to be fetched by the caller */
    const char *index;     /* host file of that index, and */
    const char *digest;    /* its SHA-256: set by the caller once it is fetched */
    const struct package_repository *recipe; /* NULL: one of the guest's */
};

struct apk_key {
    const char *name; /* "x-1.rsa.pub" */
    const char *text;
    size_t size;
};

struct apk_repositories {
    const char *architecture; /* "x86_64" */
    struct apk_repository *items;
    size_t count;
    struct apk_key *keys; /* the guest's and the recipe's */
    size_t key_count;
};

/* apk's name of an architecture: "x86_64" of "amd64"; NULL for none of ours. */
const char *apk_architecture(const char *name);

/* The guest's repositories (text of /etc/apk/repositories) and behind them the recipe's. Those that
 * only the guest can see (folders, cdrom) are passed over with a message. out->architecture is set;
 * keys are added by apk_add_key. ERROR_INPUT. */
bool apk_read_repositories(struct arena *a, const char *text,
                           const struct package_repository *recipe, size_t count,
                           struct apk_repositories *out, struct error **err) must_check;
/* Adds a public key; apk finds it by its name, which must be a plain one. */
bool apk_add_key(struct arena *a, struct apk_repositories *r, const char *name, const char *text,
                 size_t size, struct error **err) must_check;
/* Adds the keys of the recipe's repositories, under key_name or the last part of the key's path. */
bool apk_add_recipe_keys(struct arena *a, struct apk_repositories *r, struct error **err)
    must_check;

/* Puts the indexes that a lock has pinned (url, digest, path: the host file) in front of the
 * present ones; one that is the present one too is not put twice. With them a locked package is
 * found although the archive has moved on. Pins of other repositories are passed over. */
void apk_put_locked(struct arena *a, struct apk_repositories *r, const struct resolution *locked);

struct apk_entry {
    const char *name, *version, *architecture;
    uint64_t size;
    const char *checksum; /* C:, see resolve/apk_package.h; or NULL */
};
struct apk_index {
    const struct apk_entry *entries; /* in the index's order */
    size_t count;
};
/* The text of an APKINDEX: paragraphs of `X:value` lines. */
bool apk_parse_index(struct arena *a, const char *text, struct apk_index *out, struct error **err)
    must_check;
/* The same of an APKINDEX.tar.gz (resolve/apk_package.h). Signatures are not looked at. */
bool apk_read_index(struct arena *a, const char *path, struct apk_index *out, struct error **err)
    must_check;

/* What `apk add --simulate` says that it would do: packages to be there afterwards, by name and
 * version (sizes are 0). Anything it would take away is ERROR_INPUT. */
bool apk_parse_simulation(struct arena *a, const char *output, struct apk_index *out,
                          struct error **err) must_check;
/* ERROR_TRUST if apk's output has a word about an index that it does not trust or cannot read: it
 * only warns of that. */
bool apk_check_trust(const char *output, struct error **err) must_check;

/* The packages with URL, size and the index's checksum, from the first repository that has each.
 * The digests are NULL.
 * indexes: one for each repository. */
bool apk_locate(struct arena *a, const struct apk_repositories *r, const struct apk_index *indexes,
                const struct apk_index *changes, const char *const *wanted,
                const struct resolution **out, struct error **err) must_check;
/* What apk add gets: the wishes, and for each package of `pins` (or NULL) `name=version` in place
 * of the wish for it, if there is one: apk keeps one entry a name. NULL-terminated, in the arena.
 */
const char *const *apk_wishes(struct arena *a, const char *const *wanted,
                              const struct resolution *pins);
/* The text of /etc/apk/world after an installation with these pins: each of them becomes the wish
 * again, or what stood there before, or nothing. */
const char *apk_world(struct arena *a, const char *before, const char *after,
                      const char *const *wanted, const struct resolution *pins);

/* Which repository a package's URL belongs to; r->count where none. */
size_t apk_repository_of(const struct apk_repositories *r, const char *url);

#endif
