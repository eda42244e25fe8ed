#include "unit.h"

#include "bake/bootstrap_internal.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "disk/writer.h"

#include <dirent.h>

#define DIGEST_A "71b0471242f7bb777264cdab55c141f1fc043b443105633a38708e125f90c4ea"
#define DIGEST_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct package pinned[] = {
    {"bash", "5.2", "amd64", "http://m.example/bash.deb", "bash_5.2_amd64.deb", 10, DIGEST_SHA256,
     DIGEST_A, false, NULL, false},
    {"libc6", "2.36", "amd64", "http://m.example/libc6.deb", "libc6_2.36_amd64.deb", 10,
     DIGEST_SHA256, DIGEST_B, true, NULL, false},
};
#define PIN(archive_, path)                                                                        \
    {                                                                                              \
        .url = archive_ path, .digest = DIGEST_A, .archive = archive_                              \
    }
static const struct index_pin indexes[] = {
    PIN("http://m.example/debian/", "dists/bookworm-updates/main/binary-amd64/Packages"),
    PIN("http://m.example/debian/", "dists/bookworm/main/binary-amd64/Packages"),
    PIN("http://m.example/security/", "dists/bookworm-security/main/binary-amd64/Packages"),
};
static const struct resolution resolution = {
    .packages = pinned, .count = COUNT(pinned), .indexes = indexes, .index_count = COUNT(indexes)};

static struct bootstrap example(const char *const *packages)
{
    return (struct bootstrap){.os = "debian",
                              .suite = "bookworm",
                              .architecture = "amd64",
                              .packages = packages,
                              .mirror = "http://127.0.0.1:9/debian",
                              .resolution = &resolution,
                              .epoch = 1700000000,
                              .scratch = "/tmp"};
}

static struct bootstrap example_arm64(void)
{
    static const struct package packages[] = {
        {"bash", "5.2", "arm64", "http://m.example/bash.deb", "bash_5.2_arm64.deb", 10,
         DIGEST_SHA256, DIGEST_A, false, NULL, false},
    };
    static const struct index_pin index[] = {
        PIN("http://m.example/debian/", "dists/bookworm/main/binary-arm64/Packages")};
    static const struct resolution r = {
        .packages = packages, .count = COUNT(packages), .indexes = index, .index_count = 1};
    struct bootstrap b = example(NULL);
    b.architecture = "arm64";
    b.resolution = &r;
    return b;
}

static void key_of(const struct bootstrap *b, char key[SHA256_HEX])
{
    assert_ok(bootstrap_key(b, key, &err));
    assert_true(digest_is_valid(DIGEST_SHA256, key));
}

static void test_key(void **state)
{
    (void)state;
    static const char *const asked[] = {"curl", NULL};
    char key[SHA256_HEX], other[SHA256_HEX];
    struct bootstrap b = example(NULL), c = example(NULL);
    key_of(&b, key);
    c.scratch = "/elsewhere";
    c.packages = asked; /* only what they came to counts */
    key_of(&c, other);
    assert_string_equal(key, other);
    /* Nor does it where the packages come from. */
    struct package moved[] = {pinned[0], pinned[1]};
    struct index_pin later[] = {indexes[0], indexes[1], indexes[2]};
    const struct resolution elsewhere = {
        .packages = moved, .count = COUNT(moved), .indexes = later, .index_count = COUNT(later)};
    later[0].digest = DIGEST_B;
    moved[0].url = "http://other.example/bash.deb";
    c.resolution = &elsewhere;
    key_of(&c, other);
    assert_string_equal(key, other);

    struct package newer[] = {pinned[0], pinned[1]}, rebuilt[] = {pinned[0], pinned[1]},
                   manual[] = {pinned[0], pinned[1]};
    newer[0].version = "5.3";
    rebuilt[0].digest = DIGEST_B;
    manual[1].automatic = false;
    struct index_pin other_archive[] = {
        PIN("http://other.example/debian/", "dists/bookworm/main/binary-amd64/Packages")};
    struct resolution others[5]; /* the last: the guest keeps other sources */
    for (size_t i = 0; i < COUNT(others); i++)
        others[i] = resolution;
    others[0].packages = newer;
    others[1].packages = rebuilt;
    others[2].packages = manual;
    others[3].count = 1;
    others[4].indexes = other_archive;
    others[4].index_count = 1;
    for (size_t i = 0; i < COUNT(others); i++) {
        struct bootstrap changed = b;
        changed.resolution = &others[i];
        key_of(&changed, other);
        assert_string_not_equal(key, other);
    }
    b.epoch++;
    key_of(&b, other);
    assert_string_not_equal(key, other);
}

