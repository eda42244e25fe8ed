/* SHA-256 and SHA-512 (FIPS 180-4) through libcrypto's EVP interface.
 * Digests are lower-case hexadecimal strings. */
#ifndef INGOT_BASE_DIGEST_H
#define INGOT_BASE_DIGEST_H

#include "base/error.h"

#include <stdint.h>

enum digest_kind { DIGEST_SHA256, DIGEST_SHA512 };

#define DIGEST_HEX_MAX 129
#define SHA256_HEX 65

struct digest;

const char *digest_name(enum digest_kind kind);  /* "sha256", "sha512" */
size_t digest_hex_length(enum digest_kind kind); /* 64, 128 */
/* True if hex is a digest of that kind: the right length, hexadecimal digits. */
bool digest_is_valid(enum digest_kind kind, const char *hex);

struct digest *digest_new(enum digest_kind kind);
/* SHA-1, which pins nothing here: only to compare with what others' signed formats say in it. */
struct digest *digest_new_sha1(void);
void digest_add(struct digest *d, const void *bytes, size_t size);
/* Writes the hexadecimal digest and resets d for another text. */
void digest_finish(struct digest *d, char hex[DIGEST_HEX_MAX]);
void digest_free(struct digest *d);

void digest_bytes(enum digest_kind kind, const void *bytes, size_t size, char hex[DIGEST_HEX_MAX]);
/* HMAC-SHA-256 (RFC 2104): for what is secret and must still be compared. */
void digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                 char hex[DIGEST_HEX_MAX]);
/* Reads from fd's start to its end; the position of fd does not matter and is not changed. Holes of
 * sparse files are hashed as the zeros they are. */
bool digest_fd(enum digest_kind kind, int fd, char hex[DIGEST_HEX_MAX], uint64_t *size,
               struct error **err) must_check;
bool digest_file(enum digest_kind kind, const char *path, char hex[DIGEST_HEX_MAX], uint64_t *size,
                 struct error **err) must_check;

static inline void cleanup_digest(struct digest **d)
{
    digest_free(*d);
}
#define autodigest cleanup(cleanup_digest)

#endif
