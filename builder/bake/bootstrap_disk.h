/* The disk of a base made from packages: GPT, laid out as Ubuntu 24.04's cloud image is.
 *
 *   1   ext4  cloudimg-rootfs   /           last on the disk, so that it can grow
 *   14  -     -                 BIOS boot   GRUB's core; not where there is no BIOS
 *   15  FAT   UEFI              /boot/efi   GRUB for UEFI
 *   16  ext4  BOOT              /boot       kernels, menu
 *
 * Every identifier is derived from a seed and every time is the epoch: the same inputs and tools
 * give the same bytes.
 */
#ifndef INGOT_BAKE_BOOTSTRAP_DISK_H
#define INGOT_BAKE_BOOTSTRAP_DISK_H

#include "bake/bootstrap_platform.h"
#include "bake/bootstrap_tar.h"
#include "base/error.h"

#include <stdint.h>

enum { SECTOR = 512, UUID_TEXT = 37 };

struct bootstrap_disk {
    const char *raw;  /* made new, sparse */
    const char *work; /* an empty folder for temporary files */
    const char *tar;  /* the tree */
    struct tar_totals totals;
    const char *seed; /* a text that the identifiers are derived from: the key */
    int64_t epoch;
    const struct bootstrap_platform *platform;
};

bool bootstrap_disk_make(const struct bootstrap_disk *d, struct error **err) must_check;

/* A UUID (RFC 9562, version 8) derived from seed and name. */
void bootstrap_uuid(const char *seed, const char *name, char uuid[UUID_TEXT]);

/* What the partition table says, for sfdisk(8); root_sectors is partition 1's size. */
char *bootstrap_table(const char *seed, const struct bootstrap_platform *p, uint64_t root_sectors);
uint64_t bootstrap_root_sectors(const struct tar_totals *totals);

/* Makes the file of that size and writes the partition table. */
bool bootstrap_disk_partition(const char *raw, const char *seed, const struct bootstrap_platform *p,
                              uint64_t root_sectors, struct error **err) must_check;

#endif
