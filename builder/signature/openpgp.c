#include "signature/openpgp.h"

#include "base/buffer.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"

#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>
#include <time.h>

#define KEY_MAX ((off_t)16 << 20)
#define SIGNATURE_MAX ((off_t)4 << 20)
#define MAX_NAMED 6 /* a longer list of fingerprints helps nobody */

bool openpgp_fingerprint(const char *text, char out[OPENPGP_FINGERPRINT_MAX])
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == ' ' || *p == '\t')
            continue;
        if (!isxdigit((unsigned char)*p) || n == OPENPGP_FINGERPRINT_MAX - 1)
            return false;
        out[n++] = (char)toupper((unsigned char)*p);
    }
    out[n] = '\0';
    return n == 40 || n == 64;
}

/* --- gpgme ---------------------------------------------------------------------------------------
 */

static void cleanup_context(gpgme_ctx_t *c)
{
    if (*c)
        gpgme_release(*c);
}
#define autocontext cleanup(cleanup_context)

static void cleanup_data(gpgme_data_t *d)
{
    if (*d)
        gpgme_data_release(*d);
}
#define autodata cleanup(cleanup_data)

static void cleanup_key(gpgme_key_t *k)
{
    if (*k)
        gpgme_key_unref(*k);
}
#define autokey cleanup(cleanup_key)

static bool failed(struct error **err, enum error_kind kind, gpgme_error_t e, const char *what)
{
    if (interrupted())
        return interrupt_error(err);
    char text[256];
    gpgme_strerror_r(e, text, sizeof text);
    return error_set(err, kind, "%s: %s", what, text);
}

/* home NULL: the user's own. */
static bool new_context(const char *home, gpgme_ctx_t *out, struct error **err)
{
    static bool ready;
    if (!ready) {
        gpgme_check_version(NULL);
        ready = true;
    }
    autocontext gpgme_ctx_t c = NULL;
    gpgme_error_t e = gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP);
    if (e)
        return failed(err, ERROR_HOST, e,
                      "OpenPGP signatures need gpg (the package gpg or gnupg), which does not run");
    e = gpgme_new(&c);
    if (!e)
        e = gpgme_set_protocol(c, GPGME_PROTOCOL_OpenPGP);
    if (!e && home)
        e = gpgme_ctx_set_engine_info(c, GPGME_PROTOCOL_OpenPGP, NULL, home);
    if (e)
        return failed(err, ERROR_HOST, e, "cannot start gpg");
    gpgme_set_offline(c, 1);
    *out = take_ptr(c);
    return true;
}

/* A file read piece by piece, so that an interrupt ends it. */
struct stream {
    int fd;
    off_t at;
};

static ssize_t read_stream(void *handle, void *buffer, size_t size)
{
    struct stream *s = handle;
    if (interrupted()) {
        errno = ECANCELED;
        return -1;
    }
    ssize_t n;
    do {
        n = pread(s->fd, buffer, size, s->at);
    } while (n < 0 && errno == EINTR && !interrupted());
    if (n > 0)
        s->at += n;
    return n;
}

static off_t seek_stream(void *handle, off_t offset, int whence)
{
    struct stream *s = handle;
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return -1;
    off_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : st.st_size;
    if (offset < -from) {
        errno = EINVAL;
        return -1;
    }
    return s->at = from + offset;
}

static struct gpgme_data_cbs stream_calls = {.read = read_stream, .seek = seek_stream};

static bool open_stream(const char *path, struct stream *s, gpgme_data_t *out, struct error **err)
{
    struct stat st;
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is not a file", path);
    gpgme_error_t e = gpgme_data_new_from_cbs(out, &stream_calls, s);
    if (e)
        return failed(err, ERROR_INTERNAL, e, path);
    /* Pieces of 512 bytes otherwise; an older GPGME does not know this. */
    gpgme_data_set_flag(*out, "io-buffer-size", "262144");
    return true;
}

static void close_stream(const struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
}
#define autostream cleanup(close_stream)

/* --- a home of its own ---------------------------------------------------------------------------
 */

