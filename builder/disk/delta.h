/* In which clusters two raw disks, or parts of disks, differ. */
#ifndef INGOT_DISK_DELTA_H
#define INGOT_DISK_DELTA_H

#include "base/error.h"

#include <stdint.h>

#define DELTA_CLUSTER 65536

struct changed_cluster {
    uint64_t offset; /* from the start of what is compared */
    bool zero;       /* now wholly zero */
};

/* A part of an open file: bytes from offset on. */
struct delta_side {
    int fd;
    uint64_t offset;
};

/* Compares size bytes, looking only where one of the sides has data (SEEK_DATA); what lies behind
 * the end of a file is zero. In the order of offsets; free *changed. */
bool delta_find(struct delta_side was, struct delta_side is, uint64_t size,
                struct changed_cluster **changed, size_t *count, struct error **err) must_check;

/* The bytes of one cluster, filled up with zeros; *used is how many lie within size. */
bool delta_read(struct delta_side side, uint64_t offset, uint64_t size, char bytes[DELTA_CLUSTER],
                size_t *used, struct error **err) must_check;

#endif
