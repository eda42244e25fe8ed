/* The instances at a libvirt daemon: domains that carry our metadata. */
#ifndef INGOT_BOOT_REGISTRY_H
#define INGOT_BOOT_REGISTRY_H

#include "boot/virt.h"

/* The instance of that name, or where name is NULL the only one there is. ERROR_INPUT where there
 * is none, ERROR_USAGE where there are several (it names them). */
bool registry_find(struct virt *v, struct arena *a, const char *name, struct domain **d,
                   const struct instance **i, struct error **err) must_check;

struct registered {
    const struct instance *instance;
    const char *state;
    bool active;
};
/* All of them, sorted by name, in the arena. One whose metadata cannot be read is only logged. */
bool registry_list(struct virt *v, struct arena *a, struct registered **out, size_t *count,
                   struct error **err) must_check;

#endif
