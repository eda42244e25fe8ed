#include "boot/virt_internal.h"

#include "base/interrupt.h"

#include <arpa/inet.h>
#include <libvirt/libvirt-qemu.h>
#include <string.h>

/* --- events --------------------------------------------------------------------------------------
 */

static void on_agent(virConnectPtr connection, virDomainPtr handle, int state, int reason,
                     void *data)
{
    (void)connection;
    (void)handle;
    (void)reason;
    struct domain *d = data;
    d->agent_connected = state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED;
    d->virt->woken = true;
}

static int on_life(virConnectPtr connection, virDomainPtr handle, int event, int detail, void *data)
{
    (void)connection;
    (void)handle;
    (void)detail;
    struct domain *d = data;
    if (event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED) {
        d->stopped = true;
        d->agent_connected = false;
    } else if (event == VIR_DOMAIN_EVENT_STARTED) {
        d->stopped = false;
    }
    d->virt->woken = true;
    return 0;
}

bool domain_watch(struct domain *d, struct error **err)
{
    virConnectPtr c = d->virt->connection;
    if (d->life_event < 0)
        d->life_event =
            virConnectDomainEventRegisterAny(c, d->handle, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                             VIR_DOMAIN_EVENT_CALLBACK(on_life), d, NULL);
    if (d->agent_event < 0)
        d->agent_event =
            virConnectDomainEventRegisterAny(c, d->handle, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                                             VIR_DOMAIN_EVENT_CALLBACK(on_agent), d, NULL);
    return (d->life_event >= 0 && d->agent_event >= 0) ||
           virt_error(err, ERROR_HOST, "cannot watch '%s'", domain_name(d));
}

bool virt_wait(struct virt *v, unsigned ms, struct error **err)
{
    v->woken = false;
    virEventUpdateTimeout(v->timer, (int)ms);
    while (!v->woken && !interrupted())
        if (virEventRunDefaultImpl() < 0)
            return virt_error(err, ERROR_INTERNAL, "libvirt's event loop failed");
    virEventUpdateTimeout(v->timer, -1);
    if (interrupted())
        return interrupt_error(err);
    if (virConnectIsAlive(v->connection) == 0)
        return error_set(err, ERROR_HOST, "the connection to %s is lost", v->uri);
    return true;
}

bool domain_agent_connected(const struct domain *d)
{
    return d->agent_connected;
}

bool domain_stopped(const struct domain *d)
{
    return d->stopped;
}

/* --- the agent -----------------------------------------------------------------------------------
 */

bool domain_agent(struct domain *d, const char *command, int seconds, char **reply,
                  struct error **err)
{
    *reply = virDomainQemuAgentCommand(d->handle, command, seconds, 0);
    return *reply || virt_error(err, ERROR_GUEST, "%s: the guest agent", domain_name(d));
}

/* --- addresses -----------------------------------------------------------------------------------
 */

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

/* IPv4 in front: it is what forwards and people use. */
static int older_first(const void *a, const void *b)
{
    const struct address *one = a, *two = b;
    int difference = (strchr(one->ip, ':') != NULL) - (strchr(two->ip, ':') != NULL);
    return difference ? difference : strcmp(one->ip, two->ip);
}

bool domain_addresses(struct domain *d, struct arena *a, struct address **out, size_t *count,
                      struct error **err)
{
    static const unsigned sources[] = {VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
                                       VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE};
    virDomainInterfacePtr *list = NULL;
    int n = -1;
    for (size_t i = 0; i < COUNT(sources) && n <= 0; i++)
        n = virDomainInterfaceAddresses(d->handle, &list, sources[i], 0);
    if (n < 0)
        return virt_error(err, ERROR_GUEST, "%s: neither its agent nor libvirt knows its addresses",
                          domain_name(d));
    *out = NULL;
    *count = 0;
    for (int i = 0; i < n; i++) {
        for (unsigned j = 0; j < list[i]->naddrs; j++) {
            if (is_loopback(list[i]->addrs[j].addr))
                continue;
            const struct address at = {
                .interface = arena_strdup(a, list[i]->name),
                .mac = arena_strdup(a, list[i]->hwaddr ? list[i]->hwaddr : ""),
                .ip = arena_strdup(a, list[i]->addrs[j].addr),
                .prefix = list[i]->addrs[j].prefix,
            };
            arena_append(a, *out, *count, at);
        }
        virDomainInterfaceFree(list[i]);
    }
    free(list);
    if (*count)
        qsort(*out, *count, sizeof **out, older_first);
    return true;
}
