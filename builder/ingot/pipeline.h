/* From a recipe to a plan and from a plan to artifacts: what `plan` and `build` share. The order of
 * the calls is the flow of docs/architecture.md; each takes up what the one before has found out.
 */
#ifndef INGOT_INGOT_PIPELINE_H
#define INGOT_INGOT_PIPELINE_H

#include "bake/layer.h"
#include "disk/appliance.h"
#include "ingot/pins.h"
#include "ingot/session.h"
#include "plan/plan.h"
#include "resolve/apk.h"

struct pipeline_options {
    bool offline;                  /* no network: what is not in the cache is ERROR_UNREACHABLE */
    bool force;                    /* makes the topmost layer again, cached or not */
    bool appliance;                /* --writer appliance: also where ext4 could be written on the
                                      host */
    bool locked;                   /* any difference between recipe and lock is ERROR_TRUST */
    const struct cli_list *update; /* what the lock says of these is asked for anew; or NULL */
    bool everything;               /* fetches all that a rebuild needs, not only what this cache
                                      lacks layers for */
    bool anywhere;                 /* only to lock or fetch: what needs a host of the guest's
                                      architecture is left out, and said */
    enum layer_kind until;         /* LAYER_SEAL: all */
};

struct pipeline {
    struct arena *arena;
    struct session *session; /* not owned */
    const struct recipe *recipe;
    const struct pipeline_options *options;
    int64_t epoch;
    struct pins pins;                 /* NAME.lock */
    char base_digest[DIGEST_HEX_MAX]; /* "" until it is known */
    const char *base_key;             /* layer key of the base */
    const char *base_raw;             /* its raw disk in the cache, or NULL */
    /* A base made from packages: what is asked for, what that came to, the files. */
    const char *const *bootstrap_wanted;
    const struct resolution *bootstrap;
    const char *bootstrap_snapshot;
    const char *const *bootstrap_files;
    const struct facts *facts;
    const struct resolution *resolution;
    const char *snapshot; /* of the resolution: stamps with blanks between, see lock_packages */
    bool packages_pinned; /* resolution is the lock's */
    bool packages_open;   /* it cannot be made on this host (options.anywhere) */
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

/* True if nothing that is remote has to be asked before the build: the lock has it all, all layers
 * have keys. */
bool pipeline_is_final(struct pipeline *p);

/* The bake runs programs of the guest: ERROR_HOST where the host is of another architecture. */
bool pipeline_check_host(const struct pipeline *p, struct error **err) must_check;

/* Fetches or makes the base alone: p->base_raw. */
bool pipeline_base(struct pipeline *p, struct error **err) must_check;

/* Fetches or makes the base, reads its facts, asks the package indexes and resolves what the lock
 * does not have; then the plan, whose layers all have keys, and the lock. */
bool pipeline_resolve(struct pipeline *p, struct error **err) must_check;

/* pipeline_fetch.c: brings into the store, all at once, what is known to be needed: the base or the
 * packages that it is made from, sources, locked packages with their indexes and keys. */
bool pipeline_fetch(struct pipeline *p, struct error **err) must_check;

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
