#include "signature/openpgp.h"
#include "source/url.h"
#include "source/verify_kinds.h"

#include <string.h>

#define SIGNATURE_MAX ((size_t)1 << 20)
#define KEY_MAX ((size_t)8 << 20) /* a distribution's keyring has some hundred KiB */

static bool no_key(const struct openpgp *o, const char *what, struct error **err)
{
    autobuffer struct buffer b = {0};
    for (size_t i = 0; o->looked && o->looked[i]; i++) {
        const char *this = o->looked[i], *next = o->looked[i + 1];
        size_t stem = strlen(this) < 4 ? 0 : strlen(this) - 4;
        bool pair = next && strcmp(this + stem, ".asc") == 0 && strlen(next) == strlen(this) &&
                    strncmp(this, next, stem) == 0 && strcmp(next + stem, ".gpg") == 0;
        buffer_printf(&b, "%s%s%s", i ? ", " : "; looked for ", this, pair ? " (or .gpg)" : "");
        i += pair;
    }
    return error_set_at(err, ERROR_TRUST, o->place,
                        "%s: the OpenPGP key %s that must have signed it is not here%s; get the "
                        "key file from whoever publishes this, compare its fingerprint, and put it "
                        "under one of these names or name it (verify.openpgp.key)",
                        what, o->fingerprint, b.data ? b.data : "");
}

bool verify_can_ask(const struct openpgp *o, const char *what, struct error **err)
{
    if (!o || !o->fingerprint || !o->signature.text)
        return error_set(err, ERROR_TRUST, "%s: nothing says whose signature it must have", what);
    return o->key.text || no_key(o, what, err);
}

/* The signature and the key, as files. */
static bool get_both(struct fetcher *f, const struct openpgp *o, const char *what, char **signature,
                     char **key, struct error **err)
{
    char sha256[DIGEST_HEX_MAX];
    if (!verify_can_ask(o, what, err))
        return false;
    if (!fetch_text(f, o->key.text, KEY_MAX, key, sha256, err))
        return error_wrap(err, "the OpenPGP key for %s", what);
    if (!fetch_text(f, o->signature.text, SIGNATURE_MAX, signature, sha256, err))
        return error_wrap(err, "the signature of %s", what);
    return true;
}

bool verify_signed(struct fetcher *f, const struct openpgp *o, const char *file, const void *bytes,
                   size_t size, const char *what, struct error **err)
{
    autofree char *signature = NULL, *key = NULL;
    if (!get_both(f, o, what, &signature, &key, err))
        return false;
    autofree char *signature_url = url_redact(o->signature.text);
    autofree char *key_url = url_redact(o->key.text);
    const struct openpgp_check c = {.data = file,
                                    .bytes = bytes,
                                    .size = size,
                                    .signature = signature,
                                    .key = key,
                                    .fingerprint = o->fingerprint,
                                    .what = what,
                                    .signature_name = signature_url,
                                    .key_name = key_url};
    return openpgp_verify(&c, err);
}

/* Both are there before gigabytes come. */
static bool expect(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err)
{
    const struct openpgp *o = r->verify->openpgp;
    autofree char *shown = url_redact(r->url), *signature = NULL, *key = NULL;
    if (!get_both(f, o, shown, &signature, &key, err))
        return false;
    *e = (struct expectation){.verified = arena_printf(a, "signed by %s", o->fingerprint)};
    return true;
}

static bool look(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const char *file, struct error **err)
{
    autofree char *shown = url_redact(r->url);
    (void)a;
    return verify_signed(f, r->verify->openpgp, file, NULL, 0, shown, err);
}

static void name(const struct verify *v, struct buffer *b)
{
    buffer_printf(b, "openpgp %s %s", v->openpgp->fingerprint, v->openpgp->signature.text);
}

const struct verify_ops verify_by_openpgp = {.expect = expect, .file = look, .name = name};
