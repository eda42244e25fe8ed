/* Which file system of a disk stands where in the guest's tree: /etc/fstab against the partitions.
 */
#ifndef INGOT_DISK_MOUNTS_H
#define INGOT_DISK_MOUNTS_H

#include "disk/partitions.h"
#include "resolve/facts.h"

/* The partition that looks most like the root: labelled cloudimg-rootfs, then `/`, then the largest
 * with a Linux file system. after: the one that was returned before, to get the next best; NULL for
 * the first. NULL where there is no more. */
const struct partition *mounts_guess_root(const struct partition_table *t,
                                          const struct partition *after);

/* Fills mounts (FACTS_MAX_MOUNTS of them), root first, parents before children. Entries of fstab
 * (fstab(5); text may be NULL) are matched by LABEL, UUID, PARTLABEL and PARTUUID; a device name
 * like /dev/sda1 says nothing about this disk and is left out, as are file systems that are not on
 * it. root: the partition that is known to be the root; NULL: what fstab says, else
 * mounts_guess_root. Fails with ERROR_UNSUPPORTED where no root is found or there are too many
 * mounts. */
bool mounts_read(struct arena *a, const char *fstab, const struct partition_table *t,
                 const struct partition *root, struct fact_mount *mounts, size_t *count,
                 struct error **err) must_check;

#endif
