#include "boot/virt.h"

#include "boot/virt_internal.h"
#include "boot/xml.h"

#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

bool virt_error(struct error **err, enum error_kind kind, const char *fmt, ...)
{
    const virErrorPtr last = virGetLastError();
    autofree char *what = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (last && last->code == VIR_ERR_AGENT_UNRESPONSIVE)
        kind = ERROR_GUEST;
    if (last && last->code == VIR_ERR_OPERATION_TIMEOUT)
        kind = ERROR_TIMEOUT;
    return error_set(err, kind, "%s: %s", what,
                     last && last->message ? last->message : "libvirt does not say why");
}

static void be_quiet(void *data, virErrorPtr e)
{
    (void)data;
    (void)e;
}

/* --- which daemon -------------------------------------------------------------------------------
 */

static const char *const system_sockets[] = {"/run/libvirt/libvirt-sock",
                                             "/run/libvirt/virtqemud-sock"};

static bool in_group(const char *name)
{
    const struct group *g = getgrnam(name);
    gid_t groups[256];
    int n = getgroups(COUNT(groups), groups);
    for (int i = 0; g && i < n; i++)
        if (groups[i] == g->gr_gid)
            return true;
    return g && getegid() == g->gr_gid;
}

/* Without asking: a socket that anybody may open leads to a password dialogue of polkit. */
static bool may_use_system(void)
{
    if (geteuid() == 0)
        return true;
    for (size_t i = 0; i < COUNT(system_sockets); i++) {
        struct stat st;
        if (stat(system_sockets[i], &st) == 0 && access(system_sockets[i], W_OK) == 0 &&
            (!(st.st_mode & S_IWOTH) || in_group("libvirt")))
            return true;
    }
    return false;
}

static const char *choose(const char *given, const char **why)
{
    const struct {
        const char *value, *why;
    } said[] = {{given, "as --connect says"},
                {getenv("LIBVIRT_DEFAULT_URI"), "as LIBVIRT_DEFAULT_URI says"},
                {getenv("INGOT_LIBVIRT_URI"), "as INGOT_LIBVIRT_URI says"}};
    for (size_t i = 0; i < COUNT(said); i++) {
        if (said[i].value && *said[i].value) {
            *why = said[i].why;
            return said[i].value;
        }
    }
    bool system = may_use_system();
    *why = system ? "this user may use the system's libvirt"
                  : "this user may not use the system's libvirt";
    return system ? "qemu:///system" : "qemu:///session";
}

/* Files of instances are made here: a daemon elsewhere would not see them. */
static bool check_local(const char *uri, struct error **err)
{
    const char *rest = strstr(uri, "://");
    if (!rest)
        return error_set(err, ERROR_USAGE, "'%s' is no libvirt URI, as qemu:///system is", uri);
    size_t scheme = (size_t)(rest - uri);
    const char *plus = memchr(uri, '+', scheme);
    bool unix_socket = !plus || strncmp(plus, "+unix", scheme - (size_t)(plus - uri)) == 0;
    if (rest[3] != '/' || !unix_socket)
        return error_set(err, ERROR_UNSUPPORTED,
                         "'%s' is on another machine: this version boots on this one only", uri);
    return true;
}

const char *virt_start_command(void)
{
    bool systemd = access("/run/systemd/system", F_OK) == 0;
    bool whole = access("/usr/sbin/libvirtd", X_OK) == 0;
    bool modular = !whole && access("/usr/sbin/virtqemud", X_OK) == 0;
    if (!whole && !modular)
        return "apt-get install libvirt-daemon-system qemu-system-x86";
    if (systemd)
        return modular ? "systemctl start virtqemud.socket" : "systemctl start libvirtd";
    return modular ? "virtlogd -d && virtqemud -d" : "virtlogd -d && libvirtd -d";
}

static bool no_daemon(const char *uri, struct error **err)
{
    if (strstr(uri, "/session"))
        return virt_error(err, ERROR_HOST,
                          "cannot connect to %s (HOME and XDG_RUNTIME_DIR must be folders of this "
                          "user; a daemon must be installed: `%s`)",
                          uri, virt_start_command());
    return virt_error(err, ERROR_HOST, "cannot connect to %s; run `%s` as root", uri,
                      virt_start_command());
}

static void on_timer(int timer, void *data)
{
    (void)timer;
    ((struct virt *)data)->woken = true;
}

