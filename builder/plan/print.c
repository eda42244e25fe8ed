/* The plan for people and for machines. */
#include "plan/plan.h"
#include "plan/seal.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SHOW_MAX ((size_t)16 << 20)

static const char *const init_names[] = {
    [INIT_SYSTEMD] = "systemd", [INIT_OPENRC] = "OpenRC", [INIT_UNKNOWN] = "init system unknown"};
static const char *const manager_names[] = {
    [PACKAGES_APT] = "apt", [PACKAGES_APK] = "apk", [PACKAGES_NONE] = "no package manager"};
static const char *const kind_names[] = {[ENTRY_DIRECTORY] = "directory",
                                         [ENTRY_FILE] = "file",
                                         [ENTRY_LINK] = "link",
                                         [ENTRY_ABSENT] = "absent",
                                         [ENTRY_ARCHIVE] = "archive"};

static const struct {
    enum output output;
    const char *suffix;
} outputs[] = {
    {OUTPUT_QCOW2, ".qcow2"}, {OUTPUT_RAW, ".raw"}, {OUTPUT_VMDK, ".vmdk"}, {OUTPUT_CIDATA, NULL}};

/* --- small texts --------------------------------------------------------------------------------
 */

static char *verify_text(const struct verify *v)
{
    struct buffer b = {0};
    switch (v->kind) {
    case VERIFY_DIGEST:
        buffer_printf(&b, "%s %s", digest_name(v->digest_kind), v->digest);
        break;
    case VERIFY_CHECKSUMS:
        buffer_printf(&b, "checksums in %s", v->checksums);
        if (v->openpgp)
            buffer_printf(&b, ", signed by %s", v->openpgp->fingerprint);
        break;
    case VERIFY_OPENPGP:
        buffer_printf(&b, "signed by %s", v->openpgp->fingerprint);
        break;
    case VERIFY_LOCK:
        buffer_puts(&b, "the lock, from its first use on");
        break;
    case VERIFY_APK:
        buffer_puts(&b, "a signed package index");
        break;
    case VERIFY_NONE:
        buffer_puts(&b, "nothing: will be refused");
        break;
    }
    return buffer_take(&b);
}

/* The files that the build emits, relative to out/. */
static char *output_name(const struct plan *p, size_t i)
{
    const struct recipe *r = p->recipe;
    struct buffer b = {0};
    if (outputs[i].suffix)
        buffer_printf(&b, "%s/%s-%s%s", r->title, r->name.text, architecture_name(r->arch),
                      outputs[i].suffix);
    else
        buffer_printf(&b, "%s/%s-cidata.iso", r->title, r->name.text);
    return buffer_take(&b);
}

static const char *const always_emitted[] = {"image.json", "SHA256SUMS"};

static const struct package *resolved(const struct plan *p, const char *name)
{
    for (size_t i = 0; p->resolution && i < p->resolution->count; i++)
        if (strcmp(p->resolution->packages[i].name, name) == 0)
            return &p->resolution->packages[i];
    return NULL;
}

/* --- for people ---------------------------------------------------------------------------------
 */

static void print_base(const struct plan *p, FILE *out)
{
    const struct base *b = &p->recipe->base;
    fprintf(out, "\nbase\n");
    if (b->profile)
        fprintf(out, "  profile   %s\n", b->profile);
    if (b->kind == BASE_IMAGE) {
        autofree char *verify = verify_text(&b->verify);
        fprintf(out, "  image     %s\n  verify    %s\n", b->image.text, verify);
    } else {
        fprintf(out, "  bootstrap %s %s", b->os.text, b->suite.text);
        if (b->mirror.text)
            fprintf(out, " from %s", b->mirror.text);
        for (size_t i = 0; i < b->packages.count; i++)
            fprintf(out, "%s%s", i ? " " : "\n  packages  ", b->packages.items[i].text);
        fprintf(out, "\n");
    }
    const struct facts *f = p->facts;
    if (f)
        fprintf(out, "  system    %s, %s, %s, %s%s\n", f->pretty_name, f->architecture,
                init_names[f->init], manager_names[f->packages],
                f->usr_merged ? ", merged /usr" : "");
    else
        fprintf(out, "  system    not looked at yet\n");
    char size[16];
    if (p->recipe->disk)
        fprintf(out, "  disk      %s\n", units_format_size(p->recipe->disk, size));
}

static void print_fetches(const struct plan *p, FILE *out)
{
    if (p->fetch_count)
        fprintf(out, "\nfetch\n");
    for (size_t i = 0; i < p->fetch_count; i++) {
        autofree char *verify = verify_text(p->fetches[i].verify);
        fprintf(out, "  %s\n    %s, verified by %s\n", p->fetches[i].url, p->fetches[i].why,
                verify);
    }
}

