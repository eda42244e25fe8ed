#include "source/verify_digest.h"
#include "source/url.h"
#include "source/verify_kinds.h"

#include <string.h>
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

static bool expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    const struct verify *v = r->verify;
    (void)f;
    (void)a;
    if (!v->digest || !digest_is_valid(v->digest_kind, v->digest)) {
        autofree char *shown = url_redact(r->url);
        return error_set_at(err, ERROR_TRUST, v->place, "%s: '%s' is no %s digest", shown,
                            v->digest ? v->digest : "", digest_name(v->digest_kind));
    }
    *e = (struct expectation){.digest_known = true,
                              .digest_kind = v->digest_kind,
                              .verified = digest_name(v->digest_kind)};
    snprintf(e->digest, sizeof e->digest, "%s", v->digest);
    return true;
}

static void name(const struct verify *v, struct buffer *b)
{
    buffer_printf(b, "%s %s", digest_name(v->digest_kind), v->digest);
}

const struct verify_ops verify_by_digest = {.expect = expect, .name = name};
