#include "gpg_home.h"

#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "signature/openpgp.h"

#include <stdint.h>
#include <time.h>

/* A home of gpg's with the keys of the test, and files that they have signed; all made by gpg. */
static struct {
    char *home, *folder;
    char good[OPENPGP_FINGERPRINT_MAX], other[OPENPGP_FINGERPRINT_MAX];
    char expired[OPENPGP_FINGERPRINT_MAX], revoked[OPENPGP_FINGERPRINT_MAX];
    char parent[OPENPGP_FINGERPRINT_MAX], subkey[OPENPGP_FINGERPRINT_MAX];
    char late[OPENPGP_FINGERPRINT_MAX];
} made;

/* So many days before now, as --faked-system-time takes it. */
static const char *ago(unsigned days)
{
    static char text[8][32];
    static size_t used;
    char *s = text[used++ % COUNT(text)];
    snprintf(s, sizeof text[0], "%lld", (long long)time(NULL) - (long long)days * 86400);
    return s;
}

static char *at(const char *name)
{
    return path_join(made.folder, name);
}

static void gpg_out(char **out, const char *input, const char *const *more)
{
    gpg_run(made.home, out, input, more);
}
#define gpg(...) gpg_out(NULL, NULL, (const char *const[]){__VA_ARGS__, NULL})

/* The fingerprints of a key's primary key and of its first subkey, as gpg lists them. */
static void fingerprints(const char *user, char *primary, char *subkey)
{
    autofree char *listing = NULL;
    gpg_out(&listing, NULL, (const char *const[]){"--with-colons", "--list-keys", user, NULL});
    char *into[] = {primary, subkey}, *save = NULL;
    size_t n = 0;
    for (char *l = strtok_r(listing, "\n", &save); l && n < COUNT(into);
         l = strtok_r(NULL, "\n", &save)) {
        if (!text_starts_with(l, "fpr:::::::::"))
            continue;
        char *f = l + strlen("fpr:::::::::");
        f[strcspn(f, ":")] = '\0';
        if (into[n])
            snprintf(into[n], OPENPGP_FINGERPRINT_MAX, "%s", f);
        n++;
    }
    assert_int_equal(strlen(primary), 40);
}

static void new_key(const char *user, const char *time, const char *expires, char *fingerprint)
{
    gpg("--faked-system-time", time, "--quick-generate-key", user, "ed25519", "sign", expires);
    fingerprints(user, fingerprint, NULL);
}

static void put(const char *name, const char *text)
{
    autofree char *path = at(name);
    assert_ok(file_write(path, text, strlen(text), 0600, &err));
}

/* Public keys into a file of that name. */
static void save(const char *name, const char *const *users)
{
    autofree char *file = at(name);
    const char *argv[16] = {"--output", file};
    size_t n = 2;
    bool armor = false;
    for (const char *const *u = users; *u; u++)
        armor |= strcmp(*u, "--armor") == 0;
    if (armor)
        argv[n++] = "--armor";
    argv[n++] = "--export";
    for (; *users && n < COUNT(argv) - 1; users++)
        if (strcmp(*users, "--armor") != 0)
            argv[n++] = *users;
    gpg_out(NULL, NULL, argv);
}
#define SAVE(name, ...) save(name, (const char *const[]){__VA_ARGS__, NULL})

/* A signature over `data` in a file of that name, with more of gpg's options. */
static void sign(const char *name, const char *user, const char *const *options)
{
    autofree char *file = at(name), *data = at("data");
    const char *argv[16] = {"--output", file, "--local-user", user};
    size_t n = 4;
    for (; *options && n < COUNT(argv) - 2; options++)
        argv[n++] = *options;
    argv[n] = data;
    gpg_out(NULL, NULL, argv);
}
#define SIGN(name, user, ...) sign(name, user, (const char *const[]){__VA_ARGS__, NULL})