static void print_packages(const struct plan *p, FILE *out)
{
    fprintf(out, "\npackages\n");
    if (!p->packages_wanted) {
        fprintf(out, "  unresolved: the base has not been looked at yet\n");
        for (size_t i = 0; i < p->recipe->packages.count; i++)
            fprintf(out, "  %s\n", p->recipe->packages.items[i].text);
        return;
    }
    if (!p->packages_wanted[0]) {
        fprintf(out, "  none\n");
        return;
    }
    if (!p->resolution)
        fprintf(out, "  unresolved\n");
    for (size_t i = 0; p->packages_wanted[i]; i++) {
        const struct package *k = resolved(p, p->packages_wanted[i]);
        fprintf(out, "  %s%s%s\n", p->packages_wanted[i], k ? " " : "", k ? k->version : "");
    }
    size_t automatic = 0;
    for (size_t i = 0; p->resolution && i < p->resolution->count; i++)
        automatic += p->resolution->packages[i].automatic;
    if (automatic)
        fprintf(out, "  and what they need:\n");
    for (size_t i = 0; automatic && i < p->resolution->count; i++)
        if (p->resolution->packages[i].automatic)
            fprintf(out, "    %s %s\n", p->resolution->packages[i].name,
                    p->resolution->packages[i].version);
}

static void print_owner(const struct plan_entry *e, char out[24])
{
    if (e->uid == 0 && e->gid == 0)
        snprintf(out, 24, "root:root");
    else
        snprintf(out, 24, "%u:%u", e->uid, e->gid);
}

static void print_files(const struct plan *p, FILE *out)
{
    bool title = false;
    for (size_t i = 0; i < p->entry_count; i++) {
        const struct plan_entry *e = &p->entries[i];
        if (e->kind == ENTRY_LINK || e->kind == ENTRY_ABSENT)
            continue;
        if (!title)
            fprintf(out, "\nfiles\n");
        title = true;
        char owner[24], mode[8] = "    ", size[16] = "";
        print_owner(e, owner);
        if (e->kind != ENTRY_ARCHIVE || e->mode)
            snprintf(mode, sizeof mode, "%04o", (unsigned)e->mode);
        if (e->kind == ENTRY_FILE && (e->content || e->source))
            units_format_size(e->size, size);
        fprintf(out, "  %s %-9s %10s  %s%s  (%s)\n", mode, owner, size, e->path,
                e->kind == ENTRY_DIRECTORY ? "/" : "", e->origin);
        if (e->url || e->kind == ENTRY_ARCHIVE)
            fprintf(out, "       %s %s\n", e->kind == ENTRY_ARCHIVE ? "unpacked from" : "from",
                    e->url ? e->url : e->source);
        for (size_t k = 0; e->members && e->members[k]; k++)
            fprintf(out, "         %s\n", e->members[k]);
    }
}

static void print_links(const struct plan *p, enum entry_kind kind, const char *title, FILE *out)
{
    bool said = false;
    for (size_t i = 0; i < p->entry_count; i++) {
        const struct plan_entry *e = &p->entries[i];
        if (e->kind != kind)
            continue;
        if (!said)
            fprintf(out, "\n%s\n", title);
        said = true;
        if (kind == ENTRY_LINK)
            fprintf(out, "  %s -> %s  (%s)\n", e->path, e->target, e->origin);
        else
            fprintf(out, "  %s  (%s)\n", e->path, e->origin);
    }
}

static void print_services(const struct plan *p, FILE *out)
{
    const struct recipe *r = p->recipe;
    if (r->services_enable.count || r->services_disable.count)
        fprintf(out, "\nservices\n");
    for (size_t i = 0; i < r->services_enable.count; i++)
        fprintf(out, "  enable  %s\n", r->services_enable.items[i].text);
    for (size_t i = 0; i < r->services_disable.count; i++)
        fprintf(out, "  disable %s\n", r->services_disable.items[i].text);
}

static void print_run(const struct plan *p, FILE *out)
{
    if (p->recipe->run_count)
        fprintf(out, "\nrun in the guest, without a network\n");
    for (size_t i = 0; i < p->recipe->run_count; i++) {
        const char *const *argv = p->recipe->run[i].argv;
        fprintf(out, " ");
        for (size_t k = 0; argv[k]; k++) { /* so that one sees where an argument ends */
            bool plain = *argv[k] && !strpbrk(argv[k], " \t\n'\"\\$*?[]<>|&;()#~`");
            fprintf(out, plain ? " %s" : " '%s'", argv[k]);
        }
        fprintf(out, "\n");
    }
}

