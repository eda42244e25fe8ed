/* Is this host fit to boot? */
#ifndef INGOT_BOOT_DOCTOR_H
#define INGOT_BOOT_DOCTOR_H

#include "base/finding.h"

/* KVM (by running it), libvirt (which URI and why), QEMU's user, the folder of instances, qemu-img,
 * firmware. uri as for virt_open. */
void doctor_look(struct findings *f, const char *uri);

#endif
