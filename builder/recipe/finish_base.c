#include "recipe/finish.h"

#include "base/path.h"
#include "recipe/find.h"
#include "recipe/merge.h"
#include "recipe/yaml.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

void finish_error(struct finish *f, struct place place, const char *key, const char *fmt, ...)
{
    autofree char *message = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    diagnostics_error(f->binder->found, place, key, "%s", message);
}

/* --- filling in --------------------------------------------------------------------------------
 */

static const char *percent_encode(struct arena *a, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = arena_alloc(a, strlen(s) * 3 + 1), *p = out;
    for (; *s; s++) {
        if (isalnum((unsigned char)*s) || strchr("-._~", *s)) {
            *p++ = *s;
            continue;
        }
        *p++ = '%';
        *p++ = hex[(unsigned char)*s >> 4];
        *p++ = hex[*s & 15];
    }
    return out;
}

const char *finish_fill(struct finish *f, struct text_at text, const char *key, const char *version)
{
    struct arena *a = f->binder->arena;
    const struct {
        const char *name, *value, *otherwise;
    } values[] = {
        {"version", version, ": version is for the profiles of distributions that have one"},
        {"arch", architecture_name(f->draft->recipe.arch), ""},
        {"gnu_arch", architecture_gnu(f->draft->recipe.arch), ""},
        {"firmware", f->firmware, ": firmware is for the image of a base"}};
    bool url = text.text && strstr(text.text, "://");
    const char *out = "";
    for (const char *p = text.text; p && *p;) {
        const char *start = strstr(p, "@{");
        const char *end = start ? strchr(start, '}') : NULL;
        if (!end)
            return arena_printf(a, "%s%s", out, p);
        size_t i = 0, n = (size_t)(end - start - 2);
        while (i < COUNT(values) &&
               (strlen(values[i].name) != n || strncmp(start + 2, values[i].name, n) != 0))
            i++;
        if (i == COUNT(values) || !values[i].value) {
            finish_error(f, text.place, key, "nothing is known to fill into '@{%.*s}'%s", (int)n,
                         start + 2,
                         i == COUNT(values) ? "; there are version, arch, gnu_arch and firmware"
                                            : values[i].otherwise);
            return text.text;
        }
        out = arena_printf(a, "%s%.*s%s", out, (int)(start - p), p,
                           url ? percent_encode(a, values[i].value) : values[i].value);
        p = end + 1;
    }
    return text.text ? out : NULL;
}

void finish_updates(struct finish *f, struct update_source *u, const char *key, const char *version)
{
    const char **const texts[] = {&u->url, &u->folder, &u->product};
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = finish_fill(f, (struct text_at){*texts[i], u->place}, key, version);
}

/* --- profiles ----------------------------------------------------------------------------------
 */

bool finish_read_profile(struct finish *f, enum recipe_lookup kind, struct text_at name,
                         const struct type *type, void *out)
{
    struct arena *a = f->binder->arena;
    struct diagnostics *found = f->binder->found;
    static const char *const what[] = {
        [LOOKUP_BASE] = "base",
        [LOOKUP_DISTRIBUTION] = "distribution",
    };
    const char *dir = f->draft->recipe.dir;
    const char *file = find_named(a, dir, f->options->search, kind, name.text);
    f->failed = true;
    if (!file) {
        finish_error(f, name.place, what[kind], "there is no %s called '%s'%s", what[kind],
                     name.text, find_hint(a, dir, f->options->search, kind, name.text));
        return false;
    }
    arena_append(a, f->read_files, f->read_file_count, file);
    const char *shown = find_shown(a, file);
    autofree char *folder = path_dirname(file);
    size_t errors = found->errors;
    struct document_source source = {
        .name = shown, .dir = arena_strdup(a, folder), .origin = shown};
    struct node *n = document_read(a, &source, file, found);
    if (!n)
        return false;
    struct binder b = {.arena = a,
                       .found = found,
                       .prefix = what[kind],
                       .provenance = f->binder->provenance,
                       .provenance_count = f->binder->provenance_count};
    bind_node(&b, type, n->kind == NODE_MAP ? merge(a, type, NULL, n, found) : n, "", out);
    f->binder->provenance = b.provenance;
    f->binder->provenance_count = b.provenance_count;
    f->failed = found->errors > errors;
    return !f->failed;
}

static struct text_at either(struct text_at first, struct text_at second)
{
    return first.text ? first : second;
}

static void take_firmware(struct finish *f, struct base_draft *d, const struct image_draft *image)
{
    const char *all = "";
    for (size_t i = 0; i < image->firmware.count; i++) {
        const struct text_at *t = &image->firmware.items[i];
        if (!d->firmware.text)
            d->firmware = *t;
        if (strcmp(d->firmware.text, t->text) == 0)
            return;
        all = arena_printf(f->binder->arena, "%s%s%s", all, i ? " and " : "", t->text);
    }
    if (!*all)
        return;
    finish_error(f, d->firmware.place, "base.firmware",
                 "the base '%s' has no image for %s that boots with %s; there is %s", d->name.text,
                 image->arch.text, d->firmware.text, all);
    d->firmware = image->firmware.items[0]; /* one error is enough */
}