/* Each kind of thing once; with explain each path. */
static void print_seal(const struct plan *p, bool explain, FILE *out)
{
    fprintf(out, "\nremoved before the image is sealed%s\n",
            explain ? "" : " (--explain names each path)");
    for (size_t i = 0; i < seal_item_count; i++) {
        const struct seal_item *item = &seal_items[i];
        if (explain)
            fprintf(out, "  %-6s %s%s  (%s)\n", seal_action_names[item->action], item->path,
                    item->action == SEAL_CLEAR ? "/*" : "", item->why);
        else if (i == 0 || strcmp(item->why, seal_items[i - 1].why) != 0)
            fprintf(out, "  %s\n", item->why);
    }
    const char *const *never = p->recipe->distribution.never_baked;
    if (never && never[0])
        fprintf(out, "\nrefused in the image, as %s makes it at its first start\n",
                p->recipe->distribution.name.text);
    for (size_t i = 0; never && never[i]; i++)
        fprintf(out, "  %s\n", never[i]);
}

static void print_layers(const struct plan *p, FILE *out)
{
    fprintf(out, "\nlayers\n");
    for (size_t i = 0; i < p->layer_count; i++)
        fprintf(out, "  %-8s %.12s\n", layer_names[p->layers[i].kind],
                p->layers[i].key ? p->layers[i].key : "not yet");
}

static void print_provenance(const struct plan *p, FILE *out)
{
    if (p->recipe->provenance_count)
        fprintf(out, "\nwhere values came from\n");
    for (size_t i = 0; i < p->recipe->provenance_count; i++) {
        const struct provenance *v = &p->recipe->provenance[i];
        fprintf(out, "  %s: %s  (%s)\n", v->path, v->value, v->origin);
    }
}

void plan_print(const struct plan *p, bool explain, FILE *out)
{
    const struct recipe *r = p->recipe;
    fprintf(out, "plan for %s (%s), epoch %" PRId64 "\n", r->title, architecture_name(r->arch),
            p->epoch);
    print_base(p, out);
    print_fetches(p, out);
    print_packages(p, out);
    print_files(p, out);
    print_links(p, ENTRY_LINK, "links", out);
    print_links(p, ENTRY_ABSENT, "removed from the base where they are there", out);
    print_services(p, out);
    print_run(p, out);
    print_seal(p, explain, out);
    if (p->open[0])
        fprintf(out, "\nnot known before the base has been looked at\n");
    for (size_t i = 0; p->open[i]; i++)
        fprintf(out, "  %s\n", p->open[i]);
    print_layers(p, out);
    fprintf(out, "\noutputs\n");
    for (size_t i = 0; i < COUNT(outputs); i++)
        if (r->outputs & outputs[i].output) {
            autofree char *name = output_name(p, i);
            fprintf(out, "  %s\n", name);
        }
    for (size_t i = 0; i < COUNT(always_emitted); i++)
        fprintf(out, "  %s/%s\n", r->title, always_emitted[i]);
    if (explain)
        print_provenance(p, out);
}

/* --- for machines -------------------------------------------------------------------------------
 */

static json_t *entry_to_json(const struct plan_entry *e)
{
    json_t *j = json_object();
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)e->mode);
    json_set_string(j, "kind", kind_names[e->kind]);
    json_set_string(j, "path", e->path);
    json_set_string(j, "origin", e->origin);
    if (e->kind != ENTRY_ABSENT && e->kind != ENTRY_LINK) {
        json_set_string(j, "mode", mode);
        json_set_integer(j, "uid", e->uid);
        json_set_integer(j, "gid", e->gid);
    }
    if (e->kind == ENTRY_FILE && (e->content || e->source))
        json_set_integer(j, "bytes", (json_int_t)e->size);
    json_set_string(j, "target", e->target);
    json_set_string(j, "source", e->source);
    json_set_string(j, "url", e->url);
    json_set_string(j, "sha256", e->digest);
    json_set_string(j, "unpack", e->unpack);
    if (e->members)
        json_set(j, "members", json_strings(e->members));
    return j;
}

static json_t *packages_to_json(const struct plan *p)
{
    json_t *j = json_object();
    bool known = p->packages_wanted && (!p->packages_wanted[0] || p->resolution);
    json_set_bool(j, "resolved", known);
    if (p->packages_wanted)
        json_set(j, "wanted", json_strings(p->packages_wanted));
    if (p->resolution && p->packages_wanted && p->packages_wanted[0]) {
        json_t *list = json_array();
        for (size_t i = 0; i < p->resolution->count; i++) {
            const struct package *k = &p->resolution->packages[i];
            json_t *one = json_object();
            json_set_string(one, "name", k->name);
            json_set_string(one, "version", k->version);
            json_set_string(one, "digest", k->digest);
            json_set_bool(one, "automatic", k->automatic);
            json_array_append_new(list, one);
        }
        json_set(j, "packages", list);
    }
    return j;
}

