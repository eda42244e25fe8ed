#include "boot/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
/* Slots on the root bus that libvirt, which counts from below, does not reach. */
#define SLIRP_SLOT "0x10"

static void cleanup_doc(xmlDoc **doc)
{
    if (*doc)
        xmlFreeDoc(*doc);
}

static void cleanup_string(xmlChar **s)
{
    if (*s)
        xmlFree(*s);
}

#define autodoc cleanup(cleanup_doc)
#define autoxml cleanup(cleanup_string)

/* --- building --------------------------------------------------------------------------------- */

static const xmlChar *x(const char *s)
{
    return (const xmlChar *)s;
}

static void set(xmlNode *node, const char *name, const char *value)
{
    if (value && !xmlNewProp(node, x(name), x(value)))
        abort();
}

/* A child with attributes, given as pairs of name and value and ended by NULL. */
static xmlNode *add(xmlNode *parent, const char *name, ...)
{
    xmlNode *node = xmlNewChild(parent, NULL, x(name), NULL);
    if (!node)
        abort();
    va_list ap;
    va_start(ap, name);
    for (const char *key; (key = va_arg(ap, const char *));)
        set(node, key, va_arg(ap, const char *));
    va_end(ap);
    return node;
}

static xmlNode *add_text(xmlNode *parent, const char *name, const char *text)
{
    xmlNode *node = xmlNewTextChild(parent, NULL, x(name), x(text));
    if (!node)
        abort();
    return node;
}

static void number(char out[24], uint64_t n)
{
    snprintf(out, 24, "%" PRIu64, n);
}

static void add_metadata(xmlNode *domain, const struct instance *i)
{
    xmlNode *m = add(add(domain, "metadata", NULL), "instance", NULL);
    xmlNs *ns = xmlNewNs(m, x(XML_NAMESPACE), x("ingot"));
    if (!ns)
        abort();
    xmlSetNs(m, ns);
    set(m, "version", "1");
    const struct {
        const char *name, *value;
    } texts[] = {{"image", i->image},
                 {"image-version", i->version},
                 {"artifact", i->artifact},
                 {"disk-sha256", i->disk_sha256},
                 {"folder", i->folder},
                 {"base", i->base},
                 {"console", i->console_log},
                 {"seed", i->seed},
                 {"instance-id", i->instance_id},
                 {"hostname", i->hostname},
                 {"user", i->user},
                 {"network", i->network},
                 {"agent", i->agent ? "yes" : "no"}};
    for (size_t n = 0; n < COUNT(texts); n++)
        if (texts[n].value)
            xmlSetNs(add_text(m, texts[n].name, texts[n].value), ns);
    for (size_t n = 0; n < i->forward_count; n++) {
        const struct forward *f = &i->forwards[n];
        char host[24], guest[24];
        number(host, f->host);
        number(guest, f->guest);
        xmlSetNs(add(m, "forward", "address", f->address, "protocol", f->protocol, "host", host,
                     "guest", guest, NULL),
                 ns);
    }
}

static const char *machine_of(const struct domain_spec *d)
{
    if (strcmp(d->arch, "arm64") == 0)
        return "virt";
    /* A Debian cloud kernel finds an IDE disc on pc and no SATA disc on q35. */
    return strcmp(d->firmware, "bios") == 0 ? "pc" : "q35";
}

static void add_cpu(xmlNode *domain, enum accel accel)
{
    if (accel == ACCEL_KVM)
        add(domain, "cpu", "mode", "host-passthrough", "check", "none", NULL);
    else /* all that TCG can do: a guest built for x86-64-v2 does not run on qemu64 */
        add(domain, "cpu", "mode", "maximum", "check", "none", NULL);
}

static void add_system(xmlNode *domain, const struct domain_spec *d)
{
    bool arm = strcmp(d->arch, "arm64") == 0;
    bool uefi = strcmp(d->firmware, "uefi") == 0;
    xmlNode *os = add(domain, "os", NULL);
    if (uefi)
        set(os, "firmware", "efi");
    xmlNode *type = add_text(os, "type", "hvm");
    set(type, "arch", arm ? "aarch64" : "x86_64");
    set(type, "machine", machine_of(d));
    if (uefi) /* our boot loaders are not signed */
        add(add(os, "firmware", NULL), "feature", "enabled", "no", "name", "secure-boot", NULL);
    add(os, "boot", "dev", "hd", NULL);
    xmlNode *features = add(domain, "features", NULL);
    add(features, "acpi", NULL);
    if (!arm)
        add(features, "apic", NULL);
    add_cpu(domain, d->accel);
    xmlNode *clock = add(domain, "clock", "offset", "utc", NULL);
    if (!arm)
        add(clock, "timer", "name", "hpet", "present", "no", NULL);
    add_text(domain, "on_poweroff", "destroy");
    add_text(domain, "on_reboot", "restart");
    add_text(domain, "on_crash", "destroy");
}

