/* Looking into a FAT file system at an offset of a raw disk, by mtools' mdir: no appliance for the
 * one question that a build has about an EFI system partition.
 */
#ifndef INGOT_DISK_FAT_H
#define INGOT_DISK_FAT_H

#include "base/error.h"

#include <stdint.h>

/* Is there a file or folder at this path ("/loader/random-seed")? ERROR_UNSUPPORTED where mtools is
 * not installed or cannot read the file system. */
bool fat_has(const char *raw, uint64_t offset, const char *path, bool *found, struct error **err)
    must_check;

#endif
