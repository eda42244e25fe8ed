/* Fields of stanzas, deb822(5): control files, Release files, the status of packages. */
#ifndef INGOT_RESOLVE_DEB822_H
#define INGOT_RESOLVE_DEB822_H

#include "base/arena.h"

/* The value of a field in a text, on its one line, without blanks around it, in the arena; NULL:
 * not there. Names are compared without regard to case. */
const char *deb822_field(struct arena *a, const char *text, const char *name);

#endif
