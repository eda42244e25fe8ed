/* What resolving packages needs of the guest, taken from its disk by whichever writer opens it. */
#ifndef INGOT_BAKE_GUEST_STATE_H
#define INGOT_BAKE_GUEST_STATE_H

#include "disk/writer.h"
#include "resolve/apk.h"

/* Copies apt's inputs (package status, sources, preferences, mirror lists, keyrings) to the host
 * folder, each below its own path, for apt_resolve. */
bool bake_apt_state(struct disk *d, const char *folder, struct error **err) must_check;

/* The guest's apk repositories and keys with those of the recipe behind them. The caller fetches
 * each index_url and sets index and digest. ERROR_UNSUPPORTED for an architecture that we do not
 * know. */
bool bake_apk_state(struct disk *d, struct arena *a, const char *architecture,
                    const struct package_repository *recipe, size_t count,
                    struct apk_repositories *out, struct error **err) must_check;

#endif
