/* Making the layers: at most one appliance launch, none where ext4 can be written on the host. */
#include "ingot/pipeline.h"

#include "bake/run.h"
#include "bake/seal.h"
#include "bake/system.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "disk/grow.h"
#include "disk/writer.h"
#include "ingot/packages.h"
#include "payload/payload.h"

#include <fcntl.h>
#include <string.h>

static const char *key_of(const struct pipeline *p, enum layer_kind kind)
{
    for (size_t i = 0; i < p->plan->layer_count; i++)
        if (p->plan->layers[i].kind == kind)
            return p->plan->layers[i].key;
    return NULL;
}

static bool find_layer(struct pipeline *p, const char *key, const char **raw, struct error **err)
{
    autofree char *path = NULL;
    *raw = NULL;
    if (!key || !layer_find(p->session->store, key, &path, err))
        return key == NULL;
    *raw = arena_strdup(p->arena, path);
    return true;
}

static bool start_on(struct pipeline *p, const char *below, struct layer_work *w,
                     struct error **err)
{
    progress_step("copy the layer below");
    return layer_start(p->session->store, below, w, err);
}

/* --- the appliance ------------------------------------------------------------------------------
 */

static bool launch(struct pipeline *p, const char *raw, struct error **err)
{
    if (p->appliance)
        return true;
    const struct appliance_options o = {
        .raw = raw,
        .writable = true,
        .facts = p->facts,
        .cache_dir = store_root(p->session->store),
        .no_mount = true,
    };
    progress_step("launch the appliance");
    return appliance_launch(&o, &p->appliance, err);
}

static bool close_appliance(struct pipeline *p, struct error **err)
{
    struct appliance *a = take_ptr(p->appliance);
    return !a || appliance_close(a, err);
}

/* --- system: growth and packages ----------------------------------------------------------------
 */

/* Growth on the host where that works; true in *in_appliance where it does not. */
static bool grow(struct pipeline *p, const char *raw, bool *in_appliance, struct error **err)
{
    autoerror struct error *why = NULL;
    *in_appliance = false;
    if (!p->recipe->disk || p->recipe->disk == p->facts->virtual_size || p->grown)
        return true;
    progress_step("grow the disk");
    if (grow_disk(raw, p->facts, p->recipe->disk, p->epoch, &why)) {
        p->grown = true;
        return true;
    }
    if (error_kind(why) != ERROR_UNSUPPORTED) {
        *err = take_ptr(why);
        return false;
    }
    log_debug("the appliance grows the disk: %s", error_text(why));
    *in_appliance = true;
    return true;
}

bool pipeline_open_system(struct pipeline *p, struct error **err)
{
    bool in_appliance;
    if (p->appliance)
        return true;
    if (!p->system.raw && !start_on(p, p->base_raw, &p->system, err))
        return false;
    if (!grow(p, p->system.raw, &in_appliance, err) || !launch(p, p->system.raw, err))
        return false;
    if (in_appliance) {
        progress_step("grow the disk");
        if (!appliance_grow(p->appliance, err))
            return error_wrap(err, "cannot grow the disk");
        p->grown = true;
    }
    return appliance_mount(p->appliance, err);
}

static bool install(struct pipeline *p, struct error **err)
{
    autofree char *tmp = NULL;
    if (!packages_fetch(p, err) || !pipeline_open_system(p, err) ||
        !store_folder(p->session->store, "tmp", &tmp, err))
        return false;
    const struct system_step step = {
        .facts = p->facts,
        .wanted = p->plan->packages_wanted,
        .resolution = p->resolution,
        .files = p->package_files,
        .repositories = p->repositories,
        .repository_count = p->repository_count,
        .apk = p->apk,
        .tmp = tmp,
    };
    size_t n = p->resolution ? p->resolution->count : 0;
    p->system.made_of = p->package_files;
    progress_step("install %zu package%s", n, n == 1 ? "" : "s");
    return bake_install(p->appliance, &step, err);
}

/* Makes the system layer in p->system, and saves or publishes it. With `keep` the work (and an open
 * appliance, mounted) goes on to the payload. */
