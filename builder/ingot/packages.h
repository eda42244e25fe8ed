/* The pipeline's part about packages: asking the indexes, resolving, fetching the files. */
#ifndef INGOT_INGOT_PACKAGES_H
#define INGOT_INGOT_PACKAGES_H

#include "ingot/pipeline.h"

/* The recipe's repositories with their keys as files, which are fetched where they are named by
 * URL: sets p->repositories. */
bool packages_repositories(struct pipeline *p, struct error **err) must_check;
/* The resolution that was made last for the same base, wishes and repositories, if the cache has
 * it: sets p->resolution. No network. */
bool packages_remembered(struct pipeline *p, struct error **err) must_check;
/* Takes the lock's packages where they are what is wanted: p->resolution, p->packages_pinned. */
void packages_take_pinned(struct pipeline *p);
/* Sets p->resolution to what p->plan->packages_wanted comes to: the lock's as it is where that
 * fits; else the indexes are asked, and what is locked keeps its version. With --offline what was
 * remembered must do. apk resolves in the appliance, which is left open in p->appliance for the
 * installation. */
bool packages_resolve(struct pipeline *p, struct error **err) must_check;
/* Brings every package file into the cache: sets p->package_files, and on apk guests p->apk. */
bool packages_fetch(struct pipeline *p, struct error **err) must_check;

/* Where a resolution is remembered: resolutions/DIGEST.json, over all that was asked. */
bool packages_memory_path(struct pipeline *p, const json_t *asked, char **path, struct error **err)
    must_check;

/* pipeline_fetch.c: the files of a resolution, all at once; stamps: for snapshot services. */
bool packages_get(struct pipeline *p, const struct resolution *r, const char *stamps,
                  const char *const **files, struct error **err) must_check;
/* Its indexes, by their digests. */
bool packages_get_indexes(struct pipeline *p, const struct resolution *r, struct error **err)
    must_check;

#endif