/* The base is named with an end to its chain, so that nothing is read from what its header says,
 * and without relabelling: else libvirt would give the user's artifact to its own user. */
static void add_disks(xmlNode *devices, const struct domain_spec *d)
{
    xmlNode *disk = add(devices, "disk", "type", "file", "device", "disk", NULL);
    add(disk, "driver", "name", "qemu", "type", "qcow2", "discard", "unmap", NULL);
    add(disk, "source", "file", d->disk, NULL);
    xmlNode *below = add(disk, "backingStore", "type", "file", NULL);
    add(below, "format", "type", d->base_format, NULL);
    xmlNode *source = add(below, "source", "file", d->instance.base, NULL);
    add(source, "seclabel", "model", "dac", "relabel", "no", NULL);
    add(below, "backingStore", NULL);
    add(disk, "target", "dev", "vda", "bus", "virtio", NULL);
    if (!d->seed_iso)
        return;
    bool ide = strcmp(machine_of(d), "pc") == 0;
    if (!ide)
        add(devices, "controller", "type", "scsi", "model", "virtio-scsi", NULL);
    xmlNode *iso = add(devices, "disk", "type", "file", "device", "cdrom", NULL);
    add(iso, "driver", "name", "qemu", "type", "raw", NULL);
    add(iso, "source", "file", d->seed_iso, NULL);
    add(iso, "target", "dev", ide ? "hdc" : "sda", "bus", ide ? "ide" : "scsi", NULL);
    add(iso, "readonly", NULL);
}

static void add_passt(xmlNode *devices, const struct domain_spec *d)
{
    xmlNode *net = add(devices, "interface", "type", "user", NULL);
    add(net, "mac", "address", d->mac, NULL);
    add(net, "backend", "type", "passt", NULL);
    add(net, "model", "type", "virtio", NULL);
    for (size_t i = 0; i < d->instance.forward_count; i++) {
        const struct forward *f = &d->instance.forwards[i];
        char host[24], guest[24];
        number(host, f->host);
        number(guest, f->guest);
        xmlNode *port = add(net, "portForward", "proto", f->protocol, "address", f->address, NULL);
        add(port, "range", "start", host, "to", guest, NULL);
    }
}

static void add_argument(xmlNode *line, xmlNs *ns, const char *value)
{
    xmlSetNs(add(line, "arg", "value", value, NULL), ns);
}

/* libvirt's own <interface type='user'> has no forwards for slirp: QEMU gets them directly. The
 * address is explicit, because libvirt does not know of this device. */
static void add_slirp(xmlNode *domain, const struct domain_spec *d)
{
    xmlNs *ns = xmlNewNs(domain, x(QEMU_NAMESPACE), x("qemu"));
    xmlNode *line = add(domain, "commandline", NULL);
    if (!ns)
        abort();
    xmlSetNs(line, ns);
    autofree char *netdev = strdup("user,id=ingot0"), *device = NULL;
    for (size_t i = 0; i < d->instance.forward_count; i++) {
        const struct forward *f = &d->instance.forwards[i];
        bool six = strchr(f->address, ':') != NULL;
        autofree char *before = netdev;
        netdev = NULL;
        if (!before || asprintf(&netdev, "%s,hostfwd=%s:%s%s%s:%u-:%u", before, f->protocol,
                                six ? "[" : "", f->address, six ? "]" : "", f->host, f->guest) < 0)
            abort();
    }
    const char *bus = strcmp(machine_of(d), "pc") == 0 ? "pci.0" : "pcie.0";
    if (asprintf(&device, "virtio-net-pci,netdev=ingot0,mac=%s,bus=%s,addr=" SLIRP_SLOT, d->mac,
                 bus) < 0)
        abort();
    add_argument(line, ns, "-netdev");
    add_argument(line, ns, netdev);
    add_argument(line, ns, "-device");
    add_argument(line, ns, device);
}

