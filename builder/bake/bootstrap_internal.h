/* Shared by bootstrap*.c only. */
#ifndef INGOT_BAKE_BOOTSTRAP_INTERNAL_H
#define INGOT_BAKE_BOOTSTRAP_INTERNAL_H

#include "bake/apt_sources.h"
#include "bake/bootstrap.h"
#include "bake/bootstrap_platform.h"
#include "bake/bootstrap_tar.h"

/* What the inputs come to. */
struct bootstrap_inputs {
    struct arena *arena;
    const struct bootstrap_platform *platform;
    const char **packages; /* built-in and asked for: sorted, each once, NULL-terminated */
    size_t count;
    const char *sources; /* deb822: what apt reads, or what the guest keeps */
    struct apt_sources used;
};

extern const char bootstrap_keyring[];

/* Sets the platform and the packages; `in` has an arena. ERROR_INPUT, ERROR_UNSUPPORTED as the
 * header says. */
bool bootstrap_collect(const struct bootstrap *b, struct bootstrap_inputs *in, struct error **err)
    must_check;

/* Sets sources and used: the archives of b->resolution's indexes. ERROR_INPUT. */
bool bootstrap_pinned_sources(const struct bootstrap *b, struct bootstrap_inputs *in,
                              struct error **err) must_check;

/* The options of mmdebstrap that are the same for all, NULL-terminated. */
extern const char *const bootstrap_options[];

/* Makes work/tree.tar, the whole file system, from the packages' files. */
bool bootstrap_tree(const struct bootstrap *b, const struct bootstrap_inputs *in, const char *work,
                    struct tar_totals *totals, struct error **err) must_check;

/* A flat repository of the packages in the new folder: N.deb, Packages, Release, readable for all.
 */
bool bootstrap_repository(const struct bootstrap *b, const char *folder, struct error **err)
    must_check;

#endif