static json_t *base_to_json(const struct plan *p)
{
    const struct base *b = &p->recipe->base;
    json_t *j = json_object();
    json_set_string(j, "profile", b->profile);
    json_set_string(j, "image", b->image.text);
    json_set_string(j, "os", b->os.text);
    json_set_string(j, "suite", b->suite.text);
    json_set_string(j, "mirror", b->mirror.text);
    if (p->recipe->disk)
        json_set_integer(j, "disk", (json_int_t)p->recipe->disk);
    if (p->facts)
        json_set_string(j, "system", p->facts->pretty_name);
    return j;
}

static json_t *fetches_to_json(const struct plan *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->fetch_count; i++) {
        const struct plan_fetch *f = &p->fetches[i];
        autofree char *verify = verify_text(f->verify);
        json_t *j = json_object();
        json_set_string(j, "url", f->url);
        json_set_string(j, "why", f->why);
        json_set_string(j, "verify", verify);
        json_set_string(j, "sha256", f->sha256);
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *seal_to_json(const struct plan *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < seal_item_count; i++) {
        json_t *j = json_object();
        json_set_string(j, "action", seal_action_names[seal_items[i].action]);
        json_set_string(j, "path", seal_items[i].path);
        json_set_string(j, "why", seal_items[i].why);
        json_array_append_new(list, j);
    }
    json_t *seal = json_object();
    json_set(seal, "items", list);
    json_set(seal, "never_baked", json_strings(p->recipe->distribution.never_baked));
    return seal;
}

json_t *plan_to_json(const struct plan *p)
{
    const struct recipe *r = p->recipe;
    json_t *j = json_object(), *entries = json_array(), *run = json_array();
    json_t *layers = json_array(), *emitted = json_array();
    json_set_string(j, "name", r->name.text);
    json_set_string(j, "version", r->version);
    json_set_string(j, "arch", architecture_name(r->arch));
    json_set_integer(j, "epoch", p->epoch);
    json_set(j, "base", base_to_json(p));
    json_set(j, "fetch", fetches_to_json(p));
    json_set(j, "packages", packages_to_json(p));
    for (size_t i = 0; i < p->entry_count; i++)
        json_array_append_new(entries, entry_to_json(&p->entries[i]));
    json_set(j, "entries", entries);
    for (size_t i = 0; i < r->run_count; i++)
        json_array_append_new(run, json_strings(r->run[i].argv));
    json_set(j, "run", run);
    json_set(j, "seal", seal_to_json(p));
    json_set(j, "open", json_strings(p->open));
    for (size_t i = 0; i < p->layer_count; i++) {
        json_t *layer = json_object();
        json_set_string(layer, "name", layer_names[p->layers[i].kind]);
        json_set(layer, "key", p->layers[i].key ? json_string(p->layers[i].key) : json_null());
        json_array_append_new(layers, layer);
    }
    json_set(j, "layers", layers);
    for (size_t i = 0; i < COUNT(outputs); i++)
        if (r->outputs & outputs[i].output) {
            autofree char *name = output_name(p, i);
            json_array_append_new(emitted, json_string(name));
        }
    json_set(j, "outputs", emitted);
    return j;
}

/* --- one file -----------------------------------------------------------------------------------
 */

static bool not_planned(const struct plan *p, const char *path, struct error **err)
{
    autofree const char **paths = calloc(p->entry_count + 1, sizeof *paths);
    if (!paths)
        abort();
    for (size_t i = 0; i < p->entry_count; i++)
        paths[i] = p->entries[i].path;
    const char *near = text_nearest(path, paths, p->entry_count);
    for (size_t i = 0; !near && i < p->entry_count; i++) /* the same name in another folder */
        if (strcmp(path_basename(paths[i]), path_basename(path)) == 0)
            near = paths[i];
    if (near)
        return error_set(err, ERROR_INPUT, "the plan puts nothing at %s; did you mean %s?", path,
                         near);
    return error_set(err, ERROR_INPUT, "the plan puts nothing at %s", path);
}

bool plan_show(const struct plan *p, const char *path, FILE *out, struct error **err)
{
    const struct plan_entry *e = NULL;
    for (size_t i = 0; i < p->entry_count && !e; i++)
        if (strcmp(p->entries[i].path, path) == 0)
            e = &p->entries[i];
    if (!e)
        return not_planned(p, path, err);
    if (e->kind != ENTRY_FILE)
        return error_set(err, ERROR_INPUT, "%s is no file: it is %s%s%s", path, kind_names[e->kind],
                         e->target ? " to " : "", e->target ? e->target : "");
    if (!e->content && !e->source)
        return error_set(err, ERROR_INPUT, "%s is fetched from %s", path, e->url);
    autofree char *text = NULL;
    size_t size = e->size;
    if (!e->content && !file_read(e->source, SHOW_MAX, &text, &size, err))
        return false;
    if (fwrite(e->content ? e->content : text, 1, size, out) != size)
        return error_errno(err, ERROR_HOST, errno, "cannot write");
    return true;
}
