#include "source/verify_digest.h"

#include <strings.h>

bool verify_digest(const char *what, enum digest_kind kind, const char *expected, const char *got,
                   struct error **err)
{
    if (digest_is_valid(kind, expected) && strcasecmp(expected, got) == 0)
        return true;
    return error_set(err, ERROR_TRUST,
                     "%s: is not what it should be: %s expected %s, got %s; nothing of it was kept",
                     what, digest_name(kind), expected, got);
}
