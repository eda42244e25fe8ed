/* `ingot updates`: what NAME.lock has of packages, compared with what the indexes say now. */
#include "ingot/updates.h"

#include "bake/bootstrap.h"
#include "bake/guest_state.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "ingot/packages.h"
#include "ingot/pipeline.h"
#include "resolve/apk.h"
#include "resolve/apt.h"
#include "updates/version.h"

#include <string.h>

#define MAX_INDEX (256 * MIB)

static bool is_apk(const struct lock_packages *l)
{
    return l->resolution->index_count &&
           text_ends_with(l->resolution->indexes[0].url, "/APKINDEX.tar.gz");
}

static bool note_row(struct updates_report *t, const char *what, const char *note,
                     struct error **err)
{
    const struct update u = {.what = what, .note = note};
    return updates_add(t, &u, NULL, err);
}

/* A package that is there in another version now; available NULL: in none. whose: "" or "base ". */
static bool add_package(struct updates_report *t, const char *whose, const struct package *p,
                        const char *available, struct error **err)
{
    struct arena *a = t->session->arena;
    const struct update u = {
        .what = arena_printf(a, "%spackage %s", whose, p->name),
        .current = p->version,
        .available = available,
        .note = !available                                   ? "not in the indexes any more"
                : version_compare(available, p->version) > 0 ? NULL
                                                             : "the indexes have gone back",
        .newer = true,
    };
    return updates_add(t, &u, NULL, err);
}

static bool add_summary(struct updates_report *t, const char *whose, const struct lock_packages *l,
                        size_t changed, struct error **err)
{
    size_t n = l->resolution->count;
    if (changed)
        return true;
    const struct update u = {
        .what = arena_printf(t->session->arena, "%spackages", whose),
        .current = arena_printf(t->session->arena, "%zu locked", n),
        .note = "the indexes have the same versions",
    };
    return updates_add(t, &u, NULL, err);
}

/* --- apk ----------------------------------------------------------------------------------------
 */

/* The newest version of a package in the indexes, by name; NULL: it is in none. */
static const char *newest_in(const struct apk_index *indexes, size_t count, const struct package *p)
{
    const char *newest = NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < indexes[i].count; k++) {
            const struct apk_entry *e = &indexes[i].entries[k];
            if (strcmp(e->name, p->name) == 0 &&
                (!newest || version_compare(e->version, newest) > 0))
                newest = e->version;
        }
    return newest;
}

static bool read_indexes(struct updates_report *t, const struct resolution *r,
                         struct apk_index *indexes, struct error **why)
{
    for (size_t i = 0; i < r->index_count; i++) {
        char sha256[DIGEST_HEX_MAX];
        autofree char *path = NULL;
        if (!fetch_text(t->session->fetcher, r->indexes[i].url, MAX_INDEX, &path, sha256, why) ||
            !apk_read_index(t->session->arena, path, &indexes[i], why))
            return false;
    }
    return true;
}

static bool check_apk(struct updates_report *t, const struct lock_packages *l, struct error **why,
                      struct error **err)
{
    const struct resolution *r = l->resolution;
    struct apk_index *indexes = arena_alloc(t->session->arena, r->index_count * sizeof *indexes);
    size_t changed = 0;
    if (!read_indexes(t, r, indexes, why))
        return true;
    for (size_t i = 0; i < r->count; i++) {
        const char *now = newest_in(indexes, r->index_count, &r->packages[i]);
        if (now && strcmp(now, r->packages[i].version) == 0)
            continue;
        changed++;
        if (!add_package(t, "", &r->packages[i], now, err))
            return false;
    }
    return add_summary(t, "", l, changed, err);
}

/* --- apt ----------------------------------------------------------------------------------------
 */

