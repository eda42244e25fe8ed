/* The cache: a content-addressed store of blobs by SHA-256, and folders for layers, facts and logs.
 *
 * INGOT_CACHE, else $XDG_CACHE_HOME/ingot, else ~/.cache/ingot; all of it 0700.
 *
 *   blobs/sha256/HEX  a blob, complete or absent; 0444, for it is hard-linked to where it is used
 *   stamps/HEX        size, mtime and inode of the blob when it was hashed;
 *                     its own mtime is when the blob was last used
 *   sources/HEX.json  where a blob came from
 *   roots/HEX.json    lock files whose blobs stay when the cache is cleaned up
 *   locks/            keep two processes from doing the same thing: `names`, of which each lock has
 *                     one byte, and `use`; never removed
 *   tmp/              what is being written
 *   partial/          downloads, under way or to be resumed
 *   damaged/HEX       blobs that were found to be damaged
 *
 * Many processes share it, and any of them may be killed at any time: a blob gets its name by a
 * rename (after fsync, or without a stamp), its stamp comes after that, and whatever is missing
 * behind such a step is made up for by hashing the blob again on its next use.
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
/* True if the blob is there and is what its name says: by its stamp, and where it has none or the
 * file was changed since, by hashing it again. One that is damaged is moved to damaged/, with a
 * warning, and counts as absent: whoever wants it fetches it again. */
bool store_has(const struct store *s, const char *sha256);
/* Hashes a blob again whatever its stamp says. False if it is not there, cannot be read (which is
 * said), or is damaged: then it is moved to damaged/ and *damaged is true. */
bool store_rehash(const struct store *s, const char *sha256, bool *damaged);
/* Marks a blob as used now, for cleaning up by age. */
void store_touch(const struct store *s, const char *sha256);
/* Gives the name `to`, which must be free (ERROR_CONFLICT), to what a blob (or another file) holds,
 * 0444, for reading only: a reflink, else a hard link, else a copy. */
bool store_link(const char *blob, const char *to, struct error **err) must_check;

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
    uint64_t flushed; /* so far the kernel was told to write it to the disk */
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
/* Makes it the blob of that SHA-256, which must be its own. Where the store has that blob already,
 * whole, it stays and the new one goes. */
bool blob_commit(struct new_blob *b, const char *sha256, struct error **err) must_check;
/* The same for several blobs of one store; those in front of one that fails may have been made.
 * Without wait the kernel writes them to the disk when it likes, and they have no stamp: they are
 * hashed on their next use. For many small ones this is much faster. */
bool blob_commit_all(struct new_blob *const *blobs, const char *const *sha256, size_t count,
                     bool wait, struct error **err) must_check;
void blob_abandon(struct new_blob *b);
#define autoblob cleanup(blob_abandon)

/* Waits for and takes the lock named by the SHA-256 of text; what is said while waiting. Close the
 * descriptor to let go; -1 on failure. */
int store_lock(const struct store *s, const char *text, const char *waiting, struct error **err)
    must_check;
/* The same without waiting: -1 with ERROR_CONFLICT where somebody else holds it. */
int store_try_lock(const struct store *s, const char *text, struct error **err) must_check;
/* The same where the SHA-256 is what is known. */
int store_try_lock_digest(const struct store *s, const char *sha256, struct error **err) must_check;

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

/* Keeps a lock file (an existing path) in mind: what it names stays when the cache is cleaned up,
 * for as long as it is there. Failing to is only logged. */
void store_add_root(const struct store *s, const char *lock_path);

#define autostore cleanup(cleanup_store)
static inline void cleanup_store(struct store **s)
{
    store_close(*s);
}

#endif
