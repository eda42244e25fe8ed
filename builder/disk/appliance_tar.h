/* A tar written again with other names. */
#ifndef INGOT_DISK_APPLIANCE_TAR_H
#define INGOT_DISK_APPLIANCE_TAR_H

#include "base/error.h"

struct tar_rename {
    const char *path; /* clean, absolute */
    const char *link; /* of a hard link; else NULL */
    bool omit;        /* left out of the copy */
};

/* Copies `from` to the new file `to` (pax, numeric ids), entry i under the name renames[i]. */
bool tar_write_renamed(const char *from, const struct tar_rename *renames, size_t count,
                       const char *to, struct error **err) must_check;

#endif
