/* Resolving packages for a guest with apt, on the host, by the host's own apt-get.
 *
 * apt-get gets a configuration of ours alone (apt.conf(5), APT_CONFIG): the guest's package status,
 * sources and keyrings, no setting of the host. apt itself verifies the signatures of the indexes;
 * nothing here weakens that. Its state is kept in the cache, by sources and keyrings, so that an
 * unchanged index is not fetched again.
 */
#ifndef INGOT_RESOLVE_APT_H
#define INGOT_RESOLVE_APT_H

#include "resolve/repository.h"
#include "resolve/resolution.h"

struct apt_request {
    const char *guest; /* host folder with the guest's files below their own paths (/etc/apt/…,
                          /var/lib/dpkg/status, keyrings): bake/guest_state.h takes them out */
    const char *work;  /* folder of the cache for apt's state */
    const char *architecture;  /* "amd64" */
    const char *const *wanted; /* package names, `name=version` too; NULL at the end */
    bool recommends;
    bool offline; /* use the indexes of the last time; none is ERROR_UNREACHABLE */
    const struct package_repository *repositories; /* of the recipe; only those for apt count */
    size_t repository_count;
    /* Packages that a lock has pinned, with the host path of each: they count as installed at that
     * version, so that apt leaves them as they are and says only what else is needed. */
    const struct package *locked;
    const char *const *locked_files;
    size_t locked_count;
    /* For a system made anew: of this suite all that mmdebstrap(1)'s minbase variant installs is
     * wanted too (essential and required packages, apt); then guest has the host's own sources, and
     * file: ones count as well. NULL: the guest is a system. */
    const char *bootstrap_suite;
};

/* Which files have to be fetched so that the wanted packages are there, with SHA-256 each, and the
 * indexes that say so. The locked packages are not among them: the caller puts both together.
 * Locked packages that contradict what is wanted are ERROR_CHANGED. Everything lives in the arena.
 * ERROR_TRUST where a signature, key or digest is not right, ERROR_UNREACHABLE where an index
 * cannot be had, ERROR_INPUT where there is no such package, ERROR_HOST without apt-get. */
bool apt_resolve(struct arena *a, const struct apt_request *r, const struct resolution **out,
                 struct error **err) must_check;

/* The sources file that keeps a recipe's repository in the guest: its key is at key_path there.
 * Free it. NULL for one that only the host can see (file:). */
char *apt_repository_source(const struct repository *r, const char *key_path);

/* One line of `apt-get install --print-uris`: 'URL' FILE SIZE SHA256:HEX. */
bool apt_parse_uri(struct arena *a, const char *line, struct package *out, struct error **err)
    must_check;

/* Whether a key file holds exactly one key, with this full fingerprint (spaces are allowed in it),
 * as gpg reads it. ERROR_TRUST. tmp: folder for gpg's own state. */
bool apt_check_key(const char *key, const char *fingerprint, const char *tmp, struct error **err)
    must_check;

#endif
