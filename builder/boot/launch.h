/* Starting a defined domain and waiting for it, with the second stage of "does KVM work": a guest
 * that shows no life under KVM is defined anew for software emulation, once, and that is
 * remembered. */
#ifndef INGOT_BOOT_LAUNCH_H
#define INGOT_BOOT_LAUNCH_H

#include "boot/ready.h"
#include "boot/virt.h"

/* The accelerator for a guest of this architecture (NULL: the host's), with a line for people where
 * it is TCG. */
bool launch_accel(const struct virt *v, const char *arch, struct accel_verdict *out,
                  struct error **err) must_check;

/* Starts *d (which may be replaced by its new definition) and waits until the stage is reached. On
 * failure *started says whether it runs. */
bool launch(struct virt *v, struct domain **d, const struct instance *i,
            const struct accel_verdict *accel, enum ready_stage until, unsigned timeout_seconds,
            bool *started, struct error **err) must_check;

/* Asks the guest to shut down: through its agent, then the ACPI button, each for half of the time;
 * then, with force, at once. ERROR_TIMEOUT if it still runs. One that is off is fine. */
bool launch_stop(struct virt *v, struct domain *d, unsigned timeout_seconds, bool force,
                 struct error **err) must_check;

/* Stops the domain at once, undefines it and removes the instance's folder. */
bool launch_delete(struct domain *d, const struct instance *i, struct error **err) must_check;

#endif