static void add_devices(xmlNode *domain, const struct domain_spec *d)
{
    xmlNode *devices = add(domain, "devices", NULL);
    bool user = strcmp(d->instance.network, "user") == 0;
    add_disks(devices, d);
    if (!user) {
        xmlNode *net = add(devices, "interface", "type", "network", NULL);
        add(net, "mac", "address", d->mac, NULL);
        add(net, "source", "network", d->instance.network, NULL);
        add(net, "model", "type", "virtio", NULL);
    } else if (d->passt) {
        add_passt(devices, d);
    }
    xmlNode *serial = add(devices, "serial", "type", "pty", NULL);
    add(serial, "log", "file", d->instance.console_log, "append", "on", NULL);
    add(serial, "target", "port", "0", NULL);
    xmlNode *console = add(devices, "console", "type", "pty", NULL);
    add(console, "target", "type", "serial", "port", "0", NULL);
    xmlNode *channel = add(devices, "channel", "type", "unix", NULL);
    if (d->agent_socket)
        add(channel, "source", "mode", "bind", "path", d->agent_socket, NULL);
    add(channel, "target", "type", "virtio", "name", "org.qemu.guest_agent.0", NULL);
    xmlNode *rng = add(devices, "rng", "model", "virtio", NULL);
    set(add_text(rng, "backend", "/dev/urandom"), "model", "random");
    if (user && !d->passt)
        add_slirp(domain, d);
}

/* XML 1.0 carries UTF-8 without control characters. */
static bool check_text(const char *s, struct error **err)
{
    bool ok = xmlCheckUTF8(x(s));
    for (const char *p = s; ok && *p; p++)
        ok = !iscntrl((unsigned char)*p);
    return ok || error_set(err, ERROR_INPUT,
                           "a path has characters that libvirt cannot be told: move it: %s", s);
}

static char *dump(xmlDoc *doc)
{
    autoxml xmlChar *text = NULL;
    int size = 0;
    xmlDocDumpFormatMemory(doc, &text, &size, 1);
    char *copy = text ? strdup((const char *)text) : NULL;
    if (!copy)
        abort();
    return copy;
}

bool xml_domain(const struct domain_spec *d, char **xml, struct error **err)
{
    const char *const paths[] = {d->disk,
                                 d->agent_socket,
                                 d->seed_iso,
                                 d->instance.base,
                                 d->instance.artifact,
                                 d->instance.folder,
                                 d->instance.console_log,
                                 d->instance.network,
                                 d->instance.image,
                                 d->instance.version};
    for (size_t i = 0; i < COUNT(paths); i++)
        if (paths[i] && !check_text(paths[i], err))
            return false;
    autodoc xmlDoc *doc = xmlNewDoc(x("1.0"));
    xmlNode *domain = xmlNewNode(NULL, x("domain"));
    if (!doc || !domain)
        abort();
    xmlDocSetRootElement(doc, domain);
    set(domain, "type", d->accel == ACCEL_KVM ? "kvm" : "qemu");
    add_text(domain, "name", d->instance.name);
    add_metadata(domain, &d->instance);
    char text[24];
    number(text, d->memory >> 10);
    set(add_text(domain, "memory", text), "unit", "KiB");
    number(text, d->cpus);
    add_text(domain, "vcpu", text);
    add_system(domain, d);
    add_devices(domain, d);
    *xml = dump(doc);
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* No network, no entities, no messages on stderr. */
static xmlDoc *parse(const char *xml)
{
    size_t size = strlen(xml);
    if (size > 16u << 20)
        return NULL;
    return xmlReadMemory(xml, (int)size, "libvirt.xml", NULL,
                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                             XML_PARSE_NOBLANKS);
}

static const xmlNode *child(const xmlNode *node, const char *name)
{
    for (const xmlNode *n = node ? node->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0)
            return n;
    return NULL;
}

static const char *text_of(struct arena *a, const xmlNode *node)
{
    if (!node)
        return NULL;
    autoxml xmlChar *s = xmlNodeGetContent(node);
    return s ? arena_strdup(a, (const char *)s) : NULL;
}

static const char *attribute(struct arena *a, const xmlNode *node, const char *name)
{
    autoxml xmlChar *s = xmlGetProp(node, x(name));
    return s ? arena_strdup(a, (const char *)s) : NULL;
}

static bool read_forward(struct arena *a, const xmlNode *n, struct forward *f)
{
    const char *host = attribute(a, n, "host"), *guest = attribute(a, n, "guest");
    f->address = attribute(a, n, "address");
    f->protocol = attribute(a, n, "protocol");
    if (!host || !guest || !f->address || !f->protocol)
        return false;
    f->host = (unsigned)strtoul(host, NULL, 10);
    f->guest = (unsigned)strtoul(guest, NULL, 10);
    return true;
}

bool xml_metadata(struct arena *a, const char *xml, const char *name, const struct instance **out,
                  struct error **err)
{
    autodoc xmlDoc *doc = parse(xml);
    const xmlNode *m = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!m || strcmp((const char *)m->name, "instance") != 0)
        return error_set(err, ERROR_INPUT, "%s: its metadata cannot be read", name);
    struct instance *i = arena_new_of(a, struct instance);
    const struct {
        const char *name;
        const char **value;
        bool needed;
    } texts[] = {{"image", &i->image, true},
                 {"image-version", &i->version, false},
                 {"artifact", &i->artifact, true},
                 {"disk-sha256", &i->disk_sha256, true},
                 {"folder", &i->folder, true},
                 {"base", &i->base, true},
                 {"console", &i->console_log, true},
                 {"seed", &i->seed, true},
                 {"instance-id", &i->instance_id, true},
                 {"hostname", &i->hostname, true},
                 {"user", &i->user, false},
                 {"network", &i->network, true}};
    for (size_t n = 0; n < COUNT(texts); n++) {
        *texts[n].value = text_of(a, child(m, texts[n].name));
        if (texts[n].needed && !*texts[n].value)
            return error_set(err, ERROR_INPUT, "%s: its metadata lacks '%s'", name, texts[n].name);
    }
    i->name = arena_strdup(a, name);
    const char *agent = text_of(a, child(m, "agent"));
    i->agent = agent && strcmp(agent, "yes") == 0;
    struct forward *forwards = NULL;
    for (const xmlNode *n = child(m, "forward"); n; n = n->next) {
        struct forward f;
        if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, "forward") == 0 &&
            read_forward(a, n, &f))
            arena_append(a, forwards, i->forward_count, f);
    }
    i->forwards = forwards;
    *out = i;
    return true;
}