static void test_unpinned(void **state)
{
    (void)state;
    char key[SHA256_HEX];
    struct bootstrap b = example(NULL);
    struct package bad[] = {pinned[0], pinned[1]};
    const struct resolution r = {.packages = bad, .count = COUNT(bad)};
    b.resolution = &r;
    bad[1].digest = NULL;
    assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT, "libc6 of the base is not pinned");
    bad[1].digest = DIGEST_B;
    bad[1].digest_kind = DIGEST_SHA512;
    assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT, "is not pinned by its SHA-256");
    bad[1].digest_kind = DIGEST_SHA256;
    assert_fails(bootstrap_key(&b, key, &err), ERROR_INPUT,
                 "no package index of the base is pinned");
    b.resolution = NULL;
    assert_fails(bootstrap_key(&b, key, &err), ERROR_INTERNAL, "are not resolved");
}

/* What the guest keeps as its sources is made of the pins. */
static void test_pinned_sources(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct bootstrap b = example(NULL);
    struct bootstrap_inputs in = {.arena = a};
    assert_ok(bootstrap_pinned_sources(&b, &in, &err));
#define SOURCE(uri, suite)                                                                         \
    "Types: deb\nURIs: " uri "\nSuites: " suite "\nComponents: main\n"                             \
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    assert_string_equal(in.sources, SOURCE("http://m.example/debian", "bookworm") "\n" SOURCE(
                                        "http://m.example/debian",
                                        "bookworm-updates") "\n" SOURCE("http://m.example/security",
                                                                        "bookworm-security"));
    static const struct {
        const char *archive, *path, *says;
    } bad[] = {
        {"http://a/", "http://b/dists/bookworm/main/binary-amd64/Packages", "is no package index"},
        {"http://a/", "http://a/Packages", "is no package index"},
        {"http://a/", "http://a/dists/bookworm/binary-amd64/Packages", "is no package index"},
        {"http://a/", "http://a/dists/bookworm/m\nx/binary-amd64/Packages", "is no package index"},
        {"http://a/", "http://a/dists/trixie/main/binary-amd64/Packages", "of another suite"},
        {"http://a/", "http://a/dists/bookworm-/main/binary-amd64/Packages", "of another suite"},
        {"http://u:p@a/", "http://u:p@a/dists/bookworm/main/binary-amd64/Packages",
         "cannot be kept"},
        {"ssh://a/", "ssh://a/dists/bookworm/main/binary-amd64/Packages", "cannot be kept"},
        {NULL, "http://a/dists/bookworm/main/binary-amd64/Packages", "is no package index"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct index_pin pin = {
            .url = bad[i].path, .digest = DIGEST_A, .archive = bad[i].archive};
        const struct resolution r = {
            .packages = pinned, .count = COUNT(pinned), .indexes = &pin, .index_count = 1};
        struct bootstrap wrong = b;
        wrong.resolution = &r;
        assert_fails(bootstrap_pinned_sources(&wrong, &in, &err), ERROR_INPUT, bad[i].says);
    }
}

static void test_wanted(void **state)
{
    (void)state;
    static const char *const ab[] = {"podman", "curl", NULL};
    static const char *const ba[] = {"curl", "podman", "curl", "sudo", NULL}; /* sudo is built in */
    autoarena struct arena *a = arena_new();
    struct bootstrap b = example(ab), c = example(ba);
    const char *const *one = NULL, *const *two = NULL;
    assert_ok(bootstrap_wanted(&b, a, &one, &err));
    assert_ok(bootstrap_wanted(&c, a, &two, &err));
    size_t n = 0;
    for (; one[n]; n++) {
        assert_string_equal(one[n], two[n]);
        assert_true(!n || strcmp(one[n - 1], one[n]) < 0);
    }
    assert_null(two[n]);
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
    b.architecture = "riscv64";
    assert_fails(bootstrap_key(&b, key, &err), ERROR_UNSUPPORTED, "riscv64");
    autoarena struct arena *a = arena_new();
    const char *const *wanted = NULL;
    assert_fails(bootstrap_wanted(&b, a, &wanted, &err), ERROR_UNSUPPORTED, "amd64 and arm64");
}

static bool has(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* The same packages but for the kernel; a key of its own. */
static void test_arm64(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct bootstrap amd64 = example(NULL), arm64 = example_arm64();
    const char *const *one = NULL, *const *other = NULL;
    assert_ok(bootstrap_wanted(&amd64, a, &one, &err));
    assert_ok(bootstrap_wanted(&arm64, a, &other, &err));
    assert_true(has(one, "linux-image-cloud-amd64"));
    assert_true(has(other, "linux-image-cloud-arm64"));
    for (; *one && *other; one++, other++)
        assert_true(strcmp(*one, *other) == 0 || text_starts_with(*one, "linux-image-"));
    assert_true(!*one && !*other);

    char key[SHA256_HEX], wrong[SHA256_HEX];
    struct bootstrap mixed = arm64;
    mixed.architecture = "amd64";
    key_of(&arm64, key);
    key_of(&mixed, wrong);
    assert_string_not_equal(key, wrong);
}

static void test_platforms(void **state)
{
    (void)state;
    static const struct {
        const char *architecture, *serial, *file;
        bool bios;
    } wanted[] = {{"amd64", "console=tty0 console=ttyS0,115200\"", "BOOTX64.EFI", true},
                  {"arm64", "console=tty0 console=ttyAMA0,115200\"", "BOOTAA64.EFI", false}};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        const struct bootstrap_platform *p = NULL;
        assert_ok(bootstrap_platform_find(wanted[i].architecture, &p, &err));
        assert_non_null(strstr(p->menu, wanted[i].serial));
        assert_string_equal(p->uefi_file, wanted[i].file);
        assert_int_equal(p->bios.format != NULL, wanted[i].bios);
        if (p == bootstrap_platform_host())
            assert_ok(bootstrap_platform_check_host(p, &err));
        else
            assert_fails(bootstrap_platform_check_host(p, &err), ERROR_HOST,
                         "on a host of that architecture");
    }
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

/* Nothing is begun on a host of another architecture. */
static void test_other_host(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "base.raw");
    const struct bootstrap_platform *host = bootstrap_platform_host();
    bool arm = host && strcmp(host->architecture, "arm64") == 0;
    struct bootstrap b = arm ? example(NULL) : example_arm64();
    b.scratch = dir;
    assert_fails(bootstrap_make(&b, raw, &err), ERROR_HOST, "on a host of that architecture");
    assert_int_equal(entries(dir), 0);
}

/* A mirror that does not answer: its own kind, and nothing is left but apt's state. */
static void test_no_mirror(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *scratch = path_join(dir, "scratch"), *work = path_join(dir, "work");
    assert_ok(file_make_dirs(scratch, 0700, &err));
    struct bootstrap b = example(NULL);
    b.scratch = scratch;
    const struct resolution *r = NULL;
    if (access("/usr/share/keyrings/debian-archive-keyring.gpg", R_OK) != 0) {
        assert_fails(bootstrap_resolve(&b, a, work, false, &r, &err), ERROR_HOST,
                     "debian-archive-keyring");
        return;
    }
    assert_fails(bootstrap_resolve(&b, a, work, true, &r, &err), ERROR_UNREACHABLE,
                 "not in the cache");
    assert_fails(bootstrap_resolve(&b, a, work, false, &r, &err), ERROR_UNREACHABLE,
                 "cannot resolve the packages of a base of bookworm");
    assert_int_equal(entries(scratch), 0);
}

/* A package file that is not what was pinned stops it before mmdebstrap; nothing is left. */
static void test_wrong_file(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "base.raw"), *program = process_find("mmdebstrap");
    if (!program) {
        print_message("mmdebstrap is not installed\n");
        skip();
    }
    const char *const files[] = {"/etc/passwd", "/etc/passwd", NULL};
    struct bootstrap b = example(NULL);
    b.scratch = dir;
    b.files = files;
    assert_fails(bootstrap_make(&b, raw, &err), ERROR_INPUT, "package file of bash");
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

/* The packages as files, fetched by curl(1) and compared. */
static const char *const *fetch(struct arena *a, const char *dir, const struct resolution *r)
{
    const char **files = arena_alloc(a, (r->count + 1) * sizeof *files);
    autobuffer struct buffer list = {0};
    for (size_t i = 0; i < r->count; i++) {
        files[i] = arena_printf(a, "%s/%s", dir, r->packages[i].filename);
        buffer_printf(&list, "url = \"%s\"\noutput = \"%s\"\n", r->packages[i].url, files[i]);
    }
    autofree char *path = path_join(dir, "list");
    assert_ok(file_write(path, list.data, list.size, 0600, &err));
    const char *argv[] = {"curl", "-sS", "--fail", "--parallel", "--config", path, NULL};
    judge(argv, dir);
    for (size_t i = 0; i < r->count; i++) {
        char hex[DIGEST_HEX_MAX];
        assert_ok(digest_file(DIGEST_SHA256, files[i], hex, NULL, &err));
        assert_string_equal(hex, r->packages[i].digest);
    }
    return files;
}

/* The whole: a minute, and the mirror. Twice the same disk. */
static void test_make(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir(), *packages = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *raw = path_join(dir, "base.raw"), *again = path_join(dir, "again.raw");
    struct bootstrap b = example(NULL);
    b.mirror = getenv("INGOT_TEST_MIRROR");
    b.scratch = dir;
    autofree char *work = path_join(packages, "apt");
    assert_ok(bootstrap_resolve(&b, a, work, false, &b.resolution, &err));
    b.files = fetch(a, packages, b.resolution);
    assert_ok(bootstrap_make(&b, raw, &err));
    assert_int_equal(entries(dir), 1);
    const char *verify[] = {"sfdisk", "--verify", raw, NULL};
    judge(verify, dir);

    const struct disk_options o = {.raw = raw};
    autodisk struct disk *disk = NULL;
    struct disk_stat st;
    assert_ok(disk_ext4.open(&o, &disk, &err));
    static const char *const wanted[] = {"/boot/vmlinuz",
                                         "/boot/initrd.img",
                                         "/boot/grub/grub.cfg",
                                         "/usr/bin/cloud-init",
                                         "/usr/sbin/qemu-ga",
                                         "/etc/fstab",
                                         "/sbin/init",
                                         "/etc/apt/sources.list.d/0000main.sources",
                                         "/usr/bin/apt-get",
                                         "/var/log/journal",
                                         "/usr/share/doc/sudo/copyright"};
    for (size_t i = 0; i < COUNT(wanted); i++)
        if (!is_there(disk, wanted[i], &st))
            fail_msg("%s is not there", wanted[i]);
    static const char *const unwanted[] = {"/etc/ssh/ssh_host_ed25519_key",
                                           "/etc/ssh/ssh_host_rsa_key",
                                           "/etc/apt/sources.list",
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

/* Which packages a system of another architecture consists of can be said on any host. */
static void test_resolve_arm64(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *work = path_join(dir, "apt");
    char key[SHA256_HEX], again[SHA256_HEX];
    struct bootstrap b = example_arm64();
    b.mirror = getenv("INGOT_TEST_MIRROR");
    b.scratch = dir;
    assert_ok(bootstrap_resolve(&b, a, work, false, &b.resolution, &err));
    size_t own = 0;
    bool kernel = false;
    for (size_t i = 0; i < b.resolution->count; i++) {
        const struct package *p = &b.resolution->packages[i];
        assert_true(strcmp(p->architecture, "arm64") == 0 || strcmp(p->architecture, "all") == 0);
        own += strcmp(p->architecture, "arm64") == 0;
        kernel = kernel || strcmp(p->name, "linux-image-cloud-arm64") == 0;
    }
    assert_true(kernel && own > 100);
    key_of(&b, key);
    assert_ok(bootstrap_resolve(&b, a, work, true, &b.resolution, &err)); /* offline: the same */
    key_of(&b, again);
    assert_string_equal(key, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_unpinned),
        cmocka_unit_test(test_pinned_sources),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_arm64),
        cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_other_host),
        cmocka_unit_test(test_no_mirror),
        cmocka_unit_test(test_wrong_file),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_resolve_arm64),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (getenv("INGOT_TEST_SLOW")) /* make test-all */
        failed += cmocka_run_group_tests(slow, NULL, NULL);
    return failed;
}
