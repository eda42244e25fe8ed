/* A base image made from a distribution's packages: mmdebstrap makes the tree (in its unshare mode
 * for an ordinary user), and a GPT disk is laid out around it as Ubuntu's cloud image is. No
 * appliance, no root, no loop device. The disk boots with BIOS (pc, q35) and UEFI, that of arm64
 * with UEFI alone, and takes its user, network and the rest from cloud-init's NoCloud seed.
 *
 * Which packages it is made of can be said on any host; it is made on one of its architecture.
 *
 * An ordinary user needs ranges in /etc/subuid and /etc/subgid, and newuidmap (package uidmap).
 */
#ifndef INGOT_BAKE_BOOTSTRAP_H
#define INGOT_BAKE_BOOTSTRAP_H

#include "base/digest.h"
#include "base/error.h"
#include "resolve/resolution.h"

#include <stdint.h>

struct bootstrap {
    const char *os, *suite, *architecture; /* "debian", "bookworm", "amd64" or "arm64" */
    const char *const *packages;           /* beside the built-in list; NULL-terminated; or NULL */
    const char *mirror;  /* URL, or NULL: the host's own apt sources for that suite (ERROR_INPUT
                            where it has none) */
    int64_t epoch;       /* every time that is written */
    const char *scratch; /* folder for temporary files */
    const struct resolution
        *resolution;          /* every package of the system: bootstrap_resolve, or a lock */
    const char *const *files; /* host path of each, in the resolution's order */
};

/* Which packages the system consists of (what mmdebstrap's minbase variant installs, the built-in
 * list, `packages`, and what they need), from the indexes that the host's apt reads and verifies
 * now; `work` is a folder of the cache where apt's state is kept. `resolution` and `files` are not
 * looked at. offline: the indexes of the last time (ERROR_UNREACHABLE without). Errors as
 * apt_resolve's, and ERROR_UNSUPPORTED for another os or architecture. */
bool bootstrap_resolve(const struct bootstrap *b, struct arena *a, const char *work, bool offline,
                       const struct resolution **out, struct error **err) must_check;

/* The packages that were asked for, built-in and the recipe's: sorted, each once, NULL-terminated,
 * in the arena. ERROR_INPUT for names that are none, ERROR_UNSUPPORTED for another architecture. */
bool bootstrap_wanted(const struct bootstrap *b, struct arena *a, const char *const **out,
                      struct error **err) must_check;

/* SHA-256 over canonical JSON of all that goes into the base: format version, os, suite,
 * architecture, names, versions and digests of the packages in `resolution`, the archives of its
 * indexes (which the guest keeps as its sources), what is put into the guest beside them, epoch.
 * The host's own sources do not count, nor `files`. ERROR_INPUT for names or pins that are none,
 * ERROR_UNSUPPORTED for another os or architecture. */
bool bootstrap_key(const struct bootstrap *b, char key[SHA256_HEX], struct error **err) must_check;

/* Makes the raw disk at `raw` (sparse, 0600; the caller renames it) from `files` alone: nothing is
 * fetched, and no socket is opened but local ones. About a minute. On failure nothing is left
 * behind. ERROR_HOST names the missing package, or the host of another architecture. */
bool bootstrap_make(const struct bootstrap *b, const char *raw, struct error **err) must_check;

#endif
