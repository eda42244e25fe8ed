/* From a bundle to folders: all of it is checked before anything shows under its name.
 *
 * Members go into a hidden folder beside their destination, `.ingot-bundle-` and the first 16
 * digits of the manifest's SHA-256; when all are there and right it is synced and its folders are
 * renamed. After an interruption the same call goes on: what is there and has the right digest is
 * kept.
 */
#ifndef INGOT_BUNDLE_IMPORT_H
#define INGOT_BUNDLE_IMPORT_H

#include "bundle/bundle.h"

struct bundle_import {
    const char *folder; /* made if absent: where the results come to be */
    /* Top-level folders of the bundle and what they are called in `folder`; NULL at the end of
     * tops. */
    const char *const *tops, *const *names;
    /* Members that go elsewhere: those that `is_other` says (may be NULL), and all outside of tops.
     * Without `other` they are read and compared. */
    bool (*is_other)(void *data, const struct bundle_member *m);
    const struct bundle_sink *other;
    /* Called when all is there and right, with the folder that holds the tops; or NULL. */
    bool (*before_publish)(void *data, const char *stage, struct error **err);
    void *data; /* of is_other and before_publish */
};

/* Imports. A destination that is there with the same contents stays as it is; with others it is
 * ERROR_CONFLICT, before anything is read. ERROR_SPACE beforehand. *fresh (may be NULL) says
 * whether anything came to be. Links and folders of the manifest are made too. */
bool bundle_import(struct bundle_reader *r, const struct bundle_import *o, bool *fresh,
                   struct error **err) must_check;

#endif