static xmlNode *domain_root(xmlDoc *doc, struct error **err)
{
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (root && strcmp((const char *)root->name, "domain") == 0)
        return root;
    error_set(err, ERROR_INTERNAL, "libvirt's description of the domain cannot be read");
    return NULL;
}

bool xml_use_tcg(const char *domain, char **xml, bool *changed, struct error **err)
{
    autodoc xmlDoc *doc = parse(domain);
    xmlNode *root = domain_root(doc, err);
    if (!root)
        return false;
    autoxml xmlChar *type = xmlGetProp(root, x("type"));
    *changed = !type || strcmp((const char *)type, "qemu") != 0;
    if (*changed) {
        xmlSetProp(root, x("type"), x("qemu"));
        xmlNode *cpu = (xmlNode *)child(root, "cpu");
        if (cpu) {
            xmlUnlinkNode(cpu);
            xmlFreeNode(cpu);
        }
        add_cpu(root, ACCEL_TCG);
    }
    *xml = dump(doc);
    return true;
}

bool xml_domain_type(struct arena *a, const char *domain, const char **type, struct error **err)
{
    autodoc xmlDoc *doc = parse(domain);
    const xmlNode *root = domain_root(doc, err);
    if (!root)
        return false;
    *type = attribute(a, root, "type");
    return true;
}

/* The string value of an XPath expression; NULL where the text cannot be read. */
static char *evaluate(const char *xml, const char *path)
{
    autodoc xmlDoc *doc = parse(xml);
    xmlXPathContext *context = doc ? xmlXPathNewContext(doc) : NULL;
    xmlXPathObject *object = context ? xmlXPathEvalExpression(x(path), context) : NULL;
    autoxml xmlChar *s = object ? xmlXPathCastToString(object) : NULL;
    char *copy = s ? strdup((const char *)s) : NULL;
    if (object)
        xmlXPathFreeObject(object);
    if (context)
        xmlXPathFreeContext(context);
    return copy;
}

bool xml_qemu_user(const char *capabilities, uid_t *uid, gid_t *gid)
{
    autofree char *label =
        evaluate(capabilities, "string(/capabilities/host/secmodel[model='dac']/baselabel[1])");
    unsigned u, g;
    if (!label || sscanf(label, "+%u:+%u", &u, &g) != 2)
        return false;
    *uid = u;
    *gid = g;
    return true;
}

bool xml_has_passt(const char *domain_capabilities)
{
    autofree char *found =
        evaluate(domain_capabilities, "string(/domainCapabilities/devices/interface/"
                                      "enum[@name='backendType']/value[.='passt'])");
    return found && strcmp(found, "passt") == 0;
}