/* Nothing is started beside gpg itself, and nothing is looked up; the key that is in the ring is
 * judged by its own signatures, and whether it is the right one by its fingerprint. A key may be
 * old and have a SHA-1 self-signature; what the signatures themselves may use is asked later. */
static const char options[] = "no-autostart\n"
                              "disable-dirmngr\n"
                              "no-auto-key-retrieve\n"
                              "no-auto-key-locate\n"
                              "no-auto-check-trustdb\n"
                              "trust-model always\n"
                              "no-random-seed-file\n";

static bool make_home(char **home, struct error **err)
{
    const char *tmp = getenv("TMPDIR");
    if (!file_temp_dir(tmp && *tmp == '/' ? tmp : "/tmp", "ingot-gpg-", home, err))
        return false;
    autofree char *conf = path_join(*home, "gpg.conf");
    return file_write(conf, options, sizeof options - 1, 0600, err);
}

static bool read_small(const char *path, off_t max, gpgme_data_t *out, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (!file_read(path, (size_t)max, &text, &size, err))
        return false;
    gpgme_error_t e = gpgme_data_new_from_mem(out, text, size, 1);
    return !e || failed(err, ERROR_INTERNAL, e, path);
}

/* The fingerprints of the primary keys in the ring, for messages. */
static char *ring(gpgme_ctx_t c)
{
    struct buffer b = {0};
    size_t n = 0;
    gpgme_key_t key;
    if (gpgme_op_keylist_start(c, NULL, 0))
        return buffer_take(&b);
    while (!gpgme_op_keylist_next(c, &key)) {
        if (n < MAX_NAMED)
            buffer_printf(&b, "%s%s", n ? ", " : "", key->fpr ? key->fpr : "?");
        n++;
        gpgme_key_unref(key);
    }
    gpgme_op_keylist_end(c);
    if (n > MAX_NAMED)
        buffer_printf(&b, " and %zu more", n - MAX_NAMED);
    return buffer_take(&b);
}

static const char *key_name(const struct openpgp_check *k)
{
    return k->key_name ? k->key_name : k->key;
}

static const char *signature_name(const struct openpgp_check *k)
{
    return k->signature_name ? k->signature_name : k->signature;
}

/* Puts the key file into the ring and makes sure that the wanted key is there, by the fingerprint
 * of its primary key. */
static bool take_key(gpgme_ctx_t c, const struct openpgp_check *k, const char *wanted,
                     struct error **err)
{
    autodata gpgme_data_t data = NULL;
    if (!read_small(k->key, KEY_MAX, &data, err))
        return false;
    gpgme_error_t e = gpgme_op_import(c, data);
    gpgme_import_result_t r = e ? NULL : gpgme_op_import_result(c);
    if (interrupted())
        return interrupt_error(err);
    if (!r || r->considered == 0)
        return error_set(err, ERROR_TRUST,
                         "%s: the key file %s holds no OpenPGP public key: get the file again from "
                         "whoever publishes the key %s",
                         k->what, key_name(k), wanted);
    autokey gpgme_key_t key = NULL;
    e = gpgme_get_key(c, wanted, &key, 0);
    if (!e && key && key->fpr && strcmp(key->fpr, wanted) == 0)
        return true;
    if (!e && key && key->fpr)
        return error_set(err, ERROR_TRUST,
                         "%s: %s is a subkey of %s: name the primary key's fingerprint", k->what,
                         wanted, key->fpr);
    autofree char *has = ring(c);
    return error_set(
        err, ERROR_TRUST,
        "%s: the key file %s does not hold the key %s; it has %s: get the right key, or "
        "correct the fingerprint if that is what is wrong",
        k->what, key_name(k), wanted, *has ? has : "none that can be used");
}

/* --- judging a signature -------------------------------------------------------------------------
 */

static bool is_strong(gpgme_hash_algo_t h)
{
    return h == GPGME_MD_SHA256 || h == GPGME_MD_SHA384 || h == GPGME_MD_SHA512;
}

/* Verdicts on one signature, the better ones last: where there are several signatures, the best
 * failure is the one to report. */
