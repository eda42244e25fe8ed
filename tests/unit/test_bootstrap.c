#include "unit.h"

#include "bake/bootstrap.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "disk/writer.h"

#include <dirent.h>

static struct bootstrap example(const char *const *packages)
{
    return (struct bootstrap){.os = "debian",
                              .suite = "bookworm",
                              .architecture = "amd64",
                              .packages = packages,
                              .mirror = "http://127.0.0.1:9/debian",
                              .epoch = 1700000000,
                              .scratch = "/tmp"};
}

static void key_of(const struct bootstrap *b, char key[SHA256_HEX])
{
    assert_ok(bootstrap_key(b, key, &err));
    assert_true(digest_is_valid(DIGEST_SHA256, key));
}

static void test_key(void **state)
{
    (void)state;
    static const char *const ab[] = {"podman", "curl", NULL};
    static const char *const ba[] = {"curl", "podman", "curl", "sudo", NULL}; /* sudo is built in */
    static const char *const a[] = {"curl", NULL};
    char key[SHA256_HEX], other[SHA256_HEX];
    struct bootstrap b = example(ab), c = example(ba);
    key_of(&b, key);
    key_of(&c, other);
    assert_string_equal(key, other); /* order and repetition do not matter */
    c.scratch = "/elsewhere";
    key_of(&c, other);
    assert_string_equal(key, other);

    struct bootstrap changed[4];
    for (size_t i = 0; i < COUNT(changed); i++)
        changed[i] = b;
    changed[0].packages = a;
    changed[1].mirror = "http://127.0.0.1:9/debian2";
    changed[2].epoch++;
    changed[3].suite = "trixie";
    for (size_t i = 0; i < COUNT(changed); i++) {
        key_of(&changed[i], other);
        assert_string_not_equal(key, other);
    }
    struct bootstrap none = example(NULL);
    key_of(&none, key);
    none.mirror = NULL; /* the host's sources, where it has some */
    autoerror struct error *why = NULL;
    if (bootstrap_key(&none, other, &why))
        assert_string_not_equal(key, other);
    else
        assert_int_equal(error_kind(why), ERROR_INPUT);
}

static void test_refused(void **state)
{
    (void)state;
    char key[SHA256_HEX];
    static const char *const bad_packages[] = {"",        "x",        "Podman", "a b", "-y",
                                               "?x",      "curl,vim", "../x",   "a=1", "~nx",
                                               "foo/sid", "+x",       "a\nbcde"};
    for (size_t i = 0; i < COUNT(bad_packages); i++) {
        const char *const packages[] = {bad_packages[i], NULL};
        const struct bootstrap b = example(packages);
        assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT,
                     "is not the name of a Debian package");
    }
    static const char *const bad_suites[] = {"", "Bookworm", "-x", "a b", "../x", "x;y"};
    for (size_t i = 0; i < COUNT(bad_suites); i++) {
        struct bootstrap b = example(NULL);
        b.suite = bad_suites[i];
        assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT, "is not the name of a suite");
    }
    struct bootstrap b = example(NULL);
    b.mirror = "https://user:secret@mirror.example/debian";
    assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT, "user name or password");
    autoerror struct error *said = NULL;
    assert_false(bootstrap_key(&b, key, &said));
    assert_null(strstr(error_text(said), "secret"));
    b = example(NULL);
    b.os = "ubuntu";
    assert_fails(bootstrap_key(&b, key, &err), ERROR_UNSUPPORTED, "\"ubuntu\"");
    b = example(NULL);
    b.architecture = "arm64";
    assert_fails(bootstrap_key(&b, key, &err), ERROR_UNSUPPORTED, "arm64");
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* A mirror that does not answer: its own kind, and nothing is left. */
static void test_no_mirror(void **state)
{
    (void)state;
    autofree char *program = process_find("mmdebstrap");
    if (!program || geteuid() != 0) {
        print_message("mmdebstrap is not installed, or this is not root\n");
        skip();
    }
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "base.raw");
    struct bootstrap b = example(NULL);
    b.scratch = dir;
    assert_fails(bootstrap_make(&b, raw, &err), ERROR_UNREACHABLE, "the mirror does not answer");
    assert_int_equal(entries(dir), 0);
}

static void judge(const char *const *argv, const char *cwd)
{
    const struct process p = {.argv = argv, .cwd = cwd, .timeout_seconds = 300};
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
}

static bool is_there(struct disk *d, const char *path, struct disk_stat *st)
{
    bool found = false;
    assert_ok(d->writer->stat(d, path, true, st, &found, &err));
    return found;
}

/* The whole: a minute, and the mirror. Twice the same disk. */
static void test_make(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "base.raw"), *again = path_join(dir, "again.raw");
    struct bootstrap b = example(NULL);
    b.mirror = getenv("INGOT_TEST_MIRROR");
    b.scratch = dir;
    assert_ok(bootstrap_make(&b, raw, &err));
    assert_int_equal(entries(dir), 1);
    const char *verify[] = {"sfdisk", "--verify", raw, NULL};
    judge(verify, dir);

    const struct disk_options o = {.raw = raw};
    autodisk struct disk *disk = NULL;
    struct disk_stat st;
    assert_ok(disk_ext4.open(&o, &disk, &err));
    static const char *const wanted[] = {
        "/boot/vmlinuz",       "/boot/initrd.img",  "/boot/grub/grub.cfg",
        "/usr/bin/cloud-init", "/usr/sbin/qemu-ga", "/etc/fstab",
        "/sbin/init",          "/var/log/journal",  "/usr/share/doc/sudo/copyright"};
    for (size_t i = 0; i < COUNT(wanted); i++)
        if (!is_there(disk, wanted[i], &st))
            fail_msg("%s is not there", wanted[i]);
    static const char *const unwanted[] = {"/etc/ssh/ssh_host_ed25519_key",
                                           "/etc/ssh/ssh_host_rsa_key",
                                           "/var/lib/systemd/random-seed",
                                           "/var/lib/dbus/machine-id",
                                           "/var/log/dpkg.log",
                                           "/usr/share/man/man1",
                                           "/usr/lib/x86_64-linux-gnu/libperl.so.5.36",
                                           "/dev/null"};
    for (size_t i = 0; i < COUNT(unwanted); i++)
        if (is_there(disk, unwanted[i], &st))
            fail_msg("%s is there", unwanted[i]);
    assert_true(is_there(disk, "/etc/machine-id", &st));
    assert_int_equal(st.size, 0);
    autofree char *hostname = NULL;
    assert_ok(disk->writer->read(disk, "/etc/hostname", 100, &hostname, NULL, &err));
    assert_string_equal(hostname, "debian\n");
    autonames char **lists = NULL;
    assert_ok(disk->writer->list(disk, "/var/lib/apt/lists", &lists, &err));
    for (size_t i = 0; lists[i]; i++)
        assert_false(text_ends_with(lists[i], "_Packages"));

    assert_ok(bootstrap_make(&b, again, &err));
    char one[DIGEST_HEX_MAX], two[DIGEST_HEX_MAX];
    assert_ok(digest_file(DIGEST_SHA256, raw, one, NULL, &err));
    assert_ok(digest_file(DIGEST_SHA256, again, two, NULL, &err));
    assert_string_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_mirror),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(test_make),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (getenv("INGOT_TEST_SLOW")) /* make test-all */
        failed += cmocka_run_group_tests(slow, NULL, NULL);
    return failed;
}
