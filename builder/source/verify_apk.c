/* A package of apk: the signed index that lists it says what it must be, though not by a digest of
 * the whole file (resolve/apk_package.h). Whoever asks has had the index verified. */
#include "resolve/apk_package.h"
#include "source/url.h"
#include "source/verify_kinds.h"

static bool expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    (void)f;
    (void)a;
    (void)r;
    (void)err;
    *e = (struct expectation){.verified = "package index"};
    return true;
}

static bool look(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const char *file, struct error **err)
{
    autofree char *shown = url_redact(r->url);
    const char *what = arena_printf(a, "the %s (%s)", r->what, shown);
    (void)f;
    return apk_package_check(file, r->verify->apk_checksum, what, err);
}

static void name(const struct verify *v, struct buffer *b)
{
    buffer_printf(b, "apk %s", v->apk_checksum);
}

const struct verify_ops verify_by_apk = {.expect = expect, .file = look, .name = name};
