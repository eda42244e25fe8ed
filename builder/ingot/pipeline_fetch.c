/* Fetching: everything that is known to be needed goes into one list and is fetched at once. */
#include "ingot/pipeline.h"

#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "ingot/packages.h"
#include "resolve/snapshot.h"

#include <string.h>

/* One thing on the list, and where its digest or path goes. */
struct wish {
    enum { WISH_BASE, WISH_SOURCE, WISH_FILE } kind;
    const char *url;
    const struct verify *verify; /* of the recipe */
    bool pinned;
    const char **file; /* WISH_FILE: gets the blob's path */
};

struct batch {
    struct pipeline *p;
    struct fetch_request *requests;
    struct wish *wishes;
    size_t count, wish_count;
    size_t missing; /* as far as is known beforehand */
};

static void put(struct batch *b, struct wish w, struct fetch_request r)
{
    b->missing += !r.locked || !store_has(b->p->session->store, r.locked);
    w.pinned = r.locked != NULL;
    r.anew = !w.pinned && b->p->options->update && b->p->options->update->given &&
             !b->p->options->offline;
    arena_append(b->p->arena, b->requests, b->count, r);
    arena_append(b->p->arena, b->wishes, b->wish_count, w);
}

/* A recipe's SHA-512 cannot be compared with the name of a layer: what it is the digest of was
 * remembered when it was looked at here, or is looked at now. */
static bool is_known_as(const struct pipeline *p, const struct lock_source *pin)
{
    const struct base *base = &p->recipe->base;
    char sha256[DIGEST_HEX_MAX];
    const struct fetch_request r = {.url = base->image.text, .verify = &base->verify};
    if (base->verify.kind != VERIFY_DIGEST || base->verify.digest_kind == DIGEST_SHA256)
        return true;
    return fetch_known(p->session->store, &r, sha256) && strcmp(sha256, pin->sha256) == 0;
}

static bool put_base(struct batch *b, struct error **err)
{
    struct pipeline *p = b->p;
    const struct base *base = &p->recipe->base;
    const struct lock_source *pin;
    if (base->kind != BASE_IMAGE)
        return true;
    if (!pins_of_base(p, &pin, err))
        return error_wrap(err, "base");
    if (pin && p->base_raw && !p->options->everything && is_known_as(p, pin))
        return true;
    put(b, (struct wish){.kind = WISH_BASE, .url = base->image.text, .verify = &base->verify},
        (struct fetch_request){.url = base->image.text,
                               .verify = &base->verify,
                               .what = "base image",
                               .locked = pin ? pin->sha256 : NULL,
                               .size = pin ? pin->size : 0});
    return true;
}

static bool put_sources(struct batch *b, struct error **err)
{
    struct pipeline *p = b->p;
    for (size_t i = 0; i < p->plan->fetch_count; i++) {
        const struct plan_fetch *f = &p->plan->fetches[i];
        const struct lock_source *pin;
        if (f->verify == &p->recipe->base.verify)
            continue;
        if (!pins_of(p, f->url, f->verify, &pin, err))
            return error_wrap(err, "%s", f->why);
        put(b, (struct wish){.kind = WISH_SOURCE, .url = f->url, .verify = f->verify},
            (struct fetch_request){.url = f->url,
                                   .verify = f->verify,
                                   .what = f->why,
                                   .locked = pin ? pin->sha256 : NULL,
                                   .size = pin ? pin->size : 0});
    }
    return true;
}

static void put_one(struct batch *b, const char *url, const char *what, const struct verify *v,
                    uint64_t size, const char *const *fallbacks, const char **file)
{
    bool sha256 = v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA256;
    put(b, (struct wish){.kind = WISH_FILE, .url = url, .verify = v, .file = file},
        (struct fetch_request){.url = url,
                               .verify = v,
                               .what = what,
                               .locked = sha256 ? v->digest : NULL,
                               .size = size,
                               .fallbacks = fallbacks});
}

/* Something whose SHA-256 is known. */
static void put_file(struct batch *b, const char *url, const char *what, const char *digest,
                     uint64_t size, const char **file)
{
    struct verify *v = arena_new_of(b->p->arena, struct verify);
    *v = (struct verify){.kind = VERIFY_DIGEST, .digest_kind = DIGEST_SHA256, .digest = digest};
    put_one(b, url, what, v, size, NULL, file);
}

/* By its digest, by what a signed index of apk says of it, or else it is a first use. */
static void put_package(struct batch *b, const struct package *k, const char *const *fallbacks,
                        const char **file)
{
    struct verify *v = arena_new_of(b->p->arena, struct verify);
    *v = (struct verify){.kind = k->digest         ? VERIFY_DIGEST
                                 : k->apk_checksum ? VERIFY_APK
                                                   : VERIFY_LOCK,
                         .digest_kind = k->digest_kind,
                         .digest = k->digest,
                         .apk_checksum = k->apk_checksum};
    put_one(b, k->url, arena_printf(b->p->arena, "package %s", k->name), v, k->size, fallbacks,
            file);
}

/* The snapshot services' URLs for each of the stamps. */
static const char *const *fallbacks(struct pipeline *p, const struct resolution *r, const char *url,
                                    const char *stamps)
{
    const char **all = NULL;
    size_t count = 0;
    for (const char *s = stamps ? stamps : ""; *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");
        const char *const *urls = snapshot_urls(p->arena, r, url, arena_strndup(p->arena, s, n));
        for (; urls && *urls; urls++)
            arena_append(p->arena, all, count, *urls);
        s += n;
    }
    const char *end = NULL;
    if (all)
        arena_append(p->arena, all, count, end);
    return all;
}