bool virt_open(const char *uri, struct virt **out, struct error **err)
{
    static bool started;
    const char *why;
    const char *chosen = choose(uri, &why);
    if (!check_local(chosen, err))
        return false;
    if (!started) {
        virSetErrorFunc(NULL, be_quiet);
        if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
            return virt_error(err, ERROR_INTERNAL, "cannot start libvirt's event loop");
        started = true;
    }
    virConnectPtr connection = virConnectOpen(chosen);
    if (!connection)
        return no_daemon(chosen, err);
    struct virt *v = calloc(1, sizeof *v);
    if (!v)
        abort();
    v->connection = connection;
    v->uri = strdup(chosen);
    v->why = why;
    v->timer = virEventAddTimeout(-1, on_timer, v, NULL);
    if (!v->uri)
        abort();
    if (v->timer < 0) {
        virt_error(err, ERROR_INTERNAL, "cannot set a timer");
        virt_close(v);
        return false;
    }
    *out = v;
    return true;
}

void virt_close(struct virt *v)
{
    if (!v)
        return;
    if (v->timer >= 0)
        virEventRemoveTimeout(v->timer);
    virConnectClose(v->connection);
    free(v->uri);
    free(v);
}

const char *virt_uri(const struct virt *v)
{
    return v->uri;
}

const char *virt_why(const struct virt *v)
{
    return v->why;
}

bool virt_is_session(const struct virt *v)
{
    return strstr(v->uri, "/session") != NULL;
}

const char *virt_version(const struct virt *v, char out[24])
{
    unsigned long n = 0;
    if (virConnectGetLibVersion(v->connection, &n) < 0)
        n = 0;
    snprintf(out, 24, "%lu.%lu.%lu", n / 1000000, n / 1000 % 1000, n % 1000);
    return out;
}

bool virt_qemu_user(const struct virt *v, uid_t *uid, gid_t *gid)
{
    autofree char *xml = virConnectGetCapabilities(v->connection);
    return xml && !virt_is_session(v) && xml_qemu_user(xml, uid, gid);
}

bool virt_has_passt(const struct virt *v, const char *arch)
{
    const char *machine = strcmp(arch, "arm64") == 0 ? "aarch64" : "x86_64";
    autofree char *xml =
        virConnectGetDomainCapabilities(v->connection, NULL, machine, NULL, "qemu", 0);
    return xml && xml_has_passt(xml);
}

bool virt_check_network(const struct virt *v, const char *name, struct error **err)
{
    virNetworkPtr network = virNetworkLookupByName(v->connection, name);
    if (!network)
        return virt_error(err, ERROR_INPUT,
                          "no network '%s' at %s (`virsh -c %s net-list --all` "
                          "lists them; `user` needs none)",
                          name, v->uri, v->uri);
    int active = virNetworkIsActive(network);
    virNetworkFree(network);
    if (active == 1)
        return true;
    return error_set(err, ERROR_HOST, "network '%s' is not active: `virsh -c %s net-start %s`",
                     name, v->uri, name);
}

/* --- domains -------------------------------------------------------------------------------------
 */

static struct domain *wrap(struct virt *v, virDomainPtr handle)
{
    struct domain *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    const char *name = virDomainGetName(handle);
    *d = (struct domain){.virt = v, .handle = handle, .agent_event = -1, .life_event = -1};
    d->name = strdup(name ? name : "");
    if (!d->name)
        abort();
    return d;
}

void domain_free(struct domain *d)
{
    if (!d)
        return;
    if (d->agent_event >= 0)
        virConnectDomainEventDeregisterAny(d->virt->connection, d->agent_event);
    if (d->life_event >= 0)
        virConnectDomainEventDeregisterAny(d->virt->connection, d->life_event);
    virDomainFree(d->handle);
    free(d->name);
    free(d);
}

