#include "recipe/finish.h"

#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "recipe/check.h"
#include "recipe/find.h"

#include <ctype.h>
#include <string.h>

#define MAX_PORTS 10000 /* readers of image.json take 20000 */

const char *architecture_name(enum architecture a)
{
    return a == ARCH_ARM64 ? "arm64" : "amd64";
}

const char *architecture_gnu(enum architecture a)
{
    return a == ARCH_ARM64 ? "aarch64" : "x86_64";
}

/* True if something has been said against the key or what is below it. */
static bool is_wrong(const struct finish *f, const char *key)
{
    const struct diagnostics *found = f->binder->found;
    size_t n = strlen(key);
    for (size_t i = 0; i < found->count; i++) {
        const struct diagnostic *d = &found->items[i];
        if (d->severity == SEVERITY_ERROR && strncmp(d->key, key, n) == 0 &&
            (!d->key[n] || d->key[n] == '.' || d->key[n] == '['))
            return true;
    }
    return false;
}

static void set_arch(struct finish *f)
{
    const struct text_list *arch = &f->draft->arch;
    if (arch->count > 1)
        finish_error(f, arch->items[1].place, "arch",
                     "not yet: several architectures in one recipe; now it is one of them");
    else if (arch->count == 1 && arch->items[0].text)
        f->draft->recipe.arch = strcmp(arch->items[0].text, "arm64") == 0 ? ARCH_ARM64 : ARCH_AMD64;
    else if (node_get(f->root, "arch") && !is_wrong(f, "arch"))
        finish_error(f, node_get(f->root, "arch")->place, "arch", "is an empty list");
}

static void set_outputs(struct finish *f)
{
    static const struct {
        const char *name;
        enum output output;
    } names[] = {{"qcow2", OUTPUT_QCOW2},
                 {"cidata", OUTPUT_CIDATA},
                 {"raw", OUTPUT_RAW},
                 {"vmdk", OUTPUT_VMDK}};
    const struct text_list *outputs = &f->draft->outputs;
    for (size_t i = 0; i < outputs->count; i++)
        for (size_t k = 0; k < COUNT(names) && outputs->items[i].text; k++) {
            if (strcmp(outputs->items[i].text, names[k].name) != 0)
                continue;
            if (f->draft->recipe.outputs & names[k].output)
                finish_error(f, outputs->items[i].place, "outputs", "'%s' stands here twice",
                             names[k].name);
            f->draft->recipe.outputs |= names[k].output;
        }
    if (outputs->count == 0 && node_get(f->root, "outputs") && !is_wrong(f, "outputs"))
        finish_error(f, node_get(f->root, "outputs")->place, "outputs", "is an empty list");
}

static void check_disk(struct finish *f)
{
    const struct node *disk = node_get(f->root, "disk");
    uint64_t bytes = f->draft->recipe.disk;
    if (!disk || is_wrong(f, "disk"))
        return;
    f->draft->recipe.disk_place = disk->place;
    if (bytes < 32 * MIB || bytes > 64 * 1024 * GIB)
        finish_error(f, disk->place, "disk", "'%s': a disk has from 32MiB to 64TiB", disk->text);
    else if (bytes % MIB)
        finish_error(f, disk->place, "disk", "'%s': must be a whole number of MiB", disk->text);
}

/* A host name from the recipe's name, which may have characters that a host name has not. */
static const char *hostname_of(struct arena *a, const char *name)
{
    char *host = arena_strdup(a, name);
    size_t n = 0;
    for (const char *p = name; *p && n < 63; p++) {
        bool good = isalnum((unsigned char)*p);
        if (good || (n && host[n - 1] != '-'))
            host[n++] = good ? (char)tolower((unsigned char)*p) : '-';
    }
    while (n && host[n - 1] == '-')
        n--;
    host[n] = '\0';
    return host;
}

