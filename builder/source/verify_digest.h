/* Verification by a digest that the recipe, the lock or a checksum file says. */
#ifndef INGOT_SOURCE_VERIFY_DIGEST_H
#define INGOT_SOURCE_VERIFY_DIGEST_H

#include "base/digest.h"

/* ERROR_TRUST that names both digests where they are not the same. expected may be in upper case.
 */
bool verify_digest(const char *what, enum digest_kind kind, const char *expected, const char *got,
                   struct error **err) must_check;

#endif
