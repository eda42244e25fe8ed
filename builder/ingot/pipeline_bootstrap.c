#include "ingot/pipeline_bootstrap.h"

#include "bake/bootstrap.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "ingot/packages.h"
#include "resolve/snapshot.h"

#include <string.h>
#include <time.h>

static const char *const *texts(struct arena *a, const struct text_list *l)
{
    const char **list = arena_alloc(a, (l->count + 1) * sizeof *list);
    for (size_t i = 0; i < l->count; i++)
        list[i] = l->items[i].text;
    return list;
}

static bool describe(struct pipeline *p, struct bootstrap *b, struct error **err)
{
    const struct base *base = &p->recipe->base;
    autofree char *scratch = NULL;
    if (!store_folder(p->session->store, "tmp", &scratch, err))
        return false;
    *b = (struct bootstrap){
        .os = base->os.text,
        .suite = base->suite.text,
        .architecture = architecture_name(p->recipe->arch),
        .packages = texts(p->arena, &base->packages),
        .mirror = base->mirror.text,
        .epoch = p->epoch,
        .scratch = arena_strdup(p->arena, scratch),
        .resolution = p->bootstrap,
        .files = p->bootstrap_files,
    };
    return true;
}

static bool set_digest(struct pipeline *p, struct error **err)
{
    struct bootstrap b;
    return describe(p, &b, err) && bootstrap_key(&b, p->base_digest, err);
}

/* --- what was resolved last time ----------------------------------------------------------------
 */

static bool memory_path(struct pipeline *p, char **path, struct error **err)
{
    const struct base *base = &p->recipe->base;
    autojson json_t *j = json_object();
    json_set_string(j, "os", base->os.text);
    json_set_string(j, "suite", base->suite.text);
    json_set_string(j, "mirror", base->mirror.text);
    json_set_string(j, "architecture", architecture_name(p->recipe->arch));
    json_set(j, "wanted", json_strings(p->bootstrap_wanted));
    return packages_memory_path(p, j, path, err);
}

static bool recall(struct pipeline *p, struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = NULL;
    autoerror struct error *why = NULL;
    if (!memory_path(p, &path, err))
        return false;
    if (access(path, R_OK) != 0)
        return true;
    if (json_read_file(path, 64 * MIB, &j, &why) &&
        resolution_from_json(p->arena, j, &p->bootstrap, &why))
        return true;
    log_debug("the remembered packages of the base are left aside: %s", error_text(why));
    p->bootstrap = NULL;
    return true;
}

static bool remember(struct pipeline *p, struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = resolution_to_json(p->bootstrap);
    return memory_path(p, &path, err) && json_write_file(path, j, 0600, err);
}

/* --- for the pipeline ---------------------------------------------------------------------------
 */

static void set_stamp(struct pipeline *p)
{
    char stamp[SNAPSHOT_STAMP];
    snapshot_stamp(time(NULL), stamp);
    p->bootstrap_snapshot = arena_strdup(p->arena, stamp);
}

bool bootstrap_look(struct pipeline *p, struct error **err)
{
    struct bootstrap b;
    if (!describe(p, &b, err) || !bootstrap_wanted(&b, p->arena, &p->bootstrap_wanted, err))
        return false;
    p->bootstrap = pins_of_bootstrap(p);
    if (p->bootstrap)
        p->bootstrap_snapshot = p->pins.now.bootstrap.snapshot;
    else if (!recall(p, err))
        return false;
    return !p->bootstrap || set_digest(p, err);
}

bool bootstrap_ask(struct pipeline *p, struct error **err)
{
    struct bootstrap b;
    autofree char *work = NULL;
    if (p->recipe->base.kind != BASE_BOOTSTRAP || (p->bootstrap && pins_of_bootstrap(p)))
        return true;
    set_stamp(p);
    if (p->bootstrap && p->options->offline)
        return true;
    if (!describe(p, &b, err) || !store_folder(p->session->store, "apt", &work, err))
        return false;
    progress_step("resolve the packages of the base (%s %s)", b.os, b.suite);
    if (!bootstrap_resolve(&b, p->arena, work, p->options->offline, &p->bootstrap, err))
        return error_wrap(err, "base");
    return remember(p, err) && set_digest(p, err);
}

bool bootstrap_bake(struct pipeline *p, struct layer_work *w, struct error **err)
{
    struct bootstrap b;
    if (!pipeline_check_host(p, err))
        return false;
    if (!p->bootstrap_files &&
        !packages_get(p, p->bootstrap, p->bootstrap_snapshot, &p->bootstrap_files, err))
        return error_wrap(err, "base");
    if (!describe(p, &b, err) || !layer_start(p->session->store, NULL, w, err))
        return false;
    w->made_of = p->bootstrap_files;
    return bootstrap_make(&b, w->raw, err) || error_wrap(err, "base");
}