/* The revocation certificate that gpg lays beside a new key, with its guard colon taken out. */
static void revoke_key(const char *fingerprint)
{
    autofree char *path = NULL, *text = NULL;
    size_t size;
    assert_true(asprintf(&path, "%s/openpgp-revocs.d/%s.rev", made.home, fingerprint) > 0);
    assert_ok(file_read(path, 1 << 16, &text, &size, &err));
    char *guard = strstr(text, ":-----BEGIN");
    assert_non_null(guard);
    gpg_out(NULL, guard + 1, (const char *const[]){"--import", NULL});
}

static void revoke_subkey(const char *user)
{
    static const char talk[] = "key 1\nrevkey\ny\n0\n\ny\nsave\n";
    const char *const argv[] = {"--no-batch", "--no-tty", "--command-fd", "0", "--edit-key",
                                user,         NULL};
    gpg_out(NULL, talk, argv);
}

static void make_keys(void)
{
    new_key("good", ago(300), "0", made.good);
    new_key("other", ago(300), "0", made.other);
    new_key("expired", ago(900), "1y", made.expired);
    new_key("revoked", ago(300), "0", made.revoked);
    new_key("parent", ago(300), "0", made.parent);
    new_key("late", ago(900), "0", made.late);
    gpg("--quick-add-key", made.parent, "ed25519", "sign", "0");
    fingerprints("parent", made.parent, made.subkey);
    assert_int_equal(strlen(made.subkey), 40);
    gpg("--faked-system-time", ago(800), "--quick-add-key", made.late, "ed25519", "sign", "1y");
}

static void make_signatures(void)
{
    autofree char *by_subkey = NULL;
    assert_true(asprintf(&by_subkey, "%s!", made.subkey) > 0);
    SIGN("good.asc", "good", "--armor", "--detach-sign");
    SIGN("good.sig", "good", "--detach-sign");
    SIGN("other.asc", "other", "--armor", "--detach-sign");
    SIGN("both.sig", "other", "--local-user", "good", "--detach-sign");
    SIGN("expired.asc", "expired", "--faked-system-time", ago(700), "--armor", "--detach-sign");
    SIGN("revoked.asc", "revoked", "--armor", "--detach-sign");
    SIGN("subkey.asc", by_subkey, "--armor", "--detach-sign");
    SIGN("late.asc", "late", "--faked-system-time", ago(700), "--armor", "--detach-sign");
    SIGN("sha1.asc", "good", "--digest-algo", "SHA1", "--armor", "--detach-sign");
    SIGN("ended.asc", "good", "--faked-system-time", ago(200), "--default-sig-expire", "10d",
         "--armor", "--detach-sign");
    SIGN("inline.asc", "good", "--armor", "--sign");
    SIGN("clear.asc", "good", "--clear-sign");
}

static int make(void **state)
{
    (void)state;
    /* Agent sockets have a length limit: a short path. */
    if (!file_temp_dir("/tmp", "i-", &made.home, NULL) ||
        !file_temp_dir("/tmp", "i-", &made.folder, NULL))
        return -1;
    put("data", "what is signed\n");
    put("tampered", "what is singed\n");
    put("empty", "");
    put("garbage", "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n");
    put("html", "<html>404</html>\n");
    make_keys();
    make_signatures();
    SAVE("good.key", "good", "--armor");
    SAVE("good.gpg", "good");
    SAVE("other.key", "other", "--armor");
    SAVE("ring.gpg", "other", "good");
    SAVE("expired.key", "expired");
    SAVE("parent.key", "parent");
    SAVE("late.key", "late");
    revoke_key(made.revoked);
    revoke_subkey("parent");
    SAVE("revoked.key", "revoked");
    SAVE("parent-revoked.key", "parent");
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    const char *const argv[] = {"gpgconf", "--homedir", made.home, "--kill", "all", NULL};
    struct process p = {.argv = argv, .timeout_seconds = 60};
    autoresult struct process_result r = {0};
    if (!process_run(&p, &r, NULL))
        return -1;
    cleanup_tempdir(&made.home);
    cleanup_tempdir(&made.folder);
    return 0;
}

