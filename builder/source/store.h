/* The cache: a content-addressed store of blobs by SHA-256, and folders for layers, facts and logs.
 *
 * INGOT_CACHE, else $XDG_CACHE_HOME/ingot, else ~/.cache/ingot; all of it 0700. Blobs are files
 * blobs/sha256/HEX, 0600, complete or absent. sources/HEX.json remembers where a blob came from;
 * locks/ keeps two processes from fetching the same thing; tmp/ holds what is being written.
 */
#ifndef INGOT_SOURCE_STORE_H
#define INGOT_SOURCE_STORE_H

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

struct store;

/* ERROR_HOST where no folder can be made, or none is said (no INGOT_CACHE, no HOME). */
bool store_open(struct store **out, struct error **err) must_check;
void store_close(struct store *s);
/* Absolute folder of the cache. Owned by the store. */
const char *store_root(const struct store *s);
/* root/name, made if absent, for "layers", "facts", "log", "tmp". Free it. */
bool store_folder(struct store *s, const char *name, char **path, struct error **err) must_check;
/* The path that a blob has or would have. Free it. */
char *store_blob_path(const struct store *s, const char *sha256);
bool store_has(const struct store *s, const char *sha256);

/* --- writing ------------------------------------------------------------------------------------
 */

/* A blob in the making: hashed while it is written, and gone unless it is committed. Declare it
 * `autoblob struct new_blob b = NEW_BLOB;`. */
struct new_blob {
    const struct store *store;
    int fd;
    char *temporary;
    struct digest *sha256;
    struct digest *sha512; /* NULL unless asked for */
    uint64_t size;
};
#define NEW_BLOB                                                                                   \
    (struct new_blob)                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
bool blob_begin(struct store *s, bool with_sha512, struct new_blob *b, struct error **err)
    must_check;
bool blob_write(struct new_blob *b, const void *bytes, size_t size, struct error **err) must_check;
/* Fills the blob with what an open file holds from its start (a reflink where that works) and
 * hashes what has come to be in the store. */
bool blob_copy(struct new_blob *b, int fd, struct error **err) must_check;
/* The digests of all that was written; sha512 may be NULL. Call once, before blob_commit. */
void blob_digests(struct new_blob *b, char sha256[DIGEST_HEX_MAX], char sha512[DIGEST_HEX_MAX]);
/* Makes it the blob of that SHA-256, which must be its own. */
bool blob_commit(struct new_blob *b, const char *sha256, struct error **err) must_check;
void blob_abandon(struct new_blob *b);
#define autoblob cleanup(blob_abandon)

/* Waits for and takes the lock named by the SHA-256 of text; what is said while waiting. Close the
 * descriptor to let go; -1 on failure. */
int store_lock(struct store *s, const char *text, const char *waiting, struct error **err)
    must_check;

/* Whoever needs what is in the cache to stay there holds this lock with others; cleaning up holds
 * it `alone`, and does not wait for builds: ERROR_CONFLICT. Close the descriptor to let go; -1 on
 * failure. */
int store_use(struct store *s, bool alone, struct error **err) must_check;

/* --- what is remembered of a source --------------------------------------------------------------
 */

/* The record kept under text (a URL and how it is verified), or NULL. The caller owns it. */
json_t *store_recall(const struct store *s, const char *text);
/* Keeps a record; failing to is only logged. */
void store_remember(struct store *s, const char *text, const json_t *record);

#define autostore cleanup(cleanup_store)
static inline void cleanup_store(struct store **s)
{
    store_close(*s);
}

#endif
