/* What ARTIFACT on a command line means: a folder or its image.json, a bundle, or a name below out/
 * or among the artifacts that were imported. */
#ifndef INGOT_BOOT_ARTIFACT_H
#define INGOT_BOOT_ARTIFACT_H

#include "boot/virt.h"
#include "bundle/bundle.h"

struct artifact_wish {
    const char *given;
    const char *title;             /* which of a bundle's artifacts; NULL: the only one */
    const char *key, *fingerprint; /* that must have signed the bundle; or NULL */
};

/* Where `--pool` keeps what is not the disk, and `up NAME` looks: STATE/artifacts. Free it. */
char *artifact_folder(const struct virt *v);

/* The folder with image.json, in the arena. A bundle is checked as a whole and unpacked, once, to
 * STATE/artifacts/bundles/DIGEST/TITLE, where the digest is that of its manifest. */
bool artifact_find(const struct virt *v, struct arena *a, const struct artifact_wish *w,
                   const char **folder, struct error **err) must_check;

/* Opens a bundle and, with a key, checks its signature. *signed_by (constant) is "none", "good",
 * or "not checked" for one that is signed and no key given, which is also said. */
bool artifact_open_bundle(const char *path, const char *key, const char *fingerprint,
                          struct bundle_reader **out, const char **signed_by, struct error **err)
    must_check;

/* Makes artifacts of a bundle into a libvirt pool: the whole bundle is checked first, then each
 * disk is uploaded as a volume TITLE-DIGEST.FORMAT, and the other files come to folder/TITLE with a
 * symbolic link to the volume. *volumes (may be NULL) gets {title: {"volume", "path"}}. */
bool artifact_to_pool(struct virt *v, struct bundle_reader *r, const char *pool, const char *folder,
                      json_t *volumes, struct error **err) must_check;

#endif
