/* Checksum files as sha256sum(1) and sha512sum(1) write them: `HEX  name`, `HEX *name`, BSD's
 * `SHA256 (name) = HEX`, or a file with nothing but one digest.
 */
#ifndef INGOT_SOURCE_VERIFY_CHECKSUMS_H
#define INGOT_SOURCE_VERIFY_CHECKSUMS_H

#include "base/digest.h"

/* Finds the digest of the file called `name`. A line with exactly that name counts first; else one
 * whose name ends in /name, if there is only one such. SHA-256 is taken before SHA-512; MD5 and
 * SHA-1 are refused. Lines in other forms (comments) are passed over; a clear-signed file is
 * refused, since its signature is not looked at. file is the checksum file's name, for messages.
 * ERROR_TRUST: no such name, several digests for it, or only weak ones. */
bool checksums_find(const char *text, size_t size, const char *file, const char *name,
                    enum digest_kind *kind, char hex[DIGEST_HEX_MAX], struct error **err)
    must_check;

#endif