bool virt_define(struct virt *v, const char *xml, struct domain **out, struct error **err)
{
    virDomainPtr handle = virDomainDefineXMLFlags(v->connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
    if (!handle)
        return virt_error(err, ERROR_HOST, "libvirt does not take the domain");
    *out = wrap(v, handle);
    return true;
}

bool virt_find(struct virt *v, const char *name, struct domain **out, struct error **err)
{
    virDomainPtr handle = virDomainLookupByName(v->connection, name);
    *out = handle ? wrap(v, handle) : NULL;
    if (handle || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        return true;
    return virt_error(err, ERROR_HOST, "cannot ask libvirt for '%s'", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(domain_name(*(struct domain *const *)a), domain_name(*(struct domain *const *)b));
}

bool virt_list(struct virt *v, struct domain ***out, size_t *count, struct error **err)
{
    virDomainPtr *handles = NULL;
    int n = virConnectListAllDomains(v->connection, &handles, 0);
    if (n < 0)
        return virt_error(err, ERROR_HOST, "cannot list the domains");
    struct domain **list = calloc((size_t)n + 1, sizeof(struct domain *));
    if (!list)
        abort();
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        autodomain struct domain *d = wrap(v, handles[i]);
        autofree char *xml = NULL;
        /* One that goes away meanwhile is not ours any more. */
        if (domain_metadata(d, &xml, NULL) && xml)
            list[used++] = take_ptr(d);
    }
    free(handles);
    qsort(list, used, sizeof *list, by_name);
    *out = list;
    *count = used;
    return true;
}

const char *domain_name(const struct domain *d)
{
    return d->name;
}

bool domain_metadata(const struct domain *d, char **xml, struct error **err)
{
    *xml = virDomainGetMetadata(d->handle, VIR_DOMAIN_METADATA_ELEMENT, XML_NAMESPACE, 0);
    if (*xml || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
        return true;
    return virt_error(err, ERROR_HOST, "cannot read the metadata of '%s'", domain_name(d));
}

bool domain_xml(const struct domain *d, char **xml, struct error **err)
{
    *xml = virDomainGetXMLDesc(d->handle, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    return *xml ||
           virt_error(err, ERROR_HOST, "cannot read the definition of '%s'", domain_name(d));
}

bool domain_state(const struct domain *d, const char **state, bool *active, struct error **err)
{
    static const char *const names[] = {
        [VIR_DOMAIN_NOSTATE] = "unknown",        [VIR_DOMAIN_RUNNING] = "running",
        [VIR_DOMAIN_BLOCKED] = "running",        [VIR_DOMAIN_PAUSED] = "paused",
        [VIR_DOMAIN_SHUTDOWN] = "shutting down", [VIR_DOMAIN_SHUTOFF] = "shut off",
        [VIR_DOMAIN_CRASHED] = "crashed",        [VIR_DOMAIN_PMSUSPENDED] = "suspended"};
    int number = 0, reason = 0;
    if (virDomainGetState(d->handle, &number, &reason, 0) < 0)
        return virt_error(err, ERROR_HOST, "cannot read the state of '%s'", domain_name(d));
    *state = number >= 0 && (size_t)number < COUNT(names) ? names[number] : "unknown";
    *active = number != VIR_DOMAIN_SHUTOFF && number != VIR_DOMAIN_CRASHED;
    return true;
}

bool domain_resources(const struct domain *d, uint64_t *memory, unsigned *cpus, struct error **err)
{
    virDomainInfo info;
    if (virDomainGetInfo(d->handle, &info) < 0)
        return virt_error(err, ERROR_HOST, "cannot read about '%s'", domain_name(d));
    *memory = (uint64_t)info.maxMem << 10;
    *cpus = info.nrVirtCpu;
    return true;
}

bool domain_start(struct domain *d, struct error **err)
{
    d->stopped = false;
    return virDomainCreate(d->handle) == 0 ||
           virt_error(err, ERROR_HOST, "cannot start '%s'", domain_name(d));
}

bool domain_destroy(struct domain *d, struct error **err)
{
    return virDomainDestroy(d->handle) == 0 || virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
           virt_error(err, ERROR_HOST, "cannot stop '%s'", domain_name(d));
}

bool domain_undefine(struct domain *d, struct error **err)
{
    return virDomainUndefineFlags(d->handle, VIR_DOMAIN_UNDEFINE_NVRAM |
                                                 VIR_DOMAIN_UNDEFINE_MANAGED_SAVE) == 0 ||
           virDomainUndefine(d->handle) == 0 ||
           virt_error(err, ERROR_HOST, "cannot remove '%s'", domain_name(d));
}

bool domain_shutdown(struct domain *d, bool agent, struct error **err)
{
    unsigned how = agent ? VIR_DOMAIN_SHUTDOWN_GUEST_AGENT : VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN;
    return virDomainShutdownFlags(d->handle, how) == 0 ||
           virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
           virt_error(err, ERROR_GUEST, "'%s' does not take a request to shut down",
                      domain_name(d));
}
