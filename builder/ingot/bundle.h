/* Bundles out of artifact folders and recipes, and back: what `ingot bundle` is made of. */
#ifndef INGOT_INGOT_BUNDLE_H
#define INGOT_INGOT_BUNDLE_H

#include "bundle/bundle.h"
#include "ingot/session.h"

/* A bundle in the making; lives in the arena. */
struct collection {
    struct session *session;
    struct arena *a;
    struct bundle b;
    struct bundle_member *members;
    const char **names, **folders;
    struct bundle_link *links;
    size_t count, name_count, folder_count, link_count;
    char *scratch; /* a temporary folder for files that the bundle has otherwise than the host */
    bool with_secrets; /* --with-secrets */
    bool without_seed; /* --without-seed */
};

/* One member; mode 0: 0644. sha256 is what it must be, or NULL. */
void collect_file(struct collection *c, const char *path, const char *source, const char *sha256,
                  mode_t mode);
/* A title or a recipe's name. ERROR_INPUT where it is none, ERROR_CONFLICT where it is there. */
bool collect_name(struct collection *c, const char *name, struct error **err) must_check;

/* An artifact folder with what its SHA256SUMS names, its recipe, lock and licences. recipe: the
 * file that --recipe names, or NULL: as the build recorded it. */
bool collect_artifact(struct collection *c, const char *folder, const char *recipe,
                      struct error **err) must_check;
/* All that a rebuild of a recipe needs. */
bool collect_sources(struct collection *c, const char *given, struct error **err) must_check;

/* Files with licences in a folder (LICENSE*, LICENCE*, COPYING*, NOTICE*, and all that is in
 * licenses/ and licences/), as members below `to`; deep: also in the folders below it. What does
 * not exist is fine. */
bool collect_licences(struct collection *c, const char *folder, const char *to, bool deep,
                      struct error **err) must_check;

/* Blobs into the cache, recipe/ to the folder `to`; or artifacts below the folder `to`. */
bool bring_in(struct session *s, struct bundle_reader *r, const char *to, json_t *report,
              struct error **err) must_check;

#endif
