#include "emit/image.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/units.h"

#include <string.h>

/* What a guest gets where neither the recipe nor the distribution says. */
#define DEFAULT_MEMORY (512 * MIB)
#define RECOMMENDED_MEMORY (GIB)

static const char *const init_names[] = {
    [INIT_SYSTEMD] = "systemd", [INIT_OPENRC] = "openrc", [INIT_UNKNOWN] = "unknown"};

static void fill_ports(struct arena *a, const struct boot *b, struct contract *c)
{
    for (size_t i = 0; i < b->port_count; i++) {
        const struct port_forward *p = &b->ports[i];
        for (unsigned n = 0; n < p->count; n++) {
            struct contract_port one = {p->address, p->udp ? "udp" : "tcp", p->host + n,
                                        p->guest + n};
            arena_append(a, c->ports, c->port_count, one);
        }
    }
}

static void fill_packages(struct arena *a, const struct plan *p, struct contract *c)
{
    for (size_t i = 0; p->resolution && i < p->resolution->count; i++) {
        struct contract_package one = {p->resolution->packages[i].name,
                                       p->resolution->packages[i].version};
        arena_append(a, c->packages, c->package_count, one);
    }
}

static void fill_sizes(const struct plan *p, struct contract *c)
{
    const struct recipe *r = p->recipe;
    uint64_t disk = r->disk ? r->disk : p->facts->virtual_size;
    c->minimum.memory =
        r->distribution.memory_minimum ? r->distribution.memory_minimum : DEFAULT_MEMORY;
    c->minimum.cpus = 1;
    c->minimum.disk = disk;
    c->recommended.memory = r->boot.memory ? r->boot.memory
                            : r->distribution.memory_recommended
                                ? r->distribution.memory_recommended
                                : RECOMMENDED_MEMORY;
    if (c->recommended.memory < c->minimum.memory)
        c->minimum.memory = c->recommended.memory;
    c->recommended.cpus = r->boot.cpus ? r->boot.cpus : 2;
    c->recommended.disk = disk;
    c->memory_share = r->boot.memory_share;
    c->memory_min = r->boot.memory_min;
    c->memory_max = r->boot.memory_max;
}

bool image_write(const struct plan *p, const struct contract_file *files, size_t file_count,
                 const struct contract_tool *tools, size_t tool_count, const char *folder,
                 struct error **err)
{
    const struct recipe *r = p->recipe;
    const struct facts *f = p->facts;
    autoarena struct arena *a = arena_new();
    struct contract c = {
        .name = r->name.text,
        .version = r->version,
        .arch = architecture_name(r->arch),
        .firmware = r->base.firmware == FIRMWARE_UEFI ? "uefi" : "bios",
        .os = {f->os, f->os_version, f->pretty_name, init_names[f->init]},
        .files = files,
        .file_count = file_count,
        .seed = {"cidata", f->seed, r->boot.password_hash_file.text != NULL},
        .agent = true,
        .user = r->boot.user.text ? r->boot.user.text : r->base.user,
        .distribution = {r->distribution.name.text ? r->distribution.name.text : "none",
                         r->distribution.version, r->distribution.unit, r->distribution.kubeconfig,
                         r->distribution.api_port, false},
        .epoch = p->epoch,
        .tools = tools,
        .tool_count = tool_count,
        .plan = p->layers[p->layer_count - 1].key,
    };
    fill_sizes(p, &c);
    fill_ports(a, &r->boot, &c);
    fill_packages(a, p, &c);
    autojson json_t *j = contract_to_json(&c);
    autofree char *path = path_join(folder, "image.json");
    return json_write_file(path, j, 0644, err);
}

bool image_write_sums(const struct contract_file *files, size_t file_count, const char *folder,
                      struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    autobuffer struct buffer text = {0};
    autofree char *image = path_join(folder, "image.json");
    autofree char *path = path_join(folder, "SHA256SUMS");
    for (size_t i = 0; i < file_count; i++)
        buffer_printf(&text, "%s  %s\n", files[i].sha256, files[i].name);
    if (!digest_file(DIGEST_SHA256, image, hex, NULL, err))
        return false;
    buffer_printf(&text, "%s  image.json\n", hex);
    return file_write(path, text.data, text.size, 0644, err);
}
