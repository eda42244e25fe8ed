#include "ingot/pipeline.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "disk/image.h"
#include "disk/writer.h"
#include "ingot/packages.h"
#include "ingot/pipeline_bootstrap.h"
#include "source/fetch.h"

#include <string.h>
#include <sys/utsname.h>

struct pipeline *pipeline_new(struct session *s, const struct recipe *r,
                              const struct pipeline_options *o, struct error **err)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->arena = arena_new();
    p->session = s;
    p->recipe = r;
    p->options = o;
    if (!pins_open(p, err)) {
        pipeline_free(p);
        return NULL;
    }
    return p;
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    if (p->appliance)
        appliance_abandon(p->appliance);
    layer_abandon(&p->system);
    plan_free(p->plan);
    arena_free(p->arena);
    free(p);
}

static bool make_plan(struct pipeline *p, struct error **err)
{
    plan_free(p->plan);
    p->plan = NULL;
    return plan_make(p->recipe, p->session->inputs, *p->base_digest ? p->base_digest : NULL,
                     p->facts, p->resolution, p->epoch, &p->plan, err);
}

/* --- what is known already ---------------------------------------------------------------------
 */

/* A contradiction is one of the differences that --locked lists later, all at once. */
static bool later(const struct pipeline *p, struct error **err)
{
    if (!p->options->locked)
        return false;
    error_free(take_ptr(*err));
    return true;
}

static bool know_base_digest(struct pipeline *p, struct error **err)
{
    const struct base *base = &p->recipe->base;
    const struct lock_source *pin;
    if (base->kind == BASE_BOOTSTRAP)
        return bootstrap_look(p, err);
    if (!pins_of_base(p, &pin, err))
        return later(p, err) || error_wrap(err, "base");
    if (pin) {
        snprintf(p->base_digest, sizeof p->base_digest, "%s", pin->sha256);
        inputs_learn(p->session->inputs, base->image.text, pin->sha256);
        return true;
    }
    const struct fetch_request r = {
        .url = base->image.text, .verify = &base->verify, .what = "base image"};
    (void)fetch_known(p->session->store, &r, p->base_digest);
    return true;
}

/* facts/KEY.json beside the layers. */
static bool facts_path(struct pipeline *p, char **path, struct error **err)
{
    autofree char *folder = NULL, *name = NULL;
    if (!store_folder(p->session->store, "facts", &folder, err))
        return false;
    if (asprintf(&name, "%s.json", p->base_key) < 0)
        abort();
    *path = path_join(folder, name);
    return true;
}

static bool load_facts(struct pipeline *p, struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = NULL;
    autoerror struct error *why = NULL;
    if (!facts_path(p, &path, err))
        return false;
    if (access(path, R_OK) != 0)
        return true;
    if (!json_read_file(path, 64 * MIB, &j, &why) ||
        !facts_from_json(p->arena, j, &p->facts, &why)) {
        log_debug("cached facts are read anew: %s", error_text(why));
        p->facts = NULL;
    }
    return true;
}

static bool learn_sources(struct pipeline *p, bool *learned, struct error **err)
{
    char sha256[DIGEST_HEX_MAX];
    *learned = false;
    for (size_t i = 0; i < p->plan->fetch_count; i++) {
        const struct plan_fetch *f = &p->plan->fetches[i];
        const struct fetch_request r = {.url = f->url, .verify = f->verify, .what = f->why};
        const struct lock_source *pin;
        if (f->verify == &p->recipe->base.verify)
            continue;
        if (!pins_of(p, f->url, f->verify, &pin, err) && !later(p, err))
            return error_wrap(err, "%s", f->why);
        if (pin)
            snprintf(sha256, sizeof sha256, "%s", pin->sha256);
        else if (f->sha256 || !fetch_known(p->session->store, &r, sha256))
            continue;
        inputs_learn(p->session->inputs, f->url, sha256);
        *learned = true;
    }
    return true;
}

/* What is there of the base whose digest is known. */
static bool look_at_base(struct pipeline *p, struct error **err)
{
    autofree char *raw = NULL;
    p->base_key = arena_strdup(p->arena, p->plan->layers[0].key);
    p->base_raw = NULL;
    p->facts = NULL;
    if (!p->base_key)
        return true;
    if (!layer_find(p->session->store, p->base_key, &raw, err) || !load_facts(p, err))
        return false;
    p->base_raw = arena_strdup(p->arena, raw);
    return true;
}

bool pipeline_look(struct pipeline *p, struct error **err)
{
    bool learned;
    if (!know_base_digest(p, err) || !make_plan(p, err) || !look_at_base(p, err) ||
        !learn_sources(p, &learned, err))
        return false;
    if ((p->facts || learned) && !make_plan(p, err))
        return false;
    if (p->plan->packages_wanted && p->plan->packages_wanted[0]) {
        packages_take_pinned(p);
        if (!p->packages_pinned && !packages_remembered(p, err))
            return false;
        if (p->resolution && !make_plan(p, err))
            return false;
    }
    return true;
}

bool pipeline_is_final(struct pipeline *p)
{
    const struct plan *plan = p->plan;
    if (!p->facts || !plan->packages_wanted)
        return false;
    for (size_t i = 0; i < plan->layer_count; i++)
        if (!plan->layers[i].key)
            return false;
    if (!pins_drift(p)[0])
        return true;
    /* Where no lock can be written, what is known already has to do, but for packages. */
    bool packages = (plan->packages_wanted[0] && !p->packages_pinned) ||
                    (p->recipe->base.kind == BASE_BOOTSTRAP && !pins_of_bootstrap(p));
    if (p->options->locked || !pins_forbidden(p) || (packages && !p->options->offline))
        return false;
    pins_say_unpinned(p);
    return true;
}

