/* The artifact's disk, judged before it is used, and the overlay on top of it. */
#ifndef INGOT_BOOT_DISK_H
#define INGOT_BOOT_DISK_H

#include "boot/virt.h"
#include "contract/contract.h"

/* The disk beside image.json is what it says: size, SHA-256 (ERROR_TRUST), format, and no file that
 * it refers to (backing file, external data: ERROR_TRUST). Reads the whole file, with a bar. */
bool disk_check(const char *folder, const struct contract *c, struct error **err) must_check;

/* Puts the disk under `dir` as the base of an overlay, and names it in *base (in the arena): a hard
 * link where QEMU's user can read that, else a copy: an artifact that is built anew must not pull
 * the disk from under an instance. */
bool disk_place_base(struct arena *a, const struct virt *v, const char *artifact, const char *dir,
                     const char **base, struct error **err) must_check;

/* A new qcow2 with `base` below it (qemu-img create). */
bool disk_make_overlay(const char *base, const char *format, const char *overlay,
                       struct error **err) must_check;

#endif
