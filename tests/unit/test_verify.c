#include "gpg_home.h"

#include "base/path.h"
#include "base/process.h"
#include "signature/openpgp.h"
#include "source/verify.h"

/* Files and keys in a folder, and a store; no server: URLs are local. */
static struct {
    char *folder, *home;
    struct store *store;
    struct fetcher *fetcher;
    char good[OPENPGP_FINGERPRINT_MAX], other[OPENPGP_FINGERPRINT_MAX];
} t;

#define TEXT "hello world\n"
#define SHA_TEXT "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
#define SHA_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

static char *at(const char *name)
{
    return path_join(t.folder, name);
}

static void put(const char *name, const char *text)
{
    autofree char *path = at(name);
    assert_ok(file_write(path, text, strlen(text), 0600, &err));
}

static void gpg(char **out, const char *const *more)
{
    gpg_run(t.home, out, NULL, more);
}
#define GPG(...) gpg(NULL, (const char *const[]){__VA_ARGS__, NULL})

static void new_key(const char *user, char *fingerprint)
{
    autofree char *listing = NULL, *file = NULL, *name = NULL;
    assert_true(asprintf(&name, "%s.key", user) > 0);
    file = at(name);
    GPG("--quick-generate-key", user, "ed25519", "sign", "0");
    GPG("--armor", "--output", file, "--export", user);
    gpg(&listing, (const char *const[]){"--with-colons", "--list-keys", user, NULL});
    const char *f = strstr(listing, "\nfpr:::::::::");
    assert_non_null(f);
    snprintf(fingerprint, OPENPGP_FINGERPRINT_MAX, "%.40s", f + strlen("\nfpr:::::::::"));
}

static void sign(const char *user, const char *data, const char *signature)
{
    autofree char *d = at(data), *s = at(signature);
    GPG("--local-user", user, "--output", s, "--detach-sign", d);
}

static int make(void **state)
{
    (void)state;
    t.folder = unit_temp_dir();
    assert_ok(
        file_temp_dir("/tmp", "i-", &t.home, &err)); /* an agent's socket wants a short path */
    autofree char *cache = at("cache");
    setenv("INGOT_CACHE", cache, 1);
    assert_ok(store_open(&t.store, &err));
    const struct fetch_options o = {.offline = false};
    assert_ok(fetcher_new(t.store, &o, &t.fetcher, &err));
    put("thing", TEXT);
    put("SUMS", "# digests\n" SHA_ZERO "  other\n" SHA_TEXT " *thing\n");
    put("SUMS.changed", SHA_ZERO "  other\n" SHA_ZERO " *thing\n");
    put("thing.changed", "hello there\n");
    new_key("good", t.good);
    new_key("other", t.other);
    sign("good", "SUMS", "SUMS.gpg");
    sign("other", "SUMS", "SUMS.other");
    sign("good", "thing", "thing.sig");
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    const char *const argv[] = {"gpgconf", "--homedir", t.home, "--kill", "all", NULL};
    struct process p = {.argv = argv, .timeout_seconds = 60};
    autoresult struct process_result r = {0};
    bool ok = process_run(&p, &r, NULL);
    fetcher_free(t.fetcher);
    store_close(t.store);
    cleanup_tempdir(&t.home);
    cleanup_tempdir(&t.folder);
    return ok ? 0 : -1;
}

/* A request and what belongs to it, from names of files in the folder. */
struct asked {
    struct arena *a;
    struct verify verify;
    struct openpgp openpgp;
    struct fetch_request request;
};

static const char *path_of(struct arena *a, const char *name)
{
    return name ? arena_printf(a, "%s/%s", t.folder, name) : NULL;
}

static void ask(struct asked *q, enum verify_kind kind, const char *url, const char *checksums,
                const char *signature, const char *key)
{
    q->openpgp = (struct openpgp){.fingerprint = t.good,
                                  .signature = {.text = path_of(q->a, signature)},
                                  .key = {.text = path_of(q->a, key)}};
    q->verify = (struct verify){.kind = kind,
                                .checksums = path_of(q->a, checksums),
                                .openpgp = signature ? &q->openpgp : NULL};
    q->request =
        (struct fetch_request){.url = path_of(q->a, url), .verify = &q->verify, .what = "thing"};
}

static bool expect(struct asked *q, struct expectation *e, struct error **err)
{
    return verify_expect(t.fetcher, q->a, &q->request, e, err);
}

