/* Layers in the cache: layers/KEY/disk.raw, a sparse raw disk that is never written again, and
 * beside it what is derived from it (disk.zstd.qcow2) and made-of, the digests of the blobs that
 * went into it, which stay in the cache as long as it does. A layer is there whole or not at all.
 */
#ifndef INGOT_BAKE_LAYER_H
#define INGOT_BAKE_LAYER_H

#include "base/error.h"
#include "source/store.h"

#include <stdint.h>

/* The folder that a layer has or would have. Free it. */
bool layer_folder(struct store *s, const char *key, char **folder, struct error **err) must_check;
/* The raw disk of a layer that is there, NULL in *raw where it is not; marks it as used. Free it.
 */
bool layer_find(struct store *s, const char *key, char **raw, struct error **err) must_check;

/* Held while a layer is made: a second build of the same thing waits here and then finds it. Close
 * the descriptor to let go; -1 on failure. */
int layer_lock(struct store *s, const char *key, struct error **err) must_check;

/* A layer in the making, in a folder of its own that goes away unless it is published.
 * Declare it `autolayer struct layer_work w = {0};`. */
struct layer_work {
    char *folder;
    char *raw;                  /* folder/disk.raw */
    const char *const *made_of; /* blobs (their digests or paths) that go into it, NULL at the end;
                                   or NULL. Not owned */
    bool replace;               /* publish it over one that is there */
};
/* Starts from a copy of a raw disk (reflink, else sparse), or with NULL from nothing. */
bool layer_start(struct store *s, const char *from_raw, struct layer_work *w, struct error **err)
    must_check;
/* The disk as it is now becomes the layer KEY; the work goes on with a copy of it. */
bool layer_save(struct store *s, const struct layer_work *w, const char *key, struct error **err)
    must_check;
/* The work becomes the layer KEY and is over. *raw (may be NULL) gets its final path. */
bool layer_publish(struct store *s, struct layer_work *w, const char *key, char **raw,
                   struct error **err) must_check;
void layer_abandon(struct layer_work *w);
#define autolayer cleanup(layer_abandon)

#endif
