/* The kinds of verification, one file each behind one table (verify.c): verify_digest.c,
 * verify_checksums.c, verify_openpgp.c, verify_lock.c, verify_apk.c.
 *
 * A kind says first what it must know before the transfer (a digest, from the recipe or a checksum
 * file), and then looks at what came. It fails closed: what it cannot say is ERROR_TRUST.
 */
#ifndef INGOT_SOURCE_VERIFY_H
#define INGOT_SOURCE_VERIFY_H

#include "source/fetch.h"

/* What must hold of the bytes. */
struct expectation {
    bool digest_known; /* digest_kind and digest say what it must be; else only `check` decides */
    enum digest_kind digest_kind;
    char digest[DIGEST_HEX_MAX];
    const char *verified; /* see fetch_result; in the arena */
    bool first_use;
};

/* Finds the expectation: reads checksum files and their signatures through the fetcher (nested
 * fetch_text calls). With r->locked no kind is asked: the digest is that. ERROR_TRUST,
 * ERROR_UNREACHABLE. */
bool verify_expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err) must_check;
/* Looks at the file that came, whose digest was already compared where it is known: OpenPGP over
 * the file itself, or a package's own digests. `file` is its path in the store's tmp folder. */
bool verify_file(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const struct expectation *e, const char *file, struct error **err) must_check;

/* The SHA-512 that the recipe itself says of what the lock binds by its SHA-256: both must hold.
 * NULL where there is none. */
const char *verify_sha512(const struct fetch_request *r);

/* What a record of the store is remembered by: the URL and all that verifies it. Free it. */
char *verify_record_name(const struct fetch_request *r);

#endif
