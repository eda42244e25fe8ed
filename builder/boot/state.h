/* Where ingot-boot keeps files: INGOT_STATE and INGOT_CACHE, or the XDG base directories. */
#ifndef INGOT_BOOT_STATE_H
#define INGOT_BOOT_STATE_H

#include "boot/virt.h"

/* The folder of instances for this daemon: INGOT_STATE, else $XDG_STATE_HOME/ingot or
 * ~/.local/state/ingot (session), /var/lib/ingot (system, root). Free it. */
char *state_root(const struct virt *v);
/* INGOT_CACHE, else $XDG_CACHE_HOME/ingot, else ~/.cache/ingot: the accelerator's memory. Free it.
 */
char *state_cache(void);

/* Where the agent's socket of this instance must be: libvirt's own place below the configuration
 * folder is too deep for a UNIX socket's name (unix(7): 107 bytes) where HOME is long. NULL:
 * libvirt's place will do. Free it. */
char *state_agent_socket(const struct virt *v, const char *name, const char *instance_id);

/* True if this user and group may search every folder above path and read it. Supplementary groups
 * and ACLs are not looked at: a false here only leads to a copy or a hint. */
bool state_reachable(const char *path, uid_t uid, gid_t gid);

#endif