enum verdict {
    VERDICT_OTHER,
    VERDICT_NO_KEY,
    VERDICT_SIGNER,
    VERDICT_BAD,
    VERDICT_WEAK,
    VERDICT_KEY_REVOKED,
    VERDICT_KEY_EXPIRED,
    VERDICT_SIGNATURE_EXPIRED,
    VERDICT_GOOD,
};

static const struct {
    gpg_err_code_t status;
    enum verdict verdict;
} verdicts[] = {
    {GPG_ERR_NO_ERROR, VERDICT_GOOD},           {GPG_ERR_SIG_EXPIRED, VERDICT_SIGNATURE_EXPIRED},
    {GPG_ERR_KEY_EXPIRED, VERDICT_KEY_EXPIRED}, {GPG_ERR_CERT_REVOKED, VERDICT_KEY_REVOKED},
    {GPG_ERR_BAD_SIGNATURE, VERDICT_BAD},       {GPG_ERR_NO_PUBKEY, VERDICT_NO_KEY},
    {GPG_ERR_DIGEST_ALGO, VERDICT_WEAK},
};

struct judgement {
    enum verdict verdict;
    char signer[OPENPGP_FINGERPRINT_MAX]; /* of the primary key where it is known */
    char why[128];                        /* VERDICT_OTHER: gpg's word; VERDICT_WEAK: the digest */
    time_t expires;
};

static gpgme_subkey_t subkey_of(gpgme_key_t key, const char *fingerprint)
{
    gpgme_subkey_t s = key->subkeys;
    while (s && (!s->fpr || strcmp(s->fpr, fingerprint) != 0))
        s = s->next;
    return s;
}

/* gpg called the signature good: whose is it, and is that key still good itself? */
static enum verdict judge_key(gpgme_ctx_t c, const char *fingerprint, const char *wanted,
                              struct judgement *j)
{
    autokey gpgme_key_t key = NULL;
    if (!fingerprint || gpgme_get_key(c, fingerprint, &key, 0) || !key || !key->fpr)
        return VERDICT_NO_KEY;
    gpgme_subkey_t s = subkey_of(key, fingerprint);
    snprintf(j->signer, sizeof j->signer, "%s", key->fpr);
    if (strcmp(key->fpr, wanted) != 0)
        return VERDICT_SIGNER;
    if (key->revoked || key->disabled || !s || s->revoked || s->disabled)
        return VERDICT_KEY_REVOKED;
    if (key->expired || s->expired)
        return VERDICT_KEY_EXPIRED;
    return key->invalid || s->invalid || !s->can_sign ? VERDICT_OTHER : VERDICT_GOOD;
}

static struct judgement judge(gpgme_ctx_t c, gpgme_signature_t sig, const char *wanted)
{
    struct judgement j = {.verdict = VERDICT_OTHER, .expires = (time_t)sig->exp_timestamp};
    gpgme_strerror_r(sig->status, j.why, sizeof j.why);
    snprintf(j.signer, sizeof j.signer, "%s", sig->fpr ? sig->fpr : "unknown");
    for (size_t i = 0; i < COUNT(verdicts); i++)
        if (gpgme_err_code(sig->status) == verdicts[i].status)
            j.verdict = verdicts[i].verdict;
    if (j.verdict == VERDICT_NO_KEY)
        return j;
    enum verdict of_key = judge_key(c, sig->fpr, wanted, &j);
    char full[OPENPGP_FINGERPRINT_MAX];
    if (of_key == VERDICT_NO_KEY || of_key == VERDICT_SIGNER)
        j.verdict = of_key;
    else if (j.verdict == VERDICT_GOOD && of_key != VERDICT_GOOD)
        j.verdict = of_key;
    /* Of a good one VALIDSIG says the full fingerprint; of others there may be only a key id. */
    if (j.verdict == VERDICT_GOOD &&
        (!sig->fpr || !openpgp_fingerprint(sig->fpr, full) || sig->wrong_key_usage))
        j.verdict = VERDICT_OTHER;
    const char *digest = gpgme_hash_algo_name(sig->hash_algo);
    if (j.verdict == VERDICT_GOOD && !is_strong(sig->hash_algo))
        j.verdict = VERDICT_WEAK;
    if (j.verdict == VERDICT_WEAK)
        snprintf(j.why, sizeof j.why, "%s", digest && sig->hash_algo ? digest : "a digest");
    return j;
}

