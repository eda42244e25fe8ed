/* Shared by virt*.c only. */
#ifndef INGOT_BOOT_VIRT_INTERNAL_H
#define INGOT_BOOT_VIRT_INTERNAL_H

#include "boot/virt.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct virt {
    virConnectPtr connection;
    char *uri;
    const char *why;
    int timer;
    bool woken; /* an event came, or the time is over */
};

struct domain {
    struct virt *virt;
    virDomainPtr handle;
    char *name; /* kept: asking libvirt for it would forget its last error */
    bool agent_connected, stopped;
    int agent_event, life_event; /* callback numbers, -1: none */
};

/* What libvirt said last (no call to it may stand between, nor in the arguments), as an error of
 * this kind; the kind is changed where libvirt knows better (a time-out, a guest without agent).
 * False. */
bool virt_error(struct error **err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