static bool make_system(struct pipeline *p, bool keep, const char **raw, struct error **err)
{
    const char *key = key_of(p, LAYER_SYSTEM);
    bool packages = p->plan->packages_wanted[0] != NULL, in_appliance = false;
    if (!packages && !p->repository_count) {
        if (!start_on(p, p->base_raw, &p->system, err) ||
            !grow(p, p->system.raw, &in_appliance, err))
            return false;
        if (in_appliance && !pipeline_open_system(p, err))
            return false;
    } else if (!install(p, err)) {
        return error_wrap(err, "cannot make the system layer");
    }
    if (p->appliance && !appliance_trim(p->appliance, err))
        return false;
    if (keep && p->appliance) {
        if (!appliance_snapshot_point(p->appliance, err) ||
            !layer_save(p->session->store, &p->system, key, err) ||
            !appliance_mount(p->appliance, err))
            return false;
        return find_layer(p, key, raw, err);
    }
    autofree char *path = NULL;
    if (!close_appliance(p, err) || !layer_publish(p->session->store, &p->system, key, &path, err))
        return false;
    *raw = arena_strdup(p->arena, path);
    return true;
}

static bool ensure_below(struct pipeline *p, bool keep, const char **raw, struct error **err)
{
    const char *key = key_of(p, LAYER_SYSTEM);
    *raw = p->base_raw;
    if (!key)
        return true;
    autoclose int lock = layer_lock(p->session->store, key, err);
    if (lock < 0 || !find_layer(p, key, raw, err))
        return false;
    if (!*raw)
        return make_system(p, keep, raw, err);
    /* Made by somebody else, or cached: the session that resolved the packages has no more to do.
     */
    struct appliance *idle = take_ptr(p->appliance);
    if (idle)
        appliance_abandon(idle);
    layer_abandon(&p->system);
    return true;
}

/* --- payload, run, seal -------------------------------------------------------------------------
 */

static const char *blob_of(const struct plan_entry *e, void *data)
{
    struct pipeline *p = data;
    const char *digest = inputs_learned(p->session->inputs, e->url);
    if (!digest)
        digest = e->digest;
    autofree char *path = digest ? store_blob_path(p->session->store, digest) : NULL;
    return arena_strdup(p->arena, path);
}

/* The facts of a disk that has been grown. */
static const struct facts *facts_now(struct pipeline *p)
{
    if (!p->recipe->disk || p->recipe->disk == p->facts->virtual_size)
        return p->facts;
    struct facts *f = arena_memdup(p->arena, p->facts, sizeof *f);
    f->mounts[0].size += p->recipe->disk - f->virtual_size;
    f->virtual_size = p->recipe->disk;
    return f;
}

static bool lay(struct pipeline *p, struct disk *d, struct error **err)
{
    autofree char *folder = NULL;
    autotempdir char *temporary = NULL;
    char sha256[DIGEST_HEX_MAX], text[16];
    uint64_t size = 0;
    if (!store_folder(p->session->store, "tmp", &folder, err) ||
        !file_temp_dir(folder, "payload-", &temporary, err))
        return false;
    autofree char *tar = path_join(temporary, "payload.tar");
    progress_step("compose the payload");
    if (!payload_write(p->plan, blob_of, p, tar, sha256, &size, err))
        return error_wrap(err, "cannot compose the payload");
    progress_step("write the payload (%s, %s)", units_format_size(size, text), d->writer->name);
    for (size_t i = 0; i < p->plan->entry_count; i++)
        if (p->plan->entries[i].kind == ENTRY_ABSENT &&
            !d->writer->remove(d, p->plan->entries[i].path, err))
            return error_wrap(err, "cannot write the payload");
    return d->writer->lay(d, tar, err) || error_wrap(err, "cannot write the payload");
}

static bool seal(struct pipeline *p, struct disk *d, const char *raw, struct error **err)
{
    autofree char *tmp = NULL;
    const char *const *removed = NULL;
    progress_step("remove identity, and look that it is gone");
    if (!store_folder(p->session->store, "tmp", &tmp, err))
        return false;
    const struct seal_options o = {
        .init = p->facts->init,
        .never_baked = p->recipe->distribution.never_baked,
        .epoch = p->epoch,
        .tmp = tmp,
        .raw = raw,
        .facts = facts_now(p),
    };
    if (!bake_seal(d, &o, p->arena, &removed, err) || !bake_seal_assert(d, &o, err))
        return error_wrap(err, "cannot seal the image");
    for (size_t i = 0; removed && removed[i]; i++)
        log_debug("sealed: %s", removed[i]);
    return true;
}

