#include "ingot/pins.h"

#include "bake/bootstrap.h"
#include "base/buffer.h"
#include "base/path.h"
#include "base/text.h"
#include "ingot/pipeline.h"
#include "source/url.h"

#include <string.h>

#define GUEST_AGENT "qemu-guest-agent"

/* --- names in lists -----------------------------------------------------------------------------
 */

static size_t length(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static bool has(const char *const *list, const char *name)
{
    for (size_t i = 0; list && list[i]; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_list(const char *const *a, const char *const *b)
{
    size_t n = length(a);
    bool ok = n == length(b);
    for (size_t i = 0; ok && i < n; i++)
        ok = strcmp(a[i], b[i]) == 0;
    return ok;
}

/* --- opening, and what --update takes out
 * ---------------------------------------------------------- */

/* A URL, its last part, or the name that it has in the lock. */
static bool is_called(const struct pipeline *p, const struct lock_source *s, const char *name)
{
    autofree char *last = url_basename(s->url), *shown = lock_name(p->recipe->dir, s->url);
    return s->url && (strcmp(s->url, name) == 0 || (last && strcmp(last, name) == 0) ||
                      strcmp(shown, name) == 0);
}

static bool drop_source(struct pipeline *p, const char *name, const struct lock_source **list,
                        size_t *count)
{
    struct lock_source *kept = arena_alloc(p->arena, (*count + 1) * sizeof *kept);
    size_t n = 0;
    for (size_t i = 0; i < *count; i++)
        if (!is_called(p, &(*list)[i], name))
            kept[n++] = (*list)[i];
    bool found = n < *count;
    *list = kept;
    *count = n;
    return found;
}

static bool drop_package(struct pipeline *p, const char *name)
{
    struct lock_packages *l = &p->pins.now.packages;
    if (!l->resolution)
        return false;
    struct resolution *r = arena_memdup(p->arena, l->resolution, sizeof *r);
    struct package *kept = arena_alloc(p->arena, (r->count + 1) * sizeof *kept);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->packages[i].name, name) != 0)
            kept[n++] = r->packages[i];
    bool found = n < r->count;
    r->packages = kept;
    r->count = n;
    l->resolution = r;
    p->pins.packages_renewed = p->pins.packages_renewed || found;
    return found;
}

static bool in_bootstrap(const struct lock_arch *l, const char *name)
{
    const struct resolution *r = l->bootstrap.resolution;
    for (size_t i = 0; r && i < r->count; i++)
        if (strcmp(r->packages[i].name, name) == 0)
            return true;
    return false;
}

static bool drop(struct pipeline *p, const char *name, struct error **err)
{
    struct lock_arch *l = &p->pins.now;
    bool found = false;
    if (strcmp(name, "base") == 0 || (l->base.url && is_called(p, &l->base, name)) ||
        in_bootstrap(l, name)) {
        l->base = (struct lock_source){0};
        l->bootstrap = (struct lock_packages){0};
        found = true;
    } else if (strcmp(name, "packages") == 0) {
        l->packages = (struct lock_packages){0};
        found = true;
    } else if (strcmp(name, "sources") == 0) {
        l->source_count = 0;
        found = true;
    } else {
        found = drop_source(p, name, &l->sources, &l->source_count);
        found = drop_source(p, name, &l->keys, &l->key_count) || found;
        found = drop_package(p, name) || found;
    }
    return found ||
           error_set(err, ERROR_INPUT,
                     "--update: nothing that %s has is called '%s' (base, packages, sources, a "
                     "package, or a URL or its last part)",
                     path_basename(p->pins.path), name);
}

static bool renew(struct pipeline *p, const struct cli_list *names, struct error **err)
{
    if (!names || !names->given || !p->pins.read)
        return true;
    if (!names->count)
        p->pins.now = (struct lock_arch){.present = p->pins.now.present};
    for (size_t i = 0; i < names->count; i++)
        if (!drop(p, names->items[i], err))
            return false;
    return true;
}

bool pins_open(struct pipeline *p, struct error **err)
{
    struct pins *k = &p->pins;
    autofree char *path = lock_path(p->recipe->file);
    k->path = arena_strdup(p->arena, path);
    if (!lock_read(p->arena, k->path, &k->read, err))
        return false;
    if (k->read) {
        k->was = k->now = k->read->arch[p->recipe->arch];
        store_add_root(p->session->store, k->path);
    }
    if (p->options->locked && !k->now.present)
        return error_set(err, ERROR_TRUST,
                         k->read ? "--locked: %s says nothing of %s; `ingot lock` makes it"
                                 : "--locked: there is no %s (for %s); `ingot lock` makes it",
                         k->path, architecture_name(p->recipe->arch));
    if (!session_epoch(k->read, &p->epoch, err))
        return false;
    if (p->options->locked && p->epoch != k->read->epoch)
        return error_set(err, ERROR_TRUST,
                         "--locked: SOURCE_DATE_EPOCH is %jd, and the epoch in %s %jd: unset it",
                         (intmax_t)p->epoch, k->path, (intmax_t)k->read->epoch);
    return renew(p, p->options->update, err);
}

/* --- sources ------------------------------------------------------------------------------------
 */

static bool contradicts(const struct pipeline *p, const char *url, const struct verify *v,
                        const char *said, const char *locked, struct error **err)
{
    autofree char *shown = url_redact(url), *last = url_basename(url);
    return error_set_at(err, ERROR_TRUST, v->place,
                        "%s: %s is %s here, and %s in %s: `ingot lock %s --update %s` takes what "
                        "the recipe says",
                        shown, digest_name(v->digest_kind), said, locked, p->pins.path,
                        p->recipe->file, last ? last : "sources");
}

static bool was_signed(const struct lock_source *s, const struct openpgp *signer)
{
    static const char by[] = "signed by ";
    size_t n = strlen(s->verified), f = strlen(signer->fingerprint), b = strlen(by);
    return text_ends_with(s->verified, signer->fingerprint) && n >= f + b &&
           strncmp(s->verified + n - f - b, by, b) == 0;
}

/* The list that was asked is the one that is to be asked. A local one may have moved with the
 * recipe. */
static bool was_listed(const struct lock_source *s, const char *list)
{
    static const char by[] = "checksums ";
    if (!text_starts_with(s->verified, by))
        return false;
    autofree char *shown = url_redact(list);
    const char *rest = s->verified + sizeof by - 1;
    size_t n = strlen(shown);
    return !url_is_http(list) || (strncmp(rest, shown, n) == 0 &&
                                  (!rest[n] || text_starts_with(rest + n, ", signed by ")));
}

/* Whether somebody has looked, when it was locked, at what the recipe wants looked at now. */
static bool is_vouched(const struct lock_source *s, const struct verify *v)
{
    const struct openpgp *signer = v->openpgp;
    switch (v->kind) {
    case VERIFY_DIGEST:
        return v->digest_kind == DIGEST_SHA256 || s->sha512;
    case VERIFY_CHECKSUMS:
        return was_listed(s, v->checksums) && (!signer || was_signed(s, signer));
    case VERIFY_OPENPGP:
        return signer && was_signed(s, signer);
    default:
        return true;
    }
}

static bool check_pin(const struct pipeline *p, const struct lock_source *s, const char *url,
                      const struct verify *v, const struct lock_source **pin, struct error **err)
{
    *pin = NULL;
    if (v->kind == VERIFY_DIGEST) {
        const char *locked = v->digest_kind == DIGEST_SHA256 ? s->sha256 : s->sha512;
        if (locked && strcmp(locked, v->digest) != 0)
            return contradicts(p, url, v, v->digest, locked, err);
    }
    if (is_vouched(s, v))
        *pin = s;
    return true;
}

bool pins_of(const struct pipeline *p, const char *url, const struct verify *v,
             const struct lock_source **pin, struct error **err)
{
    const struct lock_source *s = lock_find_source(&p->pins.now, url);
    *pin = NULL;
    return !s || check_pin(p, s, url, v, pin, err);
}

bool pins_of_base(const struct pipeline *p, const struct lock_source **pin, struct error **err)
{
    const struct base *base = &p->recipe->base;
    const struct lock_source *s = &p->pins.now.base;
    *pin = NULL;
    if (base->kind != BASE_IMAGE || !s->url ||
        strcmp(s->url, lock_key(p->arena, base->image.text)) != 0)
        return true;
    return check_pin(p, s, base->image.text, &base->verify, pin, err);
}

const struct resolution *pins_of_bootstrap(struct pipeline *p)
{
    const struct base *base = &p->recipe->base;
    const struct lock_packages *l = &p->pins.now.bootstrap;
    const char *dir = p->recipe->dir, *mirror = base->mirror.text;
    autofree char *asked = mirror ? lock_name(dir, mirror) : NULL;
    autofree char *locked = l->mirror ? lock_name(dir, l->mirror) : NULL;
    bool fits = base->kind == BASE_BOOTSTRAP && l->resolution && same(l->os, base->os.text) &&
                same(l->suite, base->suite.text) && same(locked, asked) &&
                same_list(l->wanted, p->bootstrap_wanted);
    return fits ? l->resolution : NULL;
}

/* --- what was fetched ---------------------------------------------------------------------------
 */

void pins_first_use(struct pipeline *p, const char *url, const char *sha256)
{
    autofree char *name = lock_name(p->recipe->dir, url);
    const char *line = arena_printf(p->arena, "%s sha256 %s", name, sha256);
    arena_append(p->arena, p->pins.first_use, p->pins.first_use_count, line);
}

/* A recipe may name a URL twice, and a lock has one digest for it. */
static bool record_agrees(const struct pipeline *p, const struct lock_source *s,
                          const struct verify *v, struct error **err)
{
    for (size_t i = 0; i < p->pins.source_count; i++) {
        const struct lock_source *other = &p->pins.sources[i];
        if (strcmp(other->url, s->url) != 0 || strcmp(other->sha256, s->sha256) == 0)
            continue;
        autofree char *shown = url_redact(s->url);
        return error_set_at(err, ERROR_TRUST, v->place,
                            "%s: is named twice, and has given two different files: sha256 %s (%s) "
                            "and %s (%s); give its sha256 in the recipe",
                            shown, other->sha256, other->verified, s->sha256, s->verified);
    }
    return true;
}

bool pins_record(struct pipeline *p, const char *url, const struct verify *v,
                 const struct fetch_result *r, bool is_base, struct error **err)
{
    const struct lock_source *old =
        is_base ? &p->pins.now.base : lock_find_source(&p->pins.now, url);
    struct lock_source s = {.url = lock_key(p->arena, url),
                            .sha256 = arena_strdup(p->arena, r->sha256),
                            .size = r->size,
                            .verified = r->verified ? r->verified : "sha256"};
    bool is_old = old && old->url && strcmp(old->url, s.url) == 0;
    if (is_old && strcmp(old->sha256, s.sha256) != 0) {
        autofree char *shown = url_redact(url), *last = url_basename(url);
        return error_set_at(err, ERROR_TRUST, v->place,
                            "%s: its sha256 is %s now (%s), and %s in %s: `ingot lock %s --update "
                            "%s` takes the new one",
                            shown, s.sha256, s.verified, old->sha256, p->pins.path, p->recipe->file,
                            last ? last : "sources");
    }
    if (!is_base && !record_agrees(p, &s, v, err))
        return false;
    if (v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA512)
        s.sha512 = v->digest;
    if (r->first_use)
        pins_first_use(p, url, s.sha256);
    if (is_base)
        p->pins.base = s;
    else
        arena_append(p->arena, p->pins.sources, p->pins.source_count, s);
    return true;
}

void pins_record_key(struct pipeline *p, const char *url, const char *sha256, uint64_t size,
                     const char *fingerprint)
{
    const struct lock_source s = {.url = lock_key(p->arena, url),
                                  .sha256 = arena_strdup(p->arena, sha256),
                                  .size = size,
                                  .verified = arena_printf(p->arena, "key %s", fingerprint)};
    arena_append(p->arena, p->pins.keys, p->pins.key_count, s);
}

/* --- packages -----------------------------------------------------------------------------------
 */

/* The digest of a repository's key, as far as it is known without asking anybody. */
static const char *key_digest(struct pipeline *p, size_t n)
{
    const char *key = p->recipe->repositories[n].key.text;
    if (!key || key[0] == '/')
        return key ? p->plan->repository_keys[n] : "";
    const struct lock_source *s = lock_find_key(&p->pins.now, key);
    for (size_t i = 0; !s && i < p->pins.key_count; i++)
        if (strcmp(p->pins.keys[i].url, lock_key(p->arena, key)) == 0)
            s = &p->pins.keys[i];
    return s ? s->sha256 : NULL;
}

const char *pins_repositories(struct pipeline *p)
{
    const struct recipe *r = p->recipe;
    char hex[DIGEST_HEX_MAX];
    autojson json_t *list = json_array();
    if (!r->repository_count)
        return "";
    for (size_t i = 0; i < r->repository_count; i++) {
        const struct repository *from = &r->repositories[i];
        const char *key = key_digest(p, i);
        if (!key)
            return NULL;
        autofree char *url = lock_name(r->dir, from->url);
        json_t *j = json_object(), *components = json_array();
        json_set_integer(j, "kind", from->kind);
        json_set_string(j, "url", url);
        json_set_string(j, "suite", from->suite);
        for (size_t k = 0; k < from->components.count; k++)
            json_array_append_new(components, json_string(from->components.items[k].text));
        json_set(j, "components", components);
        json_set_string(j, "key", key);
        json_array_append_new(list, j);
    }
    autofree char *text = json_canonical(list);
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    return arena_strdup(p->arena, hex);
}

const struct lock_packages *pins_packages(struct pipeline *p)
{
    const struct lock_packages *l = &p->pins.now.packages;
    const char *repositories = l->resolution ? pins_repositories(p) : NULL;
    bool fits = repositories && *p->base_digest && same(l->base, p->base_digest) &&
                same(l->repositories, repositories) && l->recommends == p->recipe->recommends;
    return fits ? l : NULL;
}

bool pins_packages_fit(struct pipeline *p)
{
    const struct lock_packages *l = pins_packages(p);
    return l && !p->pins.packages_renewed && p->plan->packages_wanted &&
           same_list(l->wanted, p->plan->packages_wanted);
}

/* --- drift --------------------------------------------------------------------------------------
 */

struct drift {
    struct arena *arena;
    const char **lines;
    size_t count;
};

static void add(struct drift *d, const char *line)
{
    arena_append(d->arena, d->lines, d->count, line);
}

#define differ(d, ...) add((d), arena_printf((d)->arena, __VA_ARGS__))

/* What is pinned of a URL, and if not, why. */
static void compare_source(struct pipeline *p, struct drift *d, const char *what, const char *url,
                           const struct verify *v, const struct lock_source *s)
{
    autoerror struct error *why = NULL;
    const struct lock_source *pin;
    autofree char *name = lock_name(p->recipe->dir, url);
    if (!s)
        differ(d, "%s%s is not in it", what, name);
    else if (!check_pin(p, s, url, v, &pin, &why))
        differ(d, "%s", error_text(why));
    else if (!pin)
        differ(d, "%s%s is to be verified otherwise than it was when it was locked (%s)", what,
               name, s->verified);
}

static void compare_bootstrap(struct pipeline *p, struct drift *d)
{
    const struct base *base = &p->recipe->base;
    const struct lock_packages *l = &p->pins.now.bootstrap;
    size_t before = d->count;
    if (pins_of_bootstrap(p))
        return;
    if (l->resolution && !(same(l->os, base->os.text) && same(l->suite, base->suite.text)))
        differ(d, "the base is %s %s, and %s %s in it", base->os.text, base->suite.text, l->os,
               l->suite);
    for (size_t i = 0; l->resolution && p->bootstrap_wanted && p->bootstrap_wanted[i]; i++)
        if (!has(l->wanted, p->bootstrap_wanted[i]))
            differ(d, "the base's package %s is not in it", p->bootstrap_wanted[i]);
    for (size_t i = 0; l->resolution && l->wanted[i]; i++)
        if (!has(p->bootstrap_wanted, l->wanted[i]))
            differ(d, "the base's package %s is in it, and no longer asked for", l->wanted[i]);
    if (d->count == before)
        differ(d, "the base is %s %s from another place, or not in it", base->os.text,
               base->suite.text);
}

static void compare_base(struct pipeline *p, struct drift *d)
{
    const struct base *base = &p->recipe->base;
    const struct lock_arch *l = &p->pins.now;
    if (base->kind == BASE_BOOTSTRAP) {
        compare_bootstrap(p, d);
        return;
    }
    const char *key = lock_key(p->arena, base->image.text);
    bool is_it = l->base.url && strcmp(l->base.url, key) == 0;
    if (l->base.url && !is_it) {
        autofree char *name = lock_name(p->recipe->dir, key);
        autofree char *locked = lock_name(p->recipe->dir, l->base.url);
        differ(d, "the base is %s, and %s in it", name, locked);
    } else {
        compare_source(p, d, "the base ", base->image.text, &base->verify, is_it ? &l->base : NULL);
    }
}

static void compare_sources(struct pipeline *p, struct drift *d)
{
    const struct lock_arch *l = &p->pins.now;
    for (size_t i = 0; i < p->plan->fetch_count; i++) {
        const struct plan_fetch *f = &p->plan->fetches[i];
        if (f->verify != &p->recipe->base.verify)
            compare_source(p, d, "", f->url, f->verify, lock_find_source(l, f->url));
    }
    for (size_t i = 0; i < l->source_count; i++) {
        bool asked = false;
        for (size_t k = 0; k < p->plan->fetch_count && !asked; k++)
            asked = p->plan->fetches[k].verify != &p->recipe->base.verify &&
                    strcmp(lock_key(p->arena, p->plan->fetches[k].url), l->sources[i].url) == 0;
        autofree char *name = lock_name(p->recipe->dir, l->sources[i].url);
        if (!asked)
            differ(d, "%s is in it, and no longer asked for", name);
    }
}

static void compare_keys(struct pipeline *p, struct drift *d)
{
    const struct lock_arch *l = &p->pins.now;
    const struct recipe *r = p->recipe;
    for (size_t i = 0; i < r->repository_count; i++) {
        const char *key = r->repositories[i].key.text;
        if (key && key[0] != '/' && !lock_find_key(l, key))
            differ(d, "the repository key %s is not in it", lock_key(p->arena, key));
    }
    for (size_t i = 0; i < l->key_count; i++) {
        bool asked = false;
        for (size_t k = 0; k < r->repository_count && !asked; k++)
            asked = r->repositories[k].key.text &&
                    strcmp(lock_key(p->arena, r->repositories[k].key.text), l->keys[i].url) == 0;
        if (!asked)
            differ(d, "the repository key %s is in it, and no longer asked for", l->keys[i].url);
    }
}

/* What the recipe asks for is all there, without a look at the base: it was there or was added. */
static void compare_asked(struct pipeline *p, struct drift *d)
{
    const struct lock_packages *l = &p->pins.now.packages;
    const struct text_list *asked = &p->recipe->packages;
    for (size_t i = 0; i < asked->count; i++)
        if (!has(l->wanted, asked->items[i].text) && !has(l->present, asked->items[i].text))
            differ(d, "the package %s is not in it", asked->items[i].text);
    for (int k = 0; k < 2; k++) {
        const char *const *list = k ? l->present : l->wanted;
        for (size_t i = 0; list && list[i]; i++) {
            bool found = strcmp(list[i], GUEST_AGENT) == 0;
            for (size_t n = 0; n < asked->count && !found; n++)
                found = strcmp(asked->items[n].text, list[i]) == 0;
            if (!found)
                differ(d, "the package %s is in it, and no longer asked for", list[i]);
        }
    }
}

static void compare_packages(struct pipeline *p, struct drift *d)
{
    const struct lock_packages *l = &p->pins.now.packages;
    const char *const *wanted = p->plan->packages_wanted;
    size_t before = d->count;
    compare_asked(p, d);
    if (d->count > before)
        return;
    bool any = p->recipe->packages.count || (wanted && wanted[0]);
    if (any && !l->resolution)
        differ(d, "the packages are not in it");
    if (!any && l->resolution && wanted)
        differ(d, "packages are in it, and none are asked for");
    if (!any || !l->resolution)
        return;
    const char *repositories = pins_repositories(p);
    if (repositories && !same(repositories, l->repositories))
        differ(d, "the package repositories or their keys are others");
    if (l->recommends != p->recipe->recommends)
        differ(d, "recommended packages are %s", p->recipe->recommends ? "wanted" : "not wanted");
    if (*p->base_digest && !same(l->base, p->base_digest))
        differ(d, "its packages were resolved for another base");
    if (wanted && (p->pins.packages_renewed || !same_list(wanted, l->wanted)))
        differ(d, "the packages that the base lacks are others");
}

const char *const *pins_drift(struct pipeline *p)
{
    struct drift d = {.arena = p->arena};
    if (!p->pins.now.present) {
        differ(&d, "there is none for %s", architecture_name(p->recipe->arch));
    } else {
        compare_base(p, &d);
        compare_sources(p, &d);
        compare_keys(p, &d);
        compare_packages(p, &d);
    }
    add(&d, NULL);
    return d.lines;
}

bool pins_check(struct pipeline *p, struct error **err)
{
    const char *const *lines = pins_drift(p);
    autobuffer struct buffer b = {0};
    if (!p->options->locked || !lines[0])
        return true;
    for (size_t i = 0; lines[i]; i++)
        buffer_printf(&b, "%s%s", i ? "; " : "", lines[i]);
    return error_set(err, ERROR_TRUST, "--locked: the recipe and %s differ: %s", p->pins.path,
                     b.data);
}