/* What apt would install for the same wishes today: the base and its facts are in the cache. */
static bool resolve_now(struct updates_report *t, struct pipeline *p, const struct lock_packages *l,
                        const struct resolution **now, struct error **why)
{
    struct store *store = t->session->store;
    autofree char *tmp = NULL, *work = NULL;
    autotempdir char *guest = NULL;
    const struct disk_options o = {.raw = p->base_raw, .facts = p->facts, .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    if (!packages_repositories(p, why) || !store_folder(store, "tmp", &tmp, why) ||
        !store_folder(store, "apt", &work, why) || !file_temp_dir(tmp, "apt-", &guest, why) ||
        !disk_open(&o, &d, why) || !bake_apt_state(d, guest, why))
        return false;
    const struct apt_request r = {
        .guest = guest,
        .work = work,
        .architecture = p->facts->architecture,
        .wanted = l->wanted,
        .recommends = l->recommends,
        .repositories = p->repositories,
        .repository_count = p->repository_count,
    };
    return apt_resolve(t->session->arena, &r, now, why);
}

static const struct package *find_package(const struct resolution *r, const struct package *like)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->packages[i].name, like->name) == 0 &&
            strcmp(r->packages[i].architecture, like->architecture) == 0)
            return &r->packages[i];
    return NULL;
}

static bool compare_apt(struct updates_report *t, const char *whose, const struct lock_packages *l,
                        const struct resolution *now, struct error **err)
{
    size_t changed = 0;
    for (size_t i = 0; i < l->resolution->count; i++) {
        const struct package *was = &l->resolution->packages[i], *is = find_package(now, was);
        if (is && strcmp(is->version, was->version) == 0)
            continue;
        changed++;
        if (!add_package(t, whose, was, is ? is->version : NULL, err))
            return false;
    }
    return add_summary(t, whose, l, changed, err);
}

static bool check_apt(struct updates_report *t, const struct recipe *r,
                      const struct lock_packages *l, struct error **why, struct error **err)
{
    const struct pipeline_options how = {.offline = true, .until = LAYER_SEAL};
    const struct resolution *now = NULL;
    autopipeline struct pipeline *p = pipeline_new(t->session, r, &how, why);
    if (!p || !pipeline_look(p, why))
        return true; /* said in a row */
    if (!p->base_raw || !p->facts)
        return note_row(t, "packages",
                        "not known: the base is not in the cache, build it or run ingot lock", err);
    return !resolve_now(t, p, l, &now, why) || compare_apt(t, "", l, now, err);
}

/* --- bases made from packages -------------------------------------------------------------------
 */

static const char *const *texts(struct arena *a, const struct text_list *l)
{
    const char **list = arena_alloc(a, (l->count + 1) * sizeof *list);
    for (size_t i = 0; i < l->count; i++)
        list[i] = l->items[i].text;
    return list;
}

static bool check_bootstrap(struct updates_report *t, const struct recipe *r,
                            const struct lock_packages *l, struct error **why, struct error **err)
{
    struct store *store = t->session->store;
    const struct resolution *now = NULL;
    autofree char *scratch = NULL, *work = NULL;
    if (!store_folder(store, "tmp", &scratch, why) || !store_folder(store, "apt", &work, why))
        return true;
    const struct bootstrap b = {
        .os = r->base.os.text,
        .suite = r->base.suite.text,
        .architecture = architecture_name(r->arch),
        .packages = texts(t->session->arena, &r->base.packages),
        .mirror = r->base.mirror.text,
        .scratch = scratch,
    };
    return !bootstrap_resolve(&b, t->session->arena, work, false, &now, why) ||
           compare_apt(t, "base ", l, now, err);
}

/* A check that has failed for a reason that is said in a row. */
static bool finish(struct updates_report *t, const char *what, bool ok, struct error **why,
                   struct error **err)
{
    const struct update u = {.what = what};
    return ok && (!*why || updates_add(t, &u, why, err));
}

bool updates_of_packages(struct updates_report *t, const struct recipe *r,
                         const struct lock_arch *locked, struct error **err)
{
    autoerror struct error *why = NULL;
    bool bootstrap = r->base.kind == BASE_BOOTSTRAP;
    if (!locked)
        return (!r->packages.count && !bootstrap) ||
               note_row(t, "packages", "not known: there is no lock, run ingot lock", err);
    const struct lock_packages *b = &locked->bootstrap, *l = &locked->packages;
    if (bootstrap && b->resolution &&
        !finish(t, "base packages", check_bootstrap(t, r, b, &why, err), &why, err))
        return false;
    if (!l->resolution || !l->resolution->count)
        return true;
    bool ok = is_apk(l) ? check_apk(t, l, &why, err) : check_apt(t, r, l, &why, err);
    return finish(t, "packages", ok, &why, err);
}
