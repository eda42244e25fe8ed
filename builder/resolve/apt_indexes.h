/* The package indexes that apt has read, pinned. */
#ifndef INGOT_RESOLVE_APT_INDEXES_H
#define INGOT_RESOLVE_APT_INDEXES_H

#include "resolve/resolution.h"

/* What `apt-get indextargets --format` must be told, and the lines that it then gives: host file,
 * the archive's URL, the index's URL. */
#define APT_INDEX_FORMAT "$(FILENAME) $(REPO_URI) $(URI)"

/* Sets r->indexes, sorted by URL, each with digest, archive, and the archive's snapshot service as
 * its Release file beside the index (folder `lists`) has it. */
bool apt_pin_indexes(struct arena *a, const char *listing, const char *lists, struct resolution *r,
                     struct error **err) must_check;

#endif
