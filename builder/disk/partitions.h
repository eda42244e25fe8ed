/* What is on a raw disk: its partition table and the file systems, by probing at byte offsets with
 * libblkid; no loop device, no root.
 */
#ifndef INGOT_DISK_PARTITIONS_H
#define INGOT_DISK_PARTITIONS_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

/* One partition, or the bare disk with a file system on it (number 0). */
struct partition {
    unsigned number;
    uint64_t offset, size;    /* bytes in the raw disk */
    const char *type;         /* of the partition: a GUID (gpt) or 0x83 (dos); "" for a bare disk */
    const char *name;         /* the partition's own name (gpt) or "" */
    const char *partuuid;     /* or "" */
    const char *file_system;  /* "ext4", "vfat", "LVM2_member", …; "" where nothing is known */
    const char *label, *uuid; /* of the file system; or "" */
};

struct partition_table {
    const char *type; /* "gpt", "dos"; "" for a file system on the bare disk */
    uint64_t disk_size;
    const struct partition *partitions; /* by number */
    size_t count;
};

/* Reads path; all strings live in the arena. A disk on which nothing is found has no partitions:
 * that is no failure. A partition that leaves the disk is ERROR_INPUT. Labels with control
 * characters are taken for none. */
bool partitions_read(struct arena *a, const char *path, struct partition_table *out,
                     struct error **err) must_check;

#endif
