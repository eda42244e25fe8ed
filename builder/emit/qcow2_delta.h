/* In which clusters two raw disks differ. */
#ifndef INGOT_EMIT_QCOW2_DELTA_H
#define INGOT_EMIT_QCOW2_DELTA_H

#include "base/error.h"

#include <stdint.h>

#define QCOW2_CLUSTER 65536

struct changed_cluster {
    uint64_t offset;
    bool zero; /* now wholly zero */
};

/* Looks only where one of the files has data. In the order of offsets; free *changed. */
bool qcow2_delta(int old_fd, int new_fd, uint64_t size, struct changed_cluster **changed,
                 size_t *count, struct error **err) must_check;

#endif