static void set_boot(struct finish *f)
{
    struct boot *b = &f->draft->recipe.boot;
    const struct distribution *d = &f->draft->recipe.distribution;
    struct arena *a = f->binder->arena;
    struct text_at *keys = NULL, *files = NULL;
    const struct text_list *given = &f->draft->ssh_keys;
    for (size_t i = 0; i < given->count; i++) {
        if (given->items[i].text && looks_like_ssh_key(given->items[i].text))
            arena_append(a, keys, b->ssh_keys.count, given->items[i]);
        else if (given->items[i].text)
            arena_append(a, files, b->ssh_key_files.count, given->items[i]);
    }
    b->ssh_keys.items = keys;
    b->ssh_key_files.items = files;
    if (!b->hostname.text && f->draft->recipe.name.text)
        b->hostname = (struct text_at){hostname_of(a, f->draft->recipe.name.text),
                                       f->draft->recipe.name.place};
    uint64_t memory = b->memory ? b->memory : b->memory_max;
    char has[16], needs[16];
    if (memory && memory < d->memory_minimum)
        finish_error(f, f->draft->memory_place, "boot.memory",
                     "%s is not enough: '%s' needs at least %s", units_format_size(memory, has),
                     d->name.text, units_format_size(d->memory_minimum, needs));
    else if (memory && memory < d->memory_recommended)
        diagnostics_warning(f->binder->found, f->draft->memory_place, "boot.memory",
                            "%s is less than the %s that '%s' should have",
                            units_format_size(memory, has),
                            units_format_size(d->memory_recommended, needs), d->name.text);
}

static void check_ports(struct finish *f)
{
    const struct boot *b = &f->draft->recipe.boot;
    size_t all = 0;
    for (size_t i = 0; i < b->port_count; i++) {
        bool before = all > MAX_PORTS;
        all += b->ports[i].count;
        if (all > MAX_PORTS && !before)
            finish_error(f, b->ports[i].place, "boot.ports",
                         "more than %d ports are forwarded: each is an entry of image.json and a "
                         "word of QEMU's command line",
                         MAX_PORTS);
    }
    for (size_t i = 0; i < b->port_count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct port_forward *x = &b->ports[i], *y = &b->ports[k];
            if (!x->address || !y->address || x->udp != y->udp || x->host >= y->host + y->count ||
                y->host >= x->host + x->count)
                continue;
            bool any = strcmp(x->address, "0.0.0.0") == 0 || strcmp(y->address, "0.0.0.0") == 0;
            if (any || strcmp(x->address, y->address) == 0) {
                finish_error(f, x->place, "boot.ports",
                             "port %u of the host is forwarded twice, first in line %u",
                             x->host > y->host ? x->host : y->host, y->place.line);
                return;
            }
        }
}

static bool may_be_setuid(const struct recipe *r, const char *path)
{
    for (size_t i = 0; i < r->setuid.count; i++)
        if (r->setuid.items[i].text && strcmp(r->setuid.items[i].text, path) == 0)
            return true;
    return false;
}

static void check_setuid(struct finish *f, struct text_at path, mode_t mode, const char *key)
{
    if (path.text && mode & 06000 && !may_be_setuid(&f->draft->recipe, path.text))
        finish_error(f, path.place, key,
                     "%s is set-uid or set-gid: if that is meant, name it in 'setuid:'", path.text);
}

static void check_twice(struct finish *f, struct text_at path, struct text_at other,
                        const char *key)
{
    if (path.text && other.text && strcmp(path.text, other.text) == 0)
        finish_error(f, path.place, key, "%s is written twice, first in %s:%u", path.text,
                     other.place.file, other.place.line);
}

static void check_files(struct finish *f)
{
    const struct recipe *r = &f->draft->recipe;
    for (size_t i = 0; i < r->file_count; i++) {
        check_setuid(f, r->files[i].path, r->files[i].mode, "files");
        for (size_t k = 0; k < i; k++)
            check_twice(f, r->files[i].path, r->files[k].path, "files");
        for (size_t k = 0; k < r->directory_count; k++)
            check_twice(f, r->files[i].path, r->directories[k].path, "files");
    }
    for (size_t i = 0; i < r->source_count; i++) {
        check_setuid(f, r->sources[i].to, r->sources[i].mode, "sources");
        for (size_t k = 0; k < i && !r->sources[i].unpack; k++)
            if (!r->sources[k].unpack)
                check_twice(f, r->sources[i].to, r->sources[k].to, "sources");
        for (size_t k = 0; k < r->file_count && !r->sources[i].unpack; k++)
            check_twice(f, r->sources[i].to, r->files[k].path, "sources");
    }
}

static void check_repositories(struct finish *f)
{
    const struct recipe *r = &f->draft->recipe;
    for (size_t i = 0; i < r->repository_count && r->base.os.text; i++) {
        bool alpine = strcmp(r->base.os.text, "alpine") == 0;
        if (alpine != (r->repositories[i].kind == REPOSITORY_APK))
            finish_error(f, r->repositories[i].place, "package_repositories",
                         "%s has %s: this repository is for the other one", r->base.os.text,
                         alpine ? "apk" : "apt");
    }
}