static void by_digest(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    ask(&q, VERIFY_DIGEST, "thing", NULL, NULL, NULL);
    q.verify.digest = SHA_TEXT;
    assert_ok(expect(&q, &e, &err));
    assert_true(e.digest_known);
    assert_false(e.first_use);
    assert_string_equal(e.digest, SHA_TEXT);
    assert_string_equal(e.verified, "sha256");
    assert_ok(verify_file(t.fetcher, a, &q.request, &e, "/nowhere", &err));
    static const char *const bad[] = {"", "abc", NULL, SHA_TEXT "00"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        q.verify.digest = bad[i];
        assert_fails(expect(&q, &e, &err), ERROR_TRUST, "is no sha256 digest");
    }
    q.verify.digest = SHA_TEXT;
    q.verify.digest_kind = DIGEST_SHA512;
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "is no sha512 digest");
    ask(&q, VERIFY_NONE, "thing", NULL, NULL, NULL);
    q.request.url = "https://user:secret@example.com/thing";
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has nothing to verify it by");
    autoerror struct error *error = NULL;
    assert_false(expect(&q, &e, &error));
    assert_null(strstr(error_text(error), "secret"));
}

/* The package itself is looked at (test_apk_package), before it is kept. */
static void by_an_index_of_apk(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    static const char forged[] = "is no package";
    char sha256[DIGEST_HEX_MAX];
    put("forged.apk", forged);
    ask(&q, VERIFY_APK, "forged.apk", NULL, NULL, NULL);
    q.verify.apk_checksum = "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0=";
    assert_ok(expect(&q, &e, &err));
    assert_false(e.digest_known);
    assert_false(e.first_use);
    assert_string_equal(e.verified, "package index");
    assert_fails(fetch_blob(t.fetcher, &q.request, sha256, &err), ERROR_TRUST, "forged.apk");
    digest_bytes(DIGEST_SHA256, forged, strlen(forged), sha256);
    assert_false(store_has(t.store, sha256));
    autofree char *before = verify_record_name(&q.request);
    q.verify.apk_checksum = "Q1yR5tc62pjGrEEgQI2mDh/zOCHs0=";
    autofree char *after = verify_record_name(&q.request);
    assert_string_not_equal(before, after);
}

static void by_the_lock(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    ask(&q, VERIFY_LOCK, "thing", NULL, NULL, NULL);
    assert_ok(expect(&q, &e, &err));
    assert_false(e.digest_known);
    assert_true(e.first_use);
    assert_string_equal(e.verified, "first use");
    autofree char *thing = at("thing");
    assert_ok(verify_file(t.fetcher, a, &q.request, &e, thing, &err));
    q.request.locked = SHA_TEXT;
    assert_ok(expect(&q, &e, &err));
    assert_true(e.digest_known);
    assert_false(e.first_use);
    assert_string_equal(e.digest, SHA_TEXT);
    q.request.locked = "";
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has no SHA-256 for it");
    /* With a lock nobody asks for lists, signatures and keys again. */
    ask(&q, VERIFY_CHECKSUMS, "thing", "nothing", "nothing", "nothing");
    q.request.locked = SHA_TEXT;
    assert_ok(expect(&q, &e, &err));
    assert_string_equal(e.digest, SHA_TEXT);
    ask(&q, VERIFY_DIGEST, "thing", NULL, NULL, NULL);
    q.verify.digest = SHA_ZERO;
    q.request.locked = SHA_TEXT;
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "one of them is out of date");
}

static void by_checksums(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", NULL, NULL);
    assert_ok(expect(&q, &e, &err));
    assert_true(e.digest_known);
    assert_string_equal(e.digest, SHA_TEXT);
    assert_string_equal(e.verified, arena_printf(a, "checksums %s/SUMS", t.folder));
    q.verify.checksums = arena_printf(a, "file://%s/SUMS", t.folder);
    assert_ok(expect(&q, &e, &err));
    ask(&q, VERIFY_CHECKSUMS, "unnamed", "SUMS", NULL, NULL);
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has no digest for 'unnamed'");
    ask(&q, VERIFY_CHECKSUMS, "thing", "nothing", NULL, NULL);
    assert_fails(expect(&q, &e, &err), ERROR_INPUT, "the checksum file for");
    q.request.url = "https://example.com/";
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has no file name");
    put("empty", "");
    ask(&q, VERIFY_CHECKSUMS, "thing", "empty", NULL, NULL);
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has no digest");
    autofree char *large = at("large");
    put("large", "");
    assert_int_equal(truncate(large, 5 << 20), 0);
    ask(&q, VERIFY_CHECKSUMS, "thing", "large", NULL, NULL);
    assert_fails(expect(&q, &e, &err), ERROR_INPUT, "larger than");
}

