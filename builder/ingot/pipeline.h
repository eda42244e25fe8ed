/* From a recipe to a plan and from a plan to artifacts: what `plan` and `build` share. The order of
 * the calls is the flow of docs/architecture.md; each takes up what the one before has found out.
 */
#ifndef INGOT_INGOT_PIPELINE_H
#define INGOT_INGOT_PIPELINE_H

#include "bake/layer.h"
#include "disk/appliance.h"
#include "ingot/session.h"
#include "plan/plan.h"
#include "resolve/apk.h"

struct pipeline_options {
    bool offline;          /* no network: what is not in the cache is ERROR_UNREACHABLE */
    bool force;            /* makes the topmost layer again, cached or not */
    bool appliance;        /* --writer appliance: also where ext4 could be written on the host */
    enum layer_kind until; /* LAYER_SEAL: all */
};

struct pipeline {
    struct arena *arena;
    struct session *session; /* not owned */
    const struct recipe *recipe;
    const struct pipeline_options *options;
    int64_t epoch;
    char base_digest[DIGEST_HEX_MAX]; /* "" until it is known */
    const char *base_key;             /* layer key of the base */
    const char *base_raw;             /* its raw disk in the cache, or NULL */
    const struct facts *facts;
    const struct resolution *resolution;
    /* The recipe's repositories with their keys, and on apk guests all repositories. */
    struct package_repository *repositories;
    size_t repository_count;
    struct apk_repositories *apk;
    const char *const *package_files; /* host paths, in the resolution's order; NULL at the end */
    struct plan *plan;
    bool resolved; /* pipeline_resolve is done */
    /* An appliance that was launched to resolve packages and goes on to install them, on what
     * becomes the system layer. */
    struct appliance *appliance;
    struct layer_work system;
    bool grown; /* `system` has the wanted size already */
};

struct pipeline *pipeline_new(struct session *s, const struct recipe *r,
                              const struct pipeline_options *o, struct error **err) must_check;
void pipeline_free(struct pipeline *p);

/* What can be said without network, appliance or work: base digest, facts and resolution as far as
 * the cache knows them; then the plan. */
bool pipeline_look(struct pipeline *p, struct error **err) must_check;

/* Fetches or makes the base alone: p->base_raw. */
bool pipeline_base(struct pipeline *p, struct error **err) must_check;

/* Fetches or makes the base, reads its facts, asks the package indexes and resolves; then the plan,
 * whose layers all have keys. */
bool pipeline_resolve(struct pipeline *p, struct error **err) must_check;

/* An appliance with the disk of the system layer in the making, grown and mounted: p->appliance. */
bool pipeline_open_system(struct pipeline *p, struct error **err) must_check;

/* Makes the layers that are not in the cache, up to options.until. *raw gets the topmost one's
 * disk, *below that of the layer under the payload; both live in the arena. */
bool pipeline_bake(struct pipeline *p, const char **raw, const char **below, struct error **err)
    must_check;

static inline void cleanup_pipeline(struct pipeline **p)
{
    pipeline_free(*p);
}
#define autopipeline cleanup(cleanup_pipeline)

#endif