static void set_overlays(struct finish *f)
{
    struct arena *a = f->binder->arena;
    struct recipe *r = &f->draft->recipe;
    struct text_at *items = NULL;
    size_t count = 0;
    for (size_t i = 0; i < f->draft->overlays.count; i++) {
        struct text_at o = f->draft->overlays.items[i];
        if (!o.text)
            continue; /* reported */
        struct stat st;
        if (o.text[0] == '/') {
            if (stat(o.text, &st) != 0 || !S_ISDIR(st.st_mode)) {
                finish_error(f, o.place, "overlays", "there is no folder '%s'", o.text);
                continue;
            }
        } else {
            const char *name = o.text;
            o.text = find_named(a, r->dir, f->options->search, LOOKUP_OVERLAY, name);
            if (!o.text) {
                finish_error(f, o.place, "overlays", "there is no overlay called '%s'%s", name,
                             find_hint(a, r->dir, f->options->search, LOOKUP_OVERLAY, name));
                continue;
            }
        }
        arena_append(a, items, count, o);
    }
    r->overlays = (struct text_list){items, count};
}

static void set_template_values(struct finish *f)
{
    struct recipe *r = &f->draft->recipe;
    const struct template_value values[] = {
        {"name", r->name.text},
        {"version", r->version ? r->version : ""},
        {"distribution", r->distribution.name.text},
        {"distribution_version", r->distribution.version ? r->distribution.version : ""},
        {"arch", architecture_name(r->arch)},
        {"hostname", r->boot.hostname.text},
    };
    r->template_values = arena_memdup(f->binder->arena, values, sizeof values);
    r->template_value_count = COUNT(values);
}

static int by_path(const void *x, const void *y)
{
    const struct provenance *a = x, *b = y;
    return strcmp(a->path, b->path);
}

/* What a profile says of itself, or for other guests, is not where a value came from. */
static bool is_beside(const struct recipe *r, const char *path)
{
    static const char distribution[] = "distribution.";
    if (text_ends_with(path, ".summary") || text_starts_with(path, "base.images."))
        return true;
    if (!text_starts_with(path, distribution))
        return false;
    const char *key = path + sizeof distribution - 1;
    size_t n = strcspn(key, ".");
    const char *mine[] = {r->base.init, r->base.os.text, architecture_name(r->arch)};
    for (size_t i = 0; i < SECTIONS; i++) {
        if (strlen(section_names[i]) != n || strncmp(section_names[i], key, n) != 0)
            continue;
        for (size_t k = 0; k < COUNT(mine); k++)
            if (mine[k] && strcmp(mine[k], section_names[i]) == 0)
                return false;
        return true;
    }
    return false;
}

/* Sorted; what a recipe says hides what a profile says at the same path. */
static void set_provenance(struct finish *f)
{
    struct arena *a = f->binder->arena;
    struct provenance *items = NULL;
    size_t count = 0;
    for (size_t i = 0; i < f->binder->provenance_count; i++) {
        bool hidden = is_beside(&f->draft->recipe, f->binder->provenance[i].path);
        for (size_t k = 0; k < count && !hidden; k++)
            hidden = strcmp(items[k].path, f->binder->provenance[i].path) == 0;
        if (!hidden)
            arena_append(a, items, count, f->binder->provenance[i]);
    }
    if (count)
        qsort(items, count, sizeof *items, by_path);
    f->draft->recipe.provenance = items;
    f->draft->recipe.provenance_count = count;
}

void finish_recipe(struct finish *f)
{
    struct recipe *r = &f->draft->recipe;
    set_arch(f);
    set_outputs(f);
    check_disk(f);
    r->version = f->draft->version.text;
    r->compression = f->draft->compression.text;
    r->title = r->version && r->name.text
                   ? arena_printf(f->binder->arena, "%s-%s", r->name.text, r->version)
                   : r->name.text;
    f->failed = is_wrong(f, "base");
    if (!f->failed)
        finish_base(f);
    f->failed |= is_wrong(f, "distribution");
    if (!f->failed)
        finish_distribution(f);
    if (!f->failed) {
        set_boot(f);
        set_overlays(f);
        check_repositories(f);
    }
    check_ports(f);
    check_files(f);
    set_template_values(f);
    set_provenance(f);
}