static void take_image(struct finish *f, struct base_draft *d, const struct base_profile *p)
{
    const char *arch = architecture_name(f->draft->recipe.arch);
    for (size_t i = 0; i < p->image_count; i++) {
        const struct image_draft *image = &p->images[i];
        if (strcmp(image->arch.text, arch) != 0)
            continue;
        finish_verify_over(f, &d->verify, &image->verify);
        d->image = image->image;
        d->format = either(d->format, image->format);
        take_firmware(f, d, image);
        d->updates = p->base.updates;
        return;
    }
    finish_error(f, d->name.place, "base", "the base '%s' has no image for %s", d->name.text, arch);
    f->failed = true;
}

/* Completes the draft from the profile that it names. */
static void take_profile(struct finish *f, struct base_draft *d)
{
    struct base_profile p = {0};
    if (!finish_read_profile(f, LOOKUP_BASE, d->name, &base_profile_type, &p))
        return;
    d->seed = either(d->seed, p.base.seed);
    d->user = either(d->user, p.base.user);
    d->os = either(d->os, p.base.os);
    d->init = either(d->init, p.base.init);
    if (d->image.text || d->bootstrap)
        return;
    if (p.base.bootstrap) {
        d->bootstrap = true;
        d->bootstrap_place = p.base.bootstrap_place;
        d->bootstrap_os = p.base.bootstrap_os;
        d->suite = p.base.suite;
        d->mirror = p.base.mirror;
        d->packages = p.base.packages;
    } else {
        take_image(f, d, &p);
    }
}

static void check_base(struct finish *f, const struct base_draft *d, struct place place)
{
    if (d->image.text && d->bootstrap)
        finish_error(f, place, "base", "must have either 'image' or 'bootstrap'");
    else if (!d->image.text && !d->bootstrap)
        finish_error(f, place, "base",
                     "says nothing to bake upon: name a profile, or give 'image' or 'bootstrap'");
    else if (d->image.text && d->verify.kind == VERIFY_NONE)
        finish_error(
            f, d->image.place, "base.verify",
            "is missing: nothing is used unverified; say verify: {sha256: …}, {sha512: …}, "
            "{checksums: URL} or {openpgp: …}, or verify: lock");
    else if (d->bootstrap && d->verify.kind != VERIFY_NONE)
        finish_error(f, d->verify.place, "base.verify",
                     "goes with 'image'; packages are verified by their archive's signature");
    if (d->bootstrap && d->os.text && d->bootstrap_os.text &&
        strcmp(d->os.text, d->bootstrap_os.text) != 0)
        finish_error(f, d->os.place, "base.os", "is '%s', and bootstrap makes '%s'", d->os.text,
                     d->bootstrap_os.text);
}

/* There is no BIOS for arm64. */
static enum firmware choose_firmware(struct finish *f, const struct base_draft *d)
{
    bool arm64 = f->draft->recipe.arch == ARCH_ARM64;
    if (!d->firmware.text)
        return arm64 ? FIRMWARE_UEFI : FIRMWARE_BIOS;
    if (strcmp(d->firmware.text, "uefi") == 0)
        return FIRMWARE_UEFI;
    if (arm64)
        finish_error(f, d->firmware.place, "base.firmware",
                     "is 'bios', which there is not for arm64: say uefi");
    return FIRMWARE_BIOS;
}

void finish_base(struct finish *f)
{
    struct base_draft *d = &f->draft->base;
    const struct node *node = node_get(f->root, "base");
    struct base *base = &f->draft->recipe.base;
    if (!node)
        return; /* reported */
    base->place = node->place;
    base->profile = d->name.text;
    if (d->name.text)
        take_profile(f, d);
    if (f->failed)
        return;
    check_base(f, d, node->place);
    if (!verify_complete(&d->verify, f->binder->found, "base.verify"))
        return;
    base->firmware = choose_firmware(f, d);
    f->firmware = base->firmware == FIRMWARE_UEFI ? "uefi" : "bios";
    base->kind = d->bootstrap ? BASE_BOOTSTRAP : BASE_IMAGE;
    base->image = d->image;
    base->image.text = finish_fill(f, d->image, "base.image", NULL);
    if (base->profile && base->image.text)
        bind_note(
            f->binder, "base.image", base->image.text,
            arena_printf(f->binder->arena, "%s:%u", d->image.place.file, d->image.place.line));
    base->verify = d->verify;
    finish_verify(f, &base->verify, base->image.text, "base.verify", NULL);
    base->format = d->format.text;
    base->os = either(d->os, d->bootstrap_os);
    base->suite = d->suite;
    base->packages = d->packages;
    base->mirror = d->mirror;
    base->seed = d->seed.text ? d->seed.text : "cloud-init";
    base->user = d->user.text;
    base->updates = d->updates;
    finish_updates(f, &base->updates, "base.updates", NULL);
    f->firmware = NULL;
    base->init = d->init.text;
    if (!base->init && base->os.text)
        base->init = strcmp(base->os.text, "alpine") == 0 ? "openrc" : "systemd";
}