static bool verify(const char *data, const char *signature, const char *key, const char *wanted,
                   struct error **err)
{
    autofree char *d = at(data), *s = at(signature), *k = at(key);
    const struct openpgp_check c = {
        .data = d, .signature = s, .key = k, .fingerprint = wanted, .what = "the thing"};
    return openpgp_verify(&c, err);
}

/* gpg itself says the same of what is good: it is the judge. */
static void gpg_agrees(const char *signature)
{
    autofree char *s = at(signature), *d = at("data"), *out = NULL;
    gpg_out(&out, NULL, (const char *const[]){"--status-fd", "1", "--verify", s, d, NULL});
    assert_non_null(strstr(out, "[GNUPG:] VALIDSIG"));
}

static void good(void **state)
{
    (void)state;
    assert_ok(verify("data", "good.asc", "good.key", made.good, &err));
    assert_ok(verify("data", "good.sig", "good.gpg", made.good, &err));
    assert_ok(verify("data", "good.sig", "ring.gpg", made.good, &err));
    assert_ok(verify("data", "other.asc", "ring.gpg", made.other, &err));
    assert_ok(verify("data", "both.sig", "good.key", made.good, &err));
    assert_ok(verify("data", "both.sig", "ring.gpg", made.other, &err));
    assert_ok(verify("data", "subkey.asc", "parent.key", made.parent, &err));
    gpg_agrees("good.asc");
    gpg_agrees("both.sig");
    char blanks[64] = "";
    for (size_t i = 0; i < 40; i += 4)
        snprintf(blanks + strlen(blanks), sizeof blanks - strlen(blanks), "%.4s ", made.good + i);
    assert_ok(verify("data", "good.asc", "good.key", blanks, &err));
}

static void in_memory(void **state)
{
    (void)state;
    autofree char *s = at("good.asc"), *k = at("good.key");
    struct openpgp_check c = {.bytes = "what is signed\n",
                              .size = 15,
                              .signature = s,
                              .key = k,
                              .fingerprint = made.good,
                              .what = "the list"};
    assert_ok(openpgp_verify(&c, &err));
    c.size = 14;
    assert_fails(openpgp_verify(&c, &err), ERROR_TRUST, "is bad");
}

