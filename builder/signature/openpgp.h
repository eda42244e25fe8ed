/* OpenPGP signatures through GPGME: the only file that sees it.
 *
 * Every call works in a home of its own (a temporary GNUPGHOME, 0700, removed with its agent), so
 * no key of the user counts and none is changed. What counts is VALIDSIG by full fingerprint: of
 * the primary key, or of the signing subkey that belongs to it (RFC 9580; GnuPG's doc/DETAILS).
 */
#ifndef INGOT_SIGNATURE_OPENPGP_H
#define INGOT_SIGNATURE_OPENPGP_H

#include "base/error.h"

#include <stddef.h>

#define OPENPGP_FINGERPRINT_MAX 65

/* A full fingerprint, v4 (40 hexadecimal digits) or v5/v6 (64), blanks allowed between: written in
 * upper case without blanks. False for short and long key ids and for anything else. */
bool openpgp_fingerprint(const char *text, char out[OPENPGP_FINGERPRINT_MAX]);

struct openpgp_check {
    const char *data;  /* host file that is signed */
    const void *bytes; /* or, with data NULL, the bytes that are */
    size_t size;
    const char *signature;   /* host file of the detached signature, binary or armoured */
    const char *key;         /* host file with the public key(s), binary or armoured */
    const char *fingerprint; /* the key that must have signed; full */
    const char *what;        /* for messages: the URL of the signed file, without credentials */
    const char *signature_name, *key_name; /* for messages; NULL: the paths */
};
/* True only if a signature over the data is good and made by that key. ERROR_TRUST says what is
 * wrong: no such key in the key file, another signer (its fingerprint is named), bad, expired (key
 * or signature), revoked, a digest that is too weak, a file that is no signature. ERROR_HOST where
 * there is no gpg. Several signatures: one good one by that key is enough. */
bool openpgp_verify(const struct openpgp_check *c, struct error **err) must_check;

/* A detached armoured signature over `data` at `signature` (new file), by a secret key of the
 * user's own GNUPGHOME, named by full fingerprint; its agent may ask for a passphrase. */
bool openpgp_sign(const char *data, const char *fingerprint, const char *signature,
                  struct error **err) must_check;

#endif
