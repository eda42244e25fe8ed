/* Is there room for what a build will write? Asked before it bakes. */
#ifndef INGOT_INGOT_ROOM_H
#define INGOT_INGOT_ROOM_H

#include "ingot/pipeline.h"

/* ERROR_SPACE, saying what is needed, where, and what is free, if the layers that the cache lacks
 * do not fit into it, or the artifact not into the folder `out` (NULL: none is made). Estimates,
 * from below: a compressed disk is taken for a third. */
bool room_check(struct pipeline *p, const char *out, struct error **err) must_check;

#endif
