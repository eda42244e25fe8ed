#include "plan/plan.h"
#include "plan/build.h"

#include "base/units.h"

#include <string.h>

#define GUEST_AGENT "qemu-guest-agent" /* the package's name on apt and on apk */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* installed is sorted. */
static bool is_installed(const struct facts *f, const char *name)
{
    size_t n = 0;
    while (f->installed && f->installed[n])
        n++;
    return n && bsearch(&name, f->installed, n, sizeof *f->installed, compare_names);
}

/* What is to be installed: the recipe's packages and the guest agent, without those that the base
 * has. */
static bool want_packages(struct plan *p, struct error **err)
{
    const struct text_list *packages = &p->recipe->packages;
    const struct facts *f = p->facts;
    if (!f)
        return true;
    const char **wanted = arena_alloc(p->arena, (packages->count + 2) * sizeof *wanted);
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < packages->count; i++)
        if (!is_installed(f, packages->items[i].text))
            wanted[n++] = packages->items[i].text;
    if (n && f->packages == PACKAGES_NONE)
        return error_set_at(err, ERROR_INPUT, packages->items[0].place,
                            "the base has neither apt nor apk: no packages can be installed");
    if (!f->has_agent && !is_installed(f, GUEST_AGENT)) {
        if (f->packages == PACKAGES_NONE)
            return error_set_at(err, ERROR_INPUT, p->recipe->base.place,
                                "the base has no guest agent (qemu-ga), and neither apt nor apk to "
                                "install it with");
        wanted[n++] = GUEST_AGENT;
    }
    qsort(wanted, n, sizeof *wanted, compare_names);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || strcmp(wanted[unique - 1], wanted[i]) != 0)
            wanted[unique++] = wanted[i];
    wanted[unique] = NULL;
    p->packages_wanted = wanted;
    return true;
}

/* Keys are kept in the image, so their contents count. */
static bool read_repository_keys(struct plan *p, struct inputs *inputs, struct error **err)
{
    const struct recipe *r = p->recipe;
    const char **keys = arena_alloc(p->arena, (r->repository_count + 1) * sizeof *keys);
    for (size_t i = 0; i < r->repository_count; i++) {
        const struct repository *one = &r->repositories[i];
        const struct input_file *file;
        keys[i] = one->fingerprint;
        if (!one->key.text || one->key.text[0] != '/')
            continue;
        if (!inputs_file(inputs, one->key.text, &file, err))
            return error_wrap(err, "package_repositories");
        keys[i] = file->digest;
    }
    p->repository_keys = keys;
    return true;
}

static bool check_against_facts(const struct plan *p, struct error **err)
{
    const struct recipe *r = p->recipe;
    const struct facts *f = p->facts;
    if (!f)
        return true;
    if (r->disk && r->disk < f->virtual_size) {
        uint64_t want = r->disk / MIB, have = (f->virtual_size + MIB - 1) / MIB;
        return error_set_at(err, ERROR_INPUT, r->disk_place,
                            "disk: %ju MiB is smaller than the base, which has %ju MiB: a disk is "
                            "never made smaller",
                            (uintmax_t)want, (uintmax_t)have);
    }
    const char *arch = architecture_name(r->arch);
    if (f->architecture && *f->architecture && strcmp(arch, f->architecture) != 0)
        return error_set_at(err, ERROR_INPUT, r->base.place,
                            "the base is for %s, the recipe for %s", f->architecture, arch);
    return true;
}

/* --- fetches ------------------------------------------------------------------------------------
 */

static const char *known_sha256(const struct verify *v, struct inputs *inputs, const char *url)
{
    if (v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA256)
        return v->digest;
    return inputs_learned(inputs, url);
}

static void add_fetches(struct plan *p, struct inputs *inputs)
{
    struct plan_fetch *list = NULL;
    const struct base *base = &p->recipe->base;
    if (base->kind == BASE_IMAGE && base->image.text) {
        struct plan_fetch f = {
            .url = base->image.text, .verify = &base->verify, .why = "base image"};
        f.sha256 = known_sha256(f.verify, inputs, f.url);
        arena_append(p->arena, list, p->fetch_count, f);
    }
    for (size_t i = 0; i < p->entry_count; i++) {
        const struct plan_entry *e = &p->entries[i];
        if (!e->url)
            continue;
        bool known = false;
        for (size_t k = 0; k < p->fetch_count; k++)
            known = known || (strcmp(list[k].url, e->url) == 0 && list[k].verify == e->verify);
        if (known)
            continue;
        struct plan_fetch f = {.url = e->url,
                               .verify = e->verify,
                               .why = arena_printf(p->arena, "source for %s", e->path),
                               .sha256 = known_sha256(e->verify, inputs, e->url)};
        arena_append(p->arena, list, p->fetch_count, f);
    }
    p->fetches = list;
}

/* --- the plan -----------------------------------------------------------------------------------
 */

bool plan_make(const struct recipe *recipe, struct inputs *inputs, const char *base_digest,
               const struct facts *facts, const struct resolution *resolution, int64_t epoch,
               struct plan **out, struct error **err)
{
    struct arena *arena = arena_new();
    autoplan struct plan *p = arena_new_of(arena, struct plan);
    p->arena = arena;
    p->recipe = recipe;
    p->facts = facts;
    p->resolution = resolution;
    p->epoch = epoch;
    struct builder b = {
        .arena = arena, .recipe = recipe, .inputs = inputs, .facts = facts, .epoch = epoch};
    if (!check_against_facts(p, err) || !want_packages(p, err) ||
        !read_repository_keys(p, inputs, err) || !builder_overlays(&b, err) ||
        !builder_sources(&b, err) || !builder_settings(&b, err) || !builder_files(&b, err) ||
        !builder_services(&b, err) || !builder_finish(&b, &p->entries, &p->entry_count, err))
        return error_wrap(err, "cannot plan '%s'", recipe->title);
    if (!facts)
        builder_open(&b, "whether /lib and its like are links to /usr");
    const char **open = arena_alloc(arena, (b.open_count + 1) * sizeof *open);
    if (b.open_count)
        memcpy(open, b.open, b.open_count * sizeof *open);
    p->open = open;
    add_fetches(p, inputs);
    plan_make_layers(p, base_digest);
    *out = take_ptr(p);
    return true;
}

void plan_free(struct plan *p)
{
    if (p)
        arena_free(p->arena);
}
