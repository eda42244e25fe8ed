/* A raw disk as qcow2 or VMDK. The same input gives the same bytes: qemu-img writes in order (no
 * -W), qemu-io one cluster after the other. Nothing is fsynced here. Needs qemu-img and qemu-io.
 */
#ifndef INGOT_EMIT_QCOW2_H
#define INGOT_EMIT_QCOW2_H

#include "base/error.h"

/* compression: "zstd", "zlib" or "none". A file that stands at path is replaced; it is removed on
 * failure. ERROR_SPACE where the host has no room. */
bool qcow2_from_raw(const char *raw, const char *path, const char *compression, struct error **err)
    must_check;

/* The qcow2 of `raw` from the one of another disk that differs little: old_qcow2 is qcow2_from_raw
 * of old_raw with the same compression. It is copied (a reflink where the file system can), and the
 * 64 KiB clusters in which the raw files differ are written anew, in the order of offsets. Neither
 * old file is changed. Disks of different sizes, and compression "none", are converted whole. */
bool qcow2_rebuild(const char *old_raw, const char *old_qcow2, const char *raw, const char *path,
                   const char *compression, struct error **err) must_check;

/* streamOptimized, which hypervisors import. */
bool vmdk_from_raw(const char *raw, const char *path, struct error **err) must_check;

#endif
