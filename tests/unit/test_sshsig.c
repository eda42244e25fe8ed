#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "signature/sshsig.h"

static char *folder;

static char *at(const char *name)
{
    return path_join(folder, name);
}

static void put(const char *name, const char *text)
{
    autofree char *path = at(name);
    assert_ok(file_write(path, text, strlen(text), 0600, &err));
}

static char *get(const char *name)
{
    autofree char *path = at(name);
    char *text;
    size_t size;
    assert_ok(file_read(path, 1 << 16, &text, &size, &err));
    return text;
}

static void run(const char *const *argv)
{
    struct process p = {.argv = argv, .timeout_seconds = 60};
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
}

static void new_key(const char *name, const char *type)
{
    autofree char *path = at(name);
    run((const char *const[]){"ssh-keygen", "-q", "-t", type, "-N", "", "-C", "a test's", "-f",
                              path, NULL});
}

static bool sign(const char *data, const char *key, const char *signature, struct error **err)
{
    autofree char *d = at(data), *k = at(key), *s = at(signature);
    return sshsig_sign(d, k, s, err);
}

static bool verify(const char *data, const char *key, const char *signature, struct error **err)
{
    autofree char *d = at(data), *k = at(key), *s = at(signature);
    return sshsig_verify(d, k, s, err);
}

static int make(void **state)
{
    (void)state;
    folder = unit_temp_dir();
    new_key("good", "ed25519");
    new_key("other", "ecdsa");
    put("data", "what is signed\n");
    put("tampered", "what is singed\n");
    put("empty", "");
    assert_ok(sign("data", "good", "good.sig", &err));
    assert_ok(sign("data", "other", "other.sig", &err));
    /* A line of allowed_signers(5) has what a public key's has not. */
    autofree char *good = get("good.pub"), *other = get("other.pub"), *lines = NULL;
    assert_true(asprintf(&lines,
                         "# signers\n\nalice@example.com,bob@example.com "
                         "namespaces=\"git,ingot-bundle\" %s\"carol d\" %s",
                         good, other) > 0);
    put("signers", lines);
    free(lines);
    assert_true(asprintf(&lines, "alice namespaces=\"git\" %s", good) > 0);
    put("git-signers", lines);
    free(lines);
    assert_true(asprintf(&lines, "alice valid-before=\"20200101\" %s", good) > 0);
    put("old-signers", lines);
    free(lines);
    assert_true(asprintf(&lines, "*@example.com cert-authority %s", good) > 0);
    put("authority", lines);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    cleanup_tempdir(&folder);
    return 0;
}

static void good(void **state)
{
    (void)state;
    assert_ok(verify("data", "good.pub", "good.sig", &err));
    assert_ok(verify("data", "other.pub", "other.sig", &err));
    assert_ok(verify("data", "signers", "good.sig", &err));
    assert_ok(verify("data", "signers", "other.sig", &err));
}

/* Others verify it as they verify anything. */
static void ssh_keygen_agrees(void **state)
{
    (void)state;
    autofree char *signers = at("signers"), *sig = at("good.sig"), *text = get("data");
    const char *const argv[] = {"ssh-keygen",      "-Y", "verify",       "-f", signers, "-I",
                                "bob@example.com", "-n", "ingot-bundle", "-s", sig,     NULL};
    struct process p = {
        .argv = argv, .input = text, .input_size = strlen(text), .timeout_seconds = 60};
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
}

static void refused(void **state)
{
    (void)state;
    autofree char *data = at("data"), *key = at("good");
    run((const char *const[]){"ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "file", data,
                              NULL}); /* data.sig: for another purpose */
    static const struct {
        const char *data, *key, *signature, *part;
        enum error_kind kind;
    } bad[] = {
        {"tampered", "good.pub", "good.sig", "good.sig is bad", ERROR_TRUST},
        {"empty", "good.pub", "good.sig", "good.sig is bad", ERROR_TRUST},
        {"data", "good.pub", "other.sig", "did not sign it, or may not: Good", ERROR_TRUST},
        {"data", "other.pub", "good.sig", "did not sign it", ERROR_TRUST},
        {"data", "git-signers", "good.sig", "did not sign it, or may not", ERROR_TRUST},
        {"data", "old-signers", "good.sig", "did not sign it, or may not", ERROR_TRUST},
        {"data", "good.pub", "data.sig", "something else than 'ingot-bundle'", ERROR_TRUST},
        {"data", "good.pub", "empty", "is no OpenSSH signature", ERROR_TRUST},
        {"data", "good.pub", "good.pub", "is no OpenSSH signature", ERROR_TRUST},
        {"data", "good", "good.sig", "is a private key", ERROR_INPUT},
        {"data", "empty", "good.sig", "holds no OpenSSH public key", ERROR_INPUT},
        {"data", "authority", "good.sig", "is no OpenSSH public key", ERROR_INPUT},
        {"data", "nothing", "good.sig", "nothing", ERROR_INPUT},
        {"nothing", "good.pub", "good.sig", "nothing", ERROR_INPUT},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(verify(bad[i].data, bad[i].key, bad[i].signature, &err), bad[i].kind,
                     bad[i].part);
    put("broken.sig", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n");
    assert_fails(verify("data", "good.pub", "broken.sig", &err), ERROR_TRUST, "is bad");
}

static void cannot_sign(void **state)
{
    (void)state;
    assert_fails(sign("data", "data", "x.sig", &err), ERROR_INPUT, "is no OpenSSH key");
    assert_fails(sign("nothing", "good", "x.sig", &err), ERROR_INPUT, "nothing");
    autofree char *signature = at("x.sig");
    assert_int_equal(access(signature, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(ssh_keygen_agrees),
        cmocka_unit_test(refused),
        cmocka_unit_test(cannot_sign),
    };
    return cmocka_run_group_tests_name("sshsig", tests, make, unmake);
}