static void by_signed_checksums(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", "SUMS.gpg", "good.key");
    assert_ok(expect(&q, &e, &err));
    assert_true(e.digest_known);
    assert_string_equal(e.digest, SHA_TEXT);
    assert_string_equal(e.verified,
                        arena_printf(a, "checksums %s/SUMS, signed by %s", t.folder, t.good));
    ask(&q, VERIFY_CHECKSUMS, "unnamed", "SUMS", "SUMS.gpg", "good.key");
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "has no digest for 'unnamed'");
    static const struct {
        const char *checksums, *signature, *key, *part;
        enum error_kind kind;
    } bad[] = {
        {"SUMS.changed", "SUMS.gpg", "good.key", "is bad", ERROR_TRUST},
        {"SUMS", "SUMS.other", "good.key", "must have signed it", ERROR_TRUST},
        {"SUMS", "SUMS.other", "other.key", "does not hold the key", ERROR_TRUST},
        {"SUMS", "SUMS.gpg", "SUMS", "holds no OpenPGP public key", ERROR_TRUST},
        {"SUMS", "SUMS", "good.key", "is no detached OpenPGP signature", ERROR_TRUST},
        {"SUMS", "nothing", "good.key", "the signature of", ERROR_INPUT},
        {"SUMS", "SUMS.gpg", "nothing", "the OpenPGP key for", ERROR_INPUT},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        ask(&q, VERIFY_CHECKSUMS, "thing", bad[i].checksums, bad[i].signature, bad[i].key);
        assert_fails(expect(&q, &e, &err), bad[i].kind, bad[i].part);
    }
    /* Without the key nothing is believed, and it is said where it was looked for. */
    static const char *const looked[] = {"/etc/one.gpg", "/etc/two.gpg", NULL};
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", "SUMS.gpg", NULL);
    q.openpgp.looked = looked;
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "looked for /etc/one.gpg, /etc/two.gpg");
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, t.good);
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", "SUMS.gpg", "good.key");
    q.openpgp.fingerprint = NULL;
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "nothing says whose");
}

static void by_openpgp(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    struct expectation e;
    autofree char *thing = at("thing"), *changed = at("thing.changed");
    ask(&q, VERIFY_OPENPGP, "thing", NULL, "thing.sig", "good.key");
    assert_ok(expect(&q, &e, &err));
    assert_false(e.digest_known);
    assert_false(e.first_use);
    assert_string_equal(e.verified, arena_printf(a, "signed by %s", t.good));
    assert_ok(verify_file(t.fetcher, a, &q.request, &e, thing, &err));
    assert_fails(verify_file(t.fetcher, a, &q.request, &e, changed, &err), ERROR_TRUST, "is bad");
    ask(&q, VERIFY_OPENPGP, "thing", NULL, "SUMS.gpg", "good.key");
    assert_fails(verify_file(t.fetcher, a, &q.request, &e, thing, &err), ERROR_TRUST, "is bad");
    ask(&q, VERIFY_OPENPGP, "thing", NULL, "thing.sig", NULL); /* before anything is transferred */
    assert_fails(expect(&q, &e, &err), ERROR_TRUST, "is not here");
}

/* What one way of verifying has let in is not known to another. */
static void records(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct asked q = {.a = a};
    autofree char *names[5] = {NULL};
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", NULL, NULL);
    names[0] = verify_record_name(&q.request);
    ask(&q, VERIFY_CHECKSUMS, "thing", "SUMS", "SUMS.gpg", "good.key");
    names[1] = verify_record_name(&q.request);
    q.openpgp.fingerprint = t.other;
    names[2] = verify_record_name(&q.request);
    ask(&q, VERIFY_OPENPGP, "thing", NULL, "SUMS.gpg", NULL);
    names[3] = verify_record_name(&q.request);
    ask(&q, VERIFY_LOCK, "thing", NULL, NULL, NULL);
    names[4] = verify_record_name(&q.request);
    for (size_t i = 0; i < COUNT(names); i++)
        for (size_t k = i + 1; k < COUNT(names); k++)
            assert_string_not_equal(names[i], names[k]);
    for (size_t i = 1; i < COUNT(names); i++)
        free(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_digest),
        cmocka_unit_test(by_an_index_of_apk),
        cmocka_unit_test(by_the_lock),
        cmocka_unit_test(by_checksums),
        cmocka_unit_test(by_signed_checksums),
        cmocka_unit_test(by_openpgp),
        cmocka_unit_test(records),
    };
    return cmocka_run_group_tests_name("verify", tests, make, unmake);
}