/* The files of a resolution; *files gets their paths when they are there. */
static void put_packages(struct batch *b, const struct resolution *r, const char *stamps,
                         const char *const **files)
{
    const char **list = arena_alloc(b->p->arena, (r->count + 1) * sizeof *list);
    for (size_t i = 0; i < r->count; i++) {
        const struct package *k = &r->packages[i];
        put_package(b, k, fallbacks(b->p, r, k->url, stamps), &list[i]);
    }
    *files = list;
}

/* apk installs with the indexes that its packages are of. */
static void put_indexes(struct batch *b, const struct resolution *r)
{
    static const char *ignored;
    for (size_t i = 0; i < r->index_count; i++)
        put_file(b, r->indexes[i].url, "package index", r->indexes[i].digest, 0, &ignored);
}

static void put_keys(struct batch *b)
{
    static const char *ignored;
    const struct pipeline *p = b->p;
    for (size_t i = 0; i < p->recipe->repository_count; i++) {
        const char *key = p->recipe->repositories[i].key.text;
        const struct lock_source *pin =
            key && key[0] != '/' ? lock_find_key(&p->pins.now, key) : NULL;
        if (pin)
            put_file(b, key, "repository key", pin->sha256, pin->size, &ignored);
    }
}

/* --- what came ----------------------------------------------------------------------------------
 */

static bool take(struct batch *b, size_t i, const struct fetch_result *r, struct error **err)
{
    struct pipeline *p = b->p;
    const struct wish *w = &b->wishes[i];
    autofree char *path = NULL;
    if (w->kind == WISH_FILE) {
        path = store_blob_path(p->session->store, r->sha256);
        *w->file = arena_strdup(p->arena, path);
        if (r->first_use)
            pins_first_use(p, w->url, r->sha256);
        return true;
    }
    if (w->kind == WISH_BASE)
        memcpy(p->base_digest, r->sha256, sizeof p->base_digest);
    inputs_learn(p->session->inputs, w->url, r->sha256);
    return w->pinned || pins_record(p, w->url, w->verify, r, w->kind == WISH_BASE, err);
}

static bool fetch(struct batch *b, struct error **err)
{
    struct pipeline *p = b->p;
    if (!b->count)
        return true;
    struct fetch_result *results = arena_alloc(p->arena, b->count * sizeof *results);
    if (b->missing)
        progress_step("fetch %zu file%s", b->missing, b->missing == 1 ? "" : "s");
    if (!fetch_all(p->session->fetcher, p->arena, b->requests, b->count, results, err))
        return false;
    for (size_t i = 0; i < b->count; i++)
        if (!take(b, i, &results[i], err))
            return false;
    return true;
}

/* --- for the pipeline ---------------------------------------------------------------------------
 */

static bool has_system(const struct pipeline *p)
{
    autofree char *raw = NULL;
    for (size_t i = 0; i < p->plan->layer_count; i++)
        if (p->plan->layers[i].kind == LAYER_SYSTEM && p->plan->layers[i].key &&
            !layer_find(p->session->store, p->plan->layers[i].key, &raw, NULL))
            return false;
    return raw != NULL;
}

/* The base has not been looked at, and what it lacks is not known yet: if the lock was made for it,
 * its packages are what will be asked for. */
static void put_ahead(struct batch *b)
{
    const struct lock_packages *l = b->p->facts ? NULL : pins_packages(b->p);
    const char *const *ignored;
    if (!l)
        return;
    put_packages(b, l->resolution, l->snapshot, &ignored);
    if (l->resolution->index_count && pins_is_apk_index(&l->resolution->indexes[0]))
        put_indexes(b, l->resolution);
    put_keys(b);
}

bool pipeline_fetch(struct pipeline *p, struct error **err)
{
    struct batch b = {.p = p};
    if (!put_base(&b, err) || (p->options->until > LAYER_BASE && !put_sources(&b, err)))
        return false;
    if (p->bootstrap && !p->bootstrap_files && (!p->base_raw || p->options->everything))
        put_packages(&b, p->bootstrap, p->bootstrap_snapshot, &p->bootstrap_files);
    if (p->packages_pinned && !p->package_files && p->options->until > LAYER_BASE &&
        (p->options->everything || !has_system(p))) {
        put_packages(&b, p->resolution, p->snapshot, &p->package_files);
        if (p->facts && p->facts->packages == PACKAGES_APK)
            put_indexes(&b, p->resolution);
        put_keys(&b);
    }
    if (p->options->until > LAYER_BASE)
        put_ahead(&b);
    return fetch(&b, err);
}

/* --- for packages.c -----------------------------------------------------------------------------
 */

bool packages_get(struct pipeline *p, const struct resolution *r, const char *stamps,
                  const char *const **files, struct error **err)
{
    struct batch b = {.p = p};
    put_packages(&b, r, stamps, files);
    return fetch(&b, err);
}

bool packages_get_indexes(struct pipeline *p, const struct resolution *r, struct error **err)
{
    struct batch b = {.p = p};
    put_indexes(&b, r);
    return fetch(&b, err);
}