static void refused(void **state)
{
    (void)state;
    const struct {
        const char *data, *signature, *key, *wanted, *part;
    } bad[] = {
        {"tampered", "good.asc", "good.key", made.good, "is bad"},
        {"tampered", "both.sig", "ring.gpg", made.good, "signature"}, /* gpg ends at the first */
        {"data", "other.asc", "good.key", made.good, "which is not in the key file"},
        {"data", "other.asc", "ring.gpg", made.good, "must have signed it"},
        {"data", "other.asc", "ring.gpg", made.good, made.other},
        {"data", "good.asc", "other.key", made.good, "does not hold the key"},
        {"data", "good.asc", "other.key", made.good, made.other},
        {"data", "expired.asc", "expired.key", made.expired,
         "has expired: get the publisher's key"},
        {"data", "late.asc", "late.key", made.late, "has expired: get the publisher's key"},
        {"data", "revoked.asc", "revoked.key", made.revoked, "is revoked"},
        {"data", "subkey.asc", "parent-revoked.key", made.parent, "is revoked"},
        {"data", "subkey.asc", "parent.key", made.subkey, "is a subkey of"},
        {"data", "ended.asc", "good.key", made.good, "has expired on 20"},
        {"data", "sha1.asc", "good.key", made.good, "SHA1, which is too weak"},
        {"data", "empty", "good.key", made.good, "is no detached OpenPGP signature"},
        {"data", "html", "good.key", made.good, "is no detached OpenPGP signature"},
        {"data", "garbage", "good.key", made.good, "holds no signature"},
        {"data", "good.key", "good.key", made.good, "is no detached OpenPGP signature"},
        {"data", "inline.asc", "good.key", made.good, "is no detached OpenPGP signature"},
        {"tampered", "inline.asc", "good.key", made.good, "is no detached OpenPGP signature"},
        {"tampered", "clear.asc", "good.key", made.good, "is no detached OpenPGP signature"},
        {"data", "good.asc", "empty", made.good, "holds no OpenPGP public key"},
        {"data", "good.asc", "html", made.good, "holds no OpenPGP public key"},
        {"data", "good.asc", "good.asc", made.good, "holds no OpenPGP public key"},
        {"data", "good.asc", "good.key", made.good + 24, "no full fingerprint"},
        {"data", "good.asc", "good.key", "", "no full fingerprint"},
        {"empty", "good.asc", "good.key", made.good, "is bad"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(verify(bad[i].data, bad[i].signature, bad[i].key, bad[i].wanted, &err),
                     ERROR_TRUST, bad[i].part);
    assert_fails(verify("nothing", "good.asc", "good.key", made.good, &err), ERROR_INPUT,
                 "nothing");
}

static void parses_fingerprints(void **state)
{
    (void)state;
    char out[OPENPGP_FINGERPRINT_MAX];
    static const char *const bad[] = {
        "",
        " ",
        "7DB87C81",
        "1A5D6C4C7DB87C81",
        "0xD2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81",
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C8",
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C811",
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C8G",
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(openpgp_fingerprint(bad[i], out));
    assert_true(openpgp_fingerprint("d2eb 4462 6fdd c30b 513d  5bb7 1a5d 6c4c 7db8 7c81", out));
    assert_string_equal(out, "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81");
    assert_true(openpgp_fingerprint(
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81D2EB44626FDDC30B513D5BB7", out));
}

static void signs(void **state)
{
    (void)state;
    autofree char *data = at("data"), *made_here = at("made.asc"), *sub = at("sub.asc");
    setenv("GNUPGHOME", made.home, 1);
    assert_ok(openpgp_sign(data, made.good, made_here, &err));
    assert_fails(openpgp_sign(data, made.subkey, sub, &err), ERROR_INPUT, "is a subkey of");
    assert_fails(openpgp_sign(data, "0123456789012345678901234567890123456789", sub, &err),
                 ERROR_INPUT, "there is no secret key");
    assert_fails(openpgp_sign(data, made.good + 24, sub, &err), ERROR_INPUT, "no full fingerprint");
    assert_fails(openpgp_sign(data, made.expired, sub, &err), ERROR_INPUT, "cannot sign");
    assert_int_equal(access(sub, F_OK), -1);
    unsetenv("GNUPGHOME");
    gpg_agrees("made.asc");
    assert_ok(verify("data", "made.asc", "good.key", made.good, &err));
}

/* Nothing of a verification stays: no home, no agent. */
static void leaves_nothing(void **state)
{
    (void)state;
    autofree char *here = at("tmp");
    const char *tmp = getenv("TMPDIR");
    autofree char *before = tmp ? strdup(tmp) : NULL;
    assert_ok(file_make_dirs(here, 0700, &err));
    setenv("TMPDIR", here, 1);
    assert_ok(verify("data", "good.asc", "good.key", made.good, &err));
    assert_fails(verify("tampered", "good.asc", "good.key", made.good, &err), ERROR_TRUST, "bad");
    if (before)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    assert_int_equal(rmdir(here), 0); /* it is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_fingerprints),
        cmocka_unit_test(good),
        cmocka_unit_test(in_memory),
        cmocka_unit_test(refused),
        cmocka_unit_test(signs),
        cmocka_unit_test(leaves_nothing),
    };
    return cmocka_run_group_tests_name("openpgp", tests, make, unmake);
}
