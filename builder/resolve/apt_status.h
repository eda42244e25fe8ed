/* A guest's package status (/var/lib/dpkg/status) with packages that count as installed. */
#ifndef INGOT_RESOLVE_APT_STATUS_H
#define INGOT_RESOLVE_APT_STATUS_H

#include "base/buffer.h"
#include "resolve/resolution.h"

/* Appends the stanzas of `status` but for packages that are locked, and behind them the locked ones
 * as installed and held: apt then changes none of them. files: the host path of each. */
bool apt_lock_status(const char *status, const struct package *locked, const char *const *files,
                     size_t count, struct buffer *out, struct error **err) must_check;

#endif