/* --- making sure -------------------------------------------------------------------------------
 */

/* There is no emulation of other architectures. */
bool pipeline_check_host(const struct pipeline *p, struct error **err)
{
    struct utsname host;
    if (uname(&host) == 0 && strcmp(host.machine, architecture_gnu(p->recipe->arch)) != 0)
        return error_set(err, ERROR_HOST,
                         "the recipe is for %s and this host is %s: build it on a host of that "
                         "architecture",
                         architecture_name(p->recipe->arch), host.machine);
    return true;
}

static bool make_base_image(struct pipeline *p, struct layer_work *w, struct error **err)
{
    const struct base *base = &p->recipe->base;
    autofree char *blob = store_blob_path(p->session->store, p->base_digest);
    progress_step("unpack the base image");
    if (!layer_start(p->session->store, NULL, w, err) ||
        !image_to_raw(blob, base->format, w->raw, err))
        return error_wrap(err, "base: %s", base->image.text);
    const char **made_of = arena_alloc(p->arena, 2 * sizeof *made_of);
    made_of[0] = arena_strdup(p->arena, p->base_digest);
    w->made_of = made_of;
    return true;
}

static bool ensure_base(struct pipeline *p, struct error **err)
{
    if (p->base_raw)
        return true;
    autofree char *raw = NULL;
    autoclose int lock = layer_lock(p->session->store, p->base_key, err);
    if (lock < 0 || !layer_find(p->session->store, p->base_key, &raw, err))
        return false;
    if (!raw) {
        autolayer struct layer_work w = {0};
        bool made = p->recipe->base.kind == BASE_BOOTSTRAP ? bootstrap_bake(p, &w, err)
                                                           : make_base_image(p, &w, err);
        if (!made || !layer_publish(p->session->store, &w, p->base_key, &raw, err))
            return false;
    }
    p->base_raw = arena_strdup(p->arena, raw);
    return true;
}

static bool ensure_facts(struct pipeline *p, struct error **err)
{
    if (!p->facts && !load_facts(p, err))
        return false;
    if (p->facts)
        return true;
    const struct disk_options o = {.raw = p->base_raw, .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    autofree char *path = NULL;
    progress_step("look at the base");
    if (!disk_open(&o, &d, err) || !disk_read_facts(d, &o, p->arena, &p->facts, err))
        return error_wrap(err, "cannot read the base");
    struct disk *closing = take_ptr(d);
    if (!closing->writer->close(closing, err) || !facts_path(p, &path, err))
        return false;
    autojson json_t *j = facts_to_json(p->facts);
    return json_write_file(path, j, 0600, err);
}

/* Fetches, and looks again where the base is another than it seemed to be. */
static bool fetch_and_look(struct pipeline *p, struct error **err)
{
    if (!pins_check(p, err) || !bootstrap_ask(p, err) || !pipeline_fetch(p, err) ||
        !make_plan(p, err))
        return false;
    if (p->base_key && strcmp(p->base_key, p->plan->layers[0].key) == 0)
        return true;
    if (!look_at_base(p, err))
        return false;
    p->resolution = NULL;
    p->packages_pinned = false;
    p->package_files = NULL;
    return true;
}

bool pipeline_base(struct pipeline *p, struct error **err)
{
    return fetch_and_look(p, err) && ensure_base(p, err);
}

/* A base made from packages of another architecture cannot be made here, and what it lacks cannot
 * be said. */
static bool cannot_make_base(const struct pipeline *p)
{
    return p->options->anywhere && !p->base_raw && p->recipe->base.kind == BASE_BOOTSTRAP &&
           !pipeline_check_host(p, NULL);
}

static bool resolve_packages(struct pipeline *p, struct error **err)
{
    if (!ensure_base(p, err) || !ensure_facts(p, err) || !make_plan(p, err) || !pins_check(p, err))
        return false;
    if (!packages_repositories(p, err))
        return false;
    if (!p->plan->packages_wanted[0])
        return true;
    if (!packages_resolve(p, err) ||
        (p->resolution && p->options->everything && !packages_fetch(p, err)))
        return false;
    return make_plan(p, err);
}

static bool check_keys(const struct pipeline *p, struct error **err)
{
    for (size_t i = 0; i < p->plan->layer_count && !p->packages_open; i++)
        if (!p->plan->layers[i].key)
            return error_set(err, ERROR_INTERNAL, "layer %s has no key",
                             layer_names[p->plan->layers[i].kind]);
    return true;
}

/* To lock or fetch what the lock has already, the base need not be looked at. A lock that was begun
 * on a host of another architecture is known by its lack of packages. */
static bool has_all_in_lock(struct pipeline *p)
{
    const struct cli_list *update = p->options->update;
    return p->options->anywhere && !(update && update->given) && !pins_drift(p)[0] &&
           (pins_packages(p) || pipeline_check_host(p, NULL));
}

bool pipeline_resolve(struct pipeline *p, struct error **err)
{
    if (p->resolved)
        return true;
    if (has_all_in_lock(p))
        return (!p->options->everything || pipeline_fetch(p, err)) && pins_finish(p, err);
    if (!fetch_and_look(p, err))
        return false;
    if (cannot_make_base(p)) {
        log_warning("what the base lacks is not locked: it is made of packages, on a host of %s",
                    architecture_name(p->recipe->arch));
        p->packages_open = true;
    } else if (!resolve_packages(p, err)) {
        return false;
    }
    p->resolved = check_keys(p, err) && pins_finish(p, err);
    return p->resolved;
}
