/* The cache: a content-addressed store of blobs by SHA-256, and folders for layers, facts and logs.
 *
 * INGOT_CACHE, else $XDG_CACHE_HOME/ingot, else ~/.cache/ingot; all of it 0700. Blobs are files
 * blobs/sha256/HEX, 0600, complete or absent.
 */
#ifndef INGOT_SOURCE_STORE_H
#define INGOT_SOURCE_STORE_H

#include "base/digest.h"
#include "base/error.h"

struct store;

bool store_open(struct store **out, struct error **err) must_check;
void store_close(struct store *s);
/* Absolute folder of the cache. Owned by the store. */
const char *store_root(const struct store *s);
/* root/name, made if absent, for "layers", "facts", "log", "tmp". Free it. */
bool store_folder(struct store *s, const char *name, char **path, struct error **err) must_check;
/* The path that a blob has or would have. Free it. */
char *store_blob_path(const struct store *s, const char *sha256);
bool store_has(const struct store *s, const char *sha256);

#define autostore cleanup(cleanup_store)
static inline void cleanup_store(struct store **s)
{
    store_close(*s);
}

#endif
