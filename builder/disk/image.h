/* Disk images that others made: looked at and unpacked without trusting them.
 *
 * The format is the one that is expected, never one that a program guesses from the contents
 * (CVE-2010-3851). A qcow2's header is read here first (qemu's docs/interop/qcow2.txt): one with a
 * backing file, an external data file or encryption never reaches qemu-img, which would open what
 * it names (CVE-2024-4467).
 */
#ifndef INGOT_DISK_IMAGE_H
#define INGOT_DISK_IMAGE_H

#include "base/error.h"

#include <stdint.h>

struct image_info {
    const char *format;    /* "qcow2" or "raw" */
    uint64_t virtual_size; /* bytes of the disk */
    uint64_t allocated;    /* bytes that its raw form takes, at most */
    uint64_t file_size;
    const char *compression; /* of qcow2 clusters: "zlib", "zstd"; "" for raw */
};

/* format: "qcow2", "raw", or NULL for: by its first bytes, and only those two. ERROR_INPUT for
 * another format, a backing file or data file, a damaged or truncated image, a size over 16 TiB. */
bool image_info(const char *path, const char *format, struct image_info *info, struct error **err)
    must_check;

/* image_info, then the disk as a sparse raw file under the name raw (replaced if it exists, removed
 * on failure, not fsynced). ERROR_SPACE, said beforehand, where there is no room for it. */
bool image_to_raw(const char *path, const char *format, const char *raw, struct error **err)
    must_check;

#endif