/* Everything above `below` in one appliance session: where commands run in the guest, or ext4
 * cannot be written on the host. */
static bool finish_in_appliance(struct pipeline *p, struct layer_work *w, struct error **err)
{
    const char *run_key = key_of(p, LAYER_RUN);
    if (!p->appliance && (!launch(p, w->raw, err) || !appliance_mount(p->appliance, err)))
        return false;
    struct disk *d = appliance_as_disk(p->appliance);
    if (!lay(p, d, err))
        return false;
    if (run_key && p->options->until >= LAYER_RUN) {
        progress_step("run %zu command%s in the guest", p->recipe->run_count,
                      p->recipe->run_count == 1 ? "" : "s");
        if (!bake_run(p->appliance, p->recipe, err))
            return false;
    }
    if (p->options->until == LAYER_SEAL && !seal(p, d, w->raw, err))
        return false;
    return appliance_trim(p->appliance, err) && close_appliance(p, err);
}

/* False with ERROR_UNSUPPORTED where this writer cannot. */
static bool finish_on_host(struct pipeline *p, const struct layer_work *w, struct error **err)
{
    const struct disk_options o = {
        .raw = w->raw, .writable = true, .facts = facts_now(p), .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    if (!disk_ext4.open(&o, &d, err) || !lay(p, d, err) ||
        (p->options->until == LAYER_SEAL && !seal(p, d, w->raw, err)))
        return false;
    struct disk *closing = take_ptr(d);
    return closing->writer->close(closing, err);
}

static bool make_top(struct pipeline *p, const char *below, bool in_appliance, struct layer_work *w,
                     struct error **err)
{
    if (p->appliance) { /* the session that made the system layer goes on */
        *w = p->system;
        p->system = (struct layer_work){0};
        return finish_in_appliance(p, w, err);
    }
    autoerror struct error *why = NULL;
    if (!start_on(p, below, w, err))
        return false;
    if (in_appliance)
        return finish_in_appliance(p, w, err);
    if (finish_on_host(p, w, &why))
        return true;
    if (error_kind(why) != ERROR_UNSUPPORTED) {
        *err = take_ptr(why);
        return false;
    }
    log_info("the appliance is used: %s", error_text(why));
    layer_abandon(w);
    return start_on(p, below, w, err) && finish_in_appliance(p, w, err);
}

/* The topmost layer that options.until asks for. */
static enum layer_kind top_kind(const struct pipeline *p)
{
    enum layer_kind top = LAYER_BASE;
    for (size_t i = 0; i < p->plan->layer_count; i++)
        if (p->plan->layers[i].kind <= p->options->until)
            top = p->plan->layers[i].kind;
    return top;
}

bool pipeline_bake(struct pipeline *p, const char **raw, const char **below, struct error **err)
{
    enum layer_kind top = top_kind(p);
    const char *key = key_of(p, top);
    bool in_appliance = p->options->appliance || key_of(p, LAYER_RUN);
    if (top == LAYER_BASE || top == LAYER_SYSTEM) {
        bool ok = top == LAYER_BASE || ensure_below(p, false, below, err);
        *raw = *below = top == LAYER_BASE ? p->base_raw : *below;
        return ok;
    }
    autoclose int lock = layer_lock(p->session->store, key, err);
    if (lock < 0 || !find_layer(p, key, raw, err))
        return false;
    /* It stays until the new one is there: another build may be reading it. */
    bool replace = *raw && p->options->force;
    if (replace)
        *raw = NULL;
    if (!ensure_below(p, in_appliance && !*raw, below, err))
        return false;
    if (*raw)
        return true;
    autolayer struct layer_work w = {0};
    autofree char *path = NULL;
    if (!make_top(p, *below, in_appliance, &w, err))
        return false;
    w.replace = replace;
    if (!layer_publish(p->session->store, &w, key, &path, err))
        return false;
    *raw = arena_strdup(p->arena, path);
    return true;
}
