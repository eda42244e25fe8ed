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
/* Asks the indexes and resolves p->plan->packages_wanted; sets p->resolution and remembers it. With
 * --offline what was remembered must do. apk resolves in the appliance, which is left open in
 * p->appliance for the installation. */
bool packages_resolve(struct pipeline *p, struct error **err) must_check;
/* Brings every package file into the cache; sets p->package_files. */
bool packages_fetch(struct pipeline *p, struct error **err) must_check;

#endif
