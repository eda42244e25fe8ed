#include "source/verify.h"
#include "source/url.h"
#include "source/verify_kinds.h"

#include <string.h>
#include <strings.h>

/* VERIFY_NONE has no row: it is refused. */
static const struct verify_ops *const kinds[] = {
    [VERIFY_DIGEST] = &verify_by_digest,   [VERIFY_CHECKSUMS] = &verify_by_checksums,
    [VERIFY_OPENPGP] = &verify_by_openpgp, [VERIFY_LOCK] = &verify_by_lock,
    [VERIFY_APK] = &verify_by_apk,
};

static const struct verify_ops *ops_of(const struct verify *v)
{
    return (size_t)v->kind < COUNT(kinds) ? kinds[v->kind] : NULL;
}

/* The lock's digest is what counts, unless the recipe itself says another. */
static bool expect_locked(const struct fetch_request *r, struct expectation *e, struct error **err)
{
    const struct verify *v = r->verify;
    autofree char *shown = url_redact(r->url);
    if (!digest_is_valid(DIGEST_SHA256, r->locked))
        return error_set(err, ERROR_TRUST, "%s: the lock has no SHA-256 for it, but '%.130s'",
                         shown, r->locked);
    if (v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA256 &&
        strcasecmp(v->digest, r->locked) != 0)
        return error_set_at(err, ERROR_TRUST, v->place,
                            "%s: the recipe says sha256 %s and the lock %s: one of them is out of "
                            "date; `ingot lock --update` takes the recipe's",
                            shown, v->digest, r->locked);
    *e = (struct expectation){
        .digest_known = true, .digest_kind = DIGEST_SHA256, .verified = "lock"};
    snprintf(e->digest, sizeof e->digest, "%s", r->locked);
    return true;
}

bool verify_expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    const struct verify_ops *ops = ops_of(r->verify);
    *e = (struct expectation){0};
    if (!ops) {
        autofree char *shown = url_redact(r->url);
        return error_set_at(err, ERROR_TRUST, r->verify->place,
                            "%s: has nothing to verify it by: say verify: with its digest, a "
                            "checksum file or an OpenPGP signature, or lock",
                            shown);
    }
    return r->locked ? expect_locked(r, e, err) : ops->expect(f, a, r, e, err);
}

/* Whatever nobody vouches for is refused, also if a kind forgets to. */
bool verify_file(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const struct expectation *e, const char *file, struct error **err)
{
    const struct verify_ops *ops = ops_of(r->verify);
    if (e->digest_known)
        return true;
    if (ops && ops->file)
        return ops->file(f, a, r, file, err);
    return e->first_use || error_set(err, ERROR_TRUST, "nothing says what '%s' must be", file);
}

const char *verify_sha512(const struct fetch_request *r)
{
    const struct verify *v = r->verify;
    bool both = r->locked && v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA512;
    return both ? v->digest : NULL;
}

char *verify_record_name(const struct fetch_request *r)
{
    const struct verify_ops *ops = ops_of(r->verify);
    struct buffer b = {0};
    buffer_printf(&b, "%s\n", r->url);
    if (ops)
        ops->name(r->verify, &b);
    return buffer_take(&b);
}