static bool refuse(const struct openpgp_check *k, const char *wanted, const struct judgement *j,
                   struct error **err)
{
    char when[32] = "";
    struct tm tm;
    if (j->expires && gmtime_r(&j->expires, &tm))
        strftime(when, sizeof when, " on %Y-%m-%d", &tm);
    const char *sig = signature_name(k);
    switch (j->verdict) {
    case VERDICT_NO_KEY:
        return error_set(
            err, ERROR_TRUST,
            "%s: its signature %s was made by the key %s, which is not in the key file "
            "%s; %s must have signed it: if the publisher has a new key, name its "
            "fingerprint",
            k->what, sig, j->signer, key_name(k), wanted);
    case VERDICT_SIGNER:
        return error_set(err, ERROR_TRUST,
                         "%s: its signature %s was made by the key %s, and %s must have signed it: "
                         "if the publisher has a new key, name its fingerprint",
                         k->what, sig, j->signer, wanted);
    case VERDICT_BAD:
        return error_set(err, ERROR_TRUST,
                         "%s: its signature %s by %s is bad: the file is not what was signed, or "
                         "the two were not published together; fetch both again, and tell the "
                         "publisher if it stays",
                         k->what, sig, wanted);
    case VERDICT_WEAK:
        return error_set(err, ERROR_TRUST,
                         "%s: its signature %s uses %s, which is too weak (it can be forged): ask "
                         "the publisher for one with SHA-256 or better, or give the file's sha256",
                         k->what, sig, j->why);
    case VERDICT_KEY_REVOKED:
        return error_set(err, ERROR_TRUST,
                         "%s: the key %s that signed it is revoked: name the publisher's new key "
                         "and its fingerprint",
                         k->what, wanted);
    case VERDICT_KEY_EXPIRED:
        return error_set(err, ERROR_TRUST,
                         "%s: the key %s that signed it has expired: get the publisher's key file "
                         "again, in which its time may be longer, or its new key",
                         k->what, wanted);
    case VERDICT_SIGNATURE_EXPIRED:
        return error_set(
            err, ERROR_TRUST,
            "%s: its signature %s has expired%s: fetch a newer one, or a newer release", k->what,
            sig, when);
    default:
        return error_set(err, ERROR_TRUST,
                         "%s: its signature %s cannot be verified (%s): %s must have signed it",
                         k->what, sig, j->why, wanted);
    }
}

/* Only a detached signature counts: one that brings a text of its own signs that text. */
static bool read_signature(const struct openpgp_check *k, gpgme_data_t *out, struct error **err)
{
    if (!read_small(k->signature, SIGNATURE_MAX, out, err))
        return false;
    gpgme_data_type_t type = gpgme_data_identify(*out, 0);
    gpgme_data_seek(*out, 0, SEEK_SET);
    return type == GPGME_DATA_TYPE_PGP_SIGNATURE ||
           error_set(err, ERROR_TRUST,
                     "%s: the file %s is no detached OpenPGP signature: name the right one, or "
                     "fetch it again",
                     k->what, signature_name(k));
}

