/* libvirt (its C API; virt*.c are the only files that see it): a connection, domains that are ours,
 * events, the guest agent's channel, the console.
 *
 * One thread; libvirt's default event loop runs inside virt_wait and virt_console only. Libvirt's
 * errors become one chain each, nothing is printed.
 */
#ifndef INGOT_BOOT_VIRT_H
#define INGOT_BOOT_VIRT_H

#include "base/arena.h"
#include "base/error.h"
#include "boot/instance.h"

#include <sys/types.h>

struct virt;
struct domain;

/* --- the connection ------------------------------------------------------------------------------
 */

/* uri may be NULL: LIBVIRT_DEFAULT_URI, INGOT_LIBVIRT_URI, else system where this user may, else
 * session. No daemon is ERROR_HOST with the commands that start one; a URI on another machine is
 * ERROR_UNSUPPORTED. */
bool virt_open(const char *uri, struct virt **out, struct error **err) must_check;
void virt_close(struct virt *v);
/* The command that starts a daemon on this host (or installs one), to be run as root. */
const char *virt_start_command(void);
const char *virt_uri(const struct virt *v);
const char *virt_why(const struct virt *v); /* why this URI: "--connect", "this user may use it" */
bool virt_is_session(const struct virt *v);
/* Version of the daemon, "9.0.0"; room for 24 bytes. */
const char *virt_version(const struct virt *v, char out[24]);
/* Who QEMU runs as; false where it runs as the caller. */
bool virt_qemu_user(const struct virt *v, uid_t *uid, gid_t *gid);
bool virt_has_passt(const struct virt *v, const char *arch);
/* ERROR_INPUT if there is no such network, ERROR_HOST if it is not active, with the command. */
bool virt_check_network(const struct virt *v, const char *name, struct error **err) must_check;

static inline void cleanup_virt(struct virt **v)
{
    virt_close(*v);
}
#define autovirt cleanup(cleanup_virt)

/* --- domains -------------------------------------------------------------------------------------
 */

bool virt_define(struct virt *v, const char *xml, struct domain **out, struct error **err)
    must_check;
/* NULL where there is none of that name. */
bool virt_find(struct virt *v, const char *name, struct domain **out, struct error **err)
    must_check;
/* All domains that carry our metadata, sorted by name. Free the array and each domain. */
bool virt_list(struct virt *v, struct domain ***out, size_t *count, struct error **err) must_check;
void domain_free(struct domain *d);
const char *domain_name(const struct domain *d);
/* The metadata element; NULL where the domain is not ours. Free it. */
bool domain_metadata(const struct domain *d, char **xml, struct error **err) must_check;
/* The inactive definition; free it. */
bool domain_xml(const struct domain *d, char **xml, struct error **err) must_check;
/* "running", "paused", "shut off", "crashed" …; *active is true while QEMU runs. */
bool domain_state(const struct domain *d, const char **state, bool *active, struct error **err)
    must_check;
bool domain_resources(const struct domain *d, uint64_t *memory, unsigned *cpus, struct error **err)
    must_check;
bool domain_start(struct domain *d, struct error **err) must_check;
/* At once, like pulling the plug. One that is off already is fine. */
bool domain_destroy(struct domain *d, struct error **err) must_check;
/* With its firmware variables. */
bool domain_undefine(struct domain *d, struct error **err) must_check;
/* Asks the guest, through its agent or the ACPI button; returns at once. */
bool domain_shutdown(struct domain *d, bool agent, struct error **err) must_check;

static inline void cleanup_domain(struct domain **d)
{
    domain_free(*d);
}
#define autodomain cleanup(cleanup_domain)

/* --- the running guest ---------------------------------------------------------------------------
 */

/* Lets events of this domain come in: the agent's connection, the end of the domain. Call it before
 * domain_start, so that none is missed. */
bool domain_watch(struct domain *d, struct error **err) must_check;
/* Runs the event loop until an event of a watched domain comes, or for `ms` milliseconds. */
bool virt_wait(struct virt *v, unsigned ms, struct error **err) must_check;
bool domain_agent_connected(const struct domain *d); /* as the last event said */
bool domain_stopped(const struct domain *d);         /* an event said so since domain_watch */

/* One command for the agent, JSON in, JSON out (free it). ERROR_GUEST if the agent refuses, is not
 * there, or does not answer within `seconds`. */
bool domain_agent(struct domain *d, const char *command, int seconds, char **reply,
                  struct error **err) must_check;

struct address {
    const char *interface, *mac, *ip;
    unsigned prefix;
};
/* Addresses as the agent says or, where it is not there, as libvirt's DHCP server has leased them;
 * without loopback, IPv4 first. In the arena. */
bool domain_addresses(struct domain *d, struct arena *a, struct address **out, size_t *count,
                      struct error **err) must_check;

/* Connects stdin and stdout to the serial console until Ctrl-] or the domain's end. */
bool domain_console(struct domain *d, struct error **err) must_check;

#endif
