/* The pipeline's part about a base made from packages. */
#ifndef INGOT_INGOT_PIPELINE_BOOTSTRAP_H
#define INGOT_INGOT_PIPELINE_BOOTSTRAP_H

#include "ingot/pipeline.h"

/* What the base is, as far as the lock or the cache knows its packages: p->bootstrap_wanted,
 * p->bootstrap, p->base_digest. No network. */
bool bootstrap_look(struct pipeline *p, struct error **err) must_check;
/* Asks the indexes, unless the lock has the packages. With --offline what was remembered must do.
 */
bool bootstrap_ask(struct pipeline *p, struct error **err) must_check;
/* Makes the disk from p->bootstrap_files. */
bool bootstrap_bake(struct pipeline *p, struct layer_work *w, struct error **err) must_check;

#endif
