/* GRUB on a disk that is a file: for BIOS embedded by hand as grub-bios-setup does it, for UEFI as
 * the file in \EFI\BOOT that is started without a boot entry. The menu stands on the partition
 * labelled BOOT (bootstrap_files.h).
 */
#ifndef INGOT_BAKE_BOOTSTRAP_GRUB_H
#define INGOT_BAKE_BOOTSTRAP_GRUB_H

#include "bake/bootstrap_platform.h"
#include "base/error.h"

#include <stdint.h>

struct bootstrap_grub {
    const char *raw, *work;
    uint64_t bios_start, bios_sectors; /* the BIOS boot partition, in sectors of 512 bytes */
    uint64_t esp_start, esp_sectors;
    const char *esp_label;
    uint32_t esp_serial;
    int64_t epoch;
    const struct bootstrap_platform *platform;
};

/* ERROR_HOST names the package where GRUB or mtools are not installed. */
bool bootstrap_grub_install(const struct bootstrap_grub *g, struct error **err) must_check;

enum { GRUB_SECTOR = 512 };
/* boot.img, the code of the first sector: where core.img begins (64-bit LBA at 0x5c), and without
 * the jump over the check for a hard disk (two no-ops at 0x66), as grub-bios-setup patches it
 * (GRUB's include/grub/i386/pc/boot.h). The partition table's bytes of the disk's first sector
 * stay. */
bool grub_patch_boot(unsigned char boot[GRUB_SECTOR], const unsigned char disk[GRUB_SECTOR],
                     uint64_t core_lba, struct error **err) must_check;
/* core.img's first sector: the list of blocks at its end says where the rest is: 64-bit LBA at
 * 0x1f4, 16-bit number of sectors, 16-bit segment 0x820 (include/grub/offsets.h). */
bool grub_patch_core(unsigned char *core, size_t size, uint64_t core_lba, uint64_t room_sectors,
                     struct error **err) must_check;

#endif