static bool verify_in(gpgme_ctx_t c, const struct openpgp_check *k, const char *wanted,
                      struct error **err)
{
    autodata gpgme_data_t signature = NULL, data = NULL;
    autostream struct stream stream = {.fd = -1};
    if (!take_key(c, k, wanted, err) || !read_signature(k, &signature, err))
        return false;
    if (k->data) {
        if (!open_stream(k->data, &stream, &data, err))
            return false;
    } else if (gpgme_data_new_from_mem(&data, k->bytes, k->size, 0)) {
        return error_set(err, ERROR_INTERNAL, "out of memory");
    }
    gpgme_error_t e = gpgme_op_verify(c, signature, data, NULL);
    if (interrupted())
        return interrupt_error(err);
    gpgme_verify_result_t r = gpgme_op_verify_result(c);
    struct judgement best = {.verdict = VERDICT_OTHER};
    gpgme_strerror_r(e, best.why, sizeof best.why);
    size_t count = 0;
    /* It lives until the context's next operation, and judging looks up keys. */
    gpgme_result_ref(r);
    for (gpgme_signature_t s = r ? r->signatures : NULL; s && !e; s = s->next, count++) {
        struct judgement j = judge(c, s, wanted);
        if (count == 0 || j.verdict > best.verdict)
            best = j;
    }
    gpgme_result_unref(r);
    if (best.verdict == VERDICT_GOOD)
        return true;
    if (count == 0 && (!e || gpgme_err_code(e) == GPG_ERR_NO_DATA))
        return error_set(
            err, ERROR_TRUST,
            "%s: the file %s holds no signature: name the right one, or fetch it again", k->what,
            signature_name(k));
    return refuse(k, wanted, &best, err);
}

bool openpgp_verify(const struct openpgp_check *k, struct error **err)
{
    char wanted[OPENPGP_FINGERPRINT_MAX];
    if (!openpgp_fingerprint(k->fingerprint, wanted))
        return error_set(err, ERROR_TRUST,
                         "%s: '%.80s' is no full fingerprint: short key ids can be forged", k->what,
                         k->fingerprint);
    autotempdir char *home = NULL;
    autocontext gpgme_ctx_t c = NULL;
    return make_home(&home, err) && new_context(home, &c, err) && verify_in(c, k, wanted, err);
}

/* --- signing -------------------------------------------------------------------------------------
 */

static bool find_secret(gpgme_ctx_t c, const char *wanted, gpgme_key_t *key, struct error **err)
{
    gpgme_error_t e = gpgme_get_key(c, wanted, key, 1);
    if (interrupted())
        return interrupt_error(err);
    if (e || !*key || !(*key)->fpr)
        return error_set(err, ERROR_INPUT,
                         "there is no secret key %s: `gpg --list-secret-keys` says which there are",
                         wanted);
    if (strcmp((*key)->fpr, wanted) != 0)
        return error_set(err, ERROR_INPUT,
                         "%s is a subkey of %s: name the primary key's fingerprint", wanted,
                         (*key)->fpr);
    return true;
}

bool openpgp_sign(const char *data, const char *fingerprint, const char *signature,
                  struct error **err)
{
    char wanted[OPENPGP_FINGERPRINT_MAX];
    if (!openpgp_fingerprint(fingerprint, wanted))
        return error_set(err, ERROR_INPUT,
                         "'%.80s' is no full fingerprint: `gpg --list-secret-keys` shows it",
                         fingerprint);
    autocontext gpgme_ctx_t c = NULL;
    autokey gpgme_key_t key = NULL;
    autodata gpgme_data_t in = NULL, out = NULL;
    autostream struct stream stream = {.fd = -1};
    autonew struct new_file file = NEW_FILE;
    if (!new_context(NULL, &c, err) || !find_secret(c, wanted, &key, err) ||
        !open_stream(data, &stream, &in, err) || !file_create(&file, signature, 0644, err))
        return false;
    gpgme_set_armor(c, 1);
    gpgme_error_t e = gpgme_signers_add(c, key);
    if (!e)
        e = gpgme_data_new_from_fd(&out, file.fd);
    if (!e)
        e = gpgme_op_sign(c, in, out, GPGME_SIG_MODE_DETACH);
    gpgme_sign_result_t r = e ? NULL : gpgme_op_sign_result(c);
    if (e || !r || !r->signatures || !is_strong(r->signatures->hash_algo)) {
        autofree char *what = NULL;
        if (asprintf(&what, "cannot sign with the key %s", wanted) < 0)
            abort();
        return failed(err, ERROR_INPUT, e ? e : gpgme_error(GPG_ERR_DIGEST_ALGO), what);
    }
    return file_commit(&file, err);
}
