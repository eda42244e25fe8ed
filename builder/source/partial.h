/* Files that are being fetched: root/partial/HEX, where HEX is the SHA-256 of the record's name
 * (the URL and how it is verified), and HEX.json beside it. They outlive the process, however it
 * ends, so that the next one goes on where this one was stopped. Whoever opens one holds the
 * store's lock of that name.
 *
 * What an earlier process wrote is believed only as bytes to be hashed again from the start: the
 * file is read back through the digests before anything is added to it. The JSON says from which
 * URL it came (the SHA-256 of it: it may hold a password), the strong validator of that answer and
 * the size of the whole; without it the bytes are of no use and are dropped.
 */
#ifndef INGOT_SOURCE_PARTIAL_H
#define INGOT_SOURCE_PARTIAL_H

#include "source/store.h"

#define PARTIAL_FOLDER                                                                             \
    "partial" /* below the store's root; cleaning up removes what is old there                     \
               */

struct partial {
    struct new_blob blob; /* what has been written and hashed */
    char *notes;          /* path of the JSON */
    uint64_t had;         /* bytes that were there when it was opened, or copied in */
    uint64_t whole;       /* size of all; 0: not known */
    char *origin;         /* SHA-256 of the URL that the validator is of, or NULL */
    char *validator;      /* strong, or NULL */
    bool noted;           /* the JSON says this */
    bool empty;           /* the file is */
};

/* Opens or makes it. With resume, what is there stays: hash it with partial_hash before going on.
 */
bool partial_open(struct store *s, const char *name, bool with_sha512, bool resume,
                  struct partial *p, struct error **err) must_check;
/* Bytes that it takes on the disk; 0 where there is none. */
uint64_t partial_size(const struct store *s, const char *name);
/* Hashes up to so many bytes of what is there; *all: nothing is left to hash. */
bool partial_hash(struct partial *p, uint64_t bytes, bool *all, struct error **err) must_check;
/* Empties it. */
bool partial_restart(struct partial *p, struct error **err) must_check;
/* Fills it with a local file, which is then to be hashed. */
bool partial_copy(struct partial *p, int fd, struct error **err) must_check;
/* What the answer that is about to be written says of it. validator may be NULL. */
void partial_note(struct partial *p, const char *url, const char *validator, uint64_t whole);
/* True if what is there came from this URL, and a validator says so. */
bool partial_is_of(const struct partial *p, const char *url);
bool partial_write(struct partial *p, const void *bytes, size_t size, struct error **err)
    must_check;
/* Makes blobs of several; each must be fully hashed and verified. On failure some may be blobs.
 * Only one alone is waited for until it is on the disk (see blob_commit_all). */
bool partial_commit(struct partial *const *p, const char *const *sha256, size_t count,
                    struct error **err) must_check;
/* Closes it; what is there stays for the next time, if it can be of use then. */
void partial_keep(struct partial *p);
/* Closes and removes it. */
void partial_drop(struct partial *p);

#endif
