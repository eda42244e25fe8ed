/* Sealing: what makes one machine that machine is removed from the image, and asserted gone.
 *
 * machine-id (emptied, never removed), host keys, random seeds, cloud-init's state, leases, logs,
 * package managers' caches. Works on any struct disk, so with and without an appliance.
 */
#ifndef INGOT_BAKE_SEAL_H
#define INGOT_BAKE_SEAL_H

#include "base/arena.h"
#include "base/error.h"
#include "disk/writer.h"

struct seal_options {
    enum init_system init;          /* systemd gets an empty /etc/machine-id where it has none */
    const char *const *never_baked; /* guest paths that must not exist, NULL at the end; or NULL */
    int64_t epoch;                  /* time of what is written */
    const char *tmp;                /* host folder for a temporary file */
    const char *raw;                /* the raw disk and */
    const struct facts *facts; /* its mounts, for FAT file systems that the writer cannot read */
};

/* Removes. *removed (NULL at the end, in the arena) gets the guest path of each thing that was
 * there and is gone or emptied. */
bool bake_seal(struct disk *d, const struct seal_options *o, struct arena *a,
               const char *const **removed, struct error **err) must_check;
/* Looks at everything again: ERROR_GUEST names what is still there. Never_baked paths are not
 * removed, only looked for: who brought them must stop. */
bool bake_seal_assert(struct disk *d, const struct seal_options *o, struct error **err) must_check;

#endif
