#include "source/verify.h"
#include "source/url.h"
#include "source/verify_kinds.h"

static const struct verify_ops *const kinds[] = {
    [VERIFY_DIGEST] = &verify_by_digest,
    [VERIFY_CHECKSUMS] = &verify_by_checksums,
    [VERIFY_OPENPGP] = &verify_by_openpgp,
    [VERIFY_LOCK] = &verify_by_lock,
};

static const struct verify_ops *ops_of(const struct verify *v)
{
    return (size_t)v->kind < COUNT(kinds) ? kinds[v->kind] : NULL;
}

bool verify_expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    const struct verify_ops *ops = ops_of(r->verify);
    autofree char *shown = url_redact(r->url);
    if (!ops)
        return error_set_at(err, ERROR_TRUST, r->verify->place,
                            "%s: has nothing to verify it by: say verify: with its digest or a "
                            "checksum file",
                            shown);
    if (!r->locked)
        return ops->expect(f, a, r, e, err);
    if (!digest_is_valid(DIGEST_SHA256, r->locked))
        return error_set(err, ERROR_TRUST, "%s: the lock has no SHA-256 for it, but '%s'", shown,
                         r->locked);
    *e = (struct expectation){
        .digest_known = true, .digest_kind = DIGEST_SHA256, .verified = "lock"};
    snprintf(e->digest, sizeof e->digest, "%s", r->locked);
    return true;
}

bool verify_file(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const struct expectation *e, const char *file, struct error **err)
{
    const struct verify_ops *ops = ops_of(r->verify);
    if (e->digest_known || !ops || !ops->file)
        return true;
    return ops->file(f, a, r, file, err);
}

char *verify_record_name(const struct fetch_request *r)
{
    const struct verify_ops *ops = ops_of(r->verify);
    autobuffer struct buffer b = {0};
    buffer_printf(&b, "%s\n", r->url);
    if (ops)
        ops->name(r->verify, &b);
    return buffer_take(&b);
}
