#include "updates/internal.h"

#include <string.h>

static update_checker *const checkers[] = {
    [UPDATE_ALPINE] = update_check_alpine,
    [UPDATE_SIMPLESTREAMS] = update_check_simplestreams,
    [UPDATE_GITHUB] = update_check_github,
    [UPDATE_CHANNEL] = update_check_channel,
};

bool updates_check(struct arena *a, const struct update_service *s, const struct update_request *r,
                   struct update *out, struct error **err)
{
    unsigned kind = (unsigned)r->source->kind;
    const struct update none = {.what = r->what};
    *out = none;
    if (kind >= COUNT(checkers) || !checkers[kind])
        return error_set(err, ERROR_INTERNAL, "%s: nobody says what its newest version is",
                         r->what);
    if (checkers[kind](a, s, r, out, err))
        return true;
    *out = none;
    return false;
}
