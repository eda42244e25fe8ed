/* apt on the host for a guest, against a signed repository made here: two packages, one of which
 * needs the other. No network. */
#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "resolve/apt.h"

#include <stdarg.h>

static void test_uris(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct package p;
#define SHA "71b0471242f7bb777264cdab55c141f1fc043b443105633a38708e125f90c4ea"
    assert_ok(apt_parse_uri(a,
                            "'http://deb/pool/main/d/x/x-y_1.2%2bb~3_amd64.deb' "
                            "x-y_2%3a1.2+b~3_amd64.deb 141936 SHA256:" SHA,
                            &p, &err));
    assert_string_equal(p.name, "x-y");
    assert_string_equal(p.version, "2:1.2+b~3");
    assert_string_equal(p.architecture, "amd64");
    assert_string_equal(p.filename, "x-y_2%3a1.2+b~3_amd64.deb");
    assert_string_equal(p.digest, SHA);
    assert_int_equal(p.size, 141936);
    static const struct {
        const char *line;
        enum error_kind kind;
    } bad[] = {
        {"", ERROR_INPUT},
        {"'http://a", ERROR_INPUT},
        {"http://a a_1_all.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' a_1_all.deb", ERROR_INPUT},
        {"'http://a' a_1_all.deb x SHA256:" SHA, ERROR_INPUT},
        {"'http://a' a_1_all.deb -1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' ../a_1_all.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' .a_1_all.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' a_1_all.rpm 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' a_all.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' __.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'ssh://a' a_1_all.deb 1 SHA256:" SHA, ERROR_INPUT},
        {"'http://a' a_1_all.deb 1 MD5Sum:0123456789abcdef0123456789abcdef", ERROR_TRUST},
        {"'http://a' a_1_all.deb 1 SHA256:0123", ERROR_TRUST},
        {"'http://a' a_1_all.deb 1", ERROR_TRUST},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apt_parse_uri(a, bad[i].line, &p, &err), bad[i].kind, "");
}

static void run(const char *cwd, const char *home, struct buffer *out, const char *program, ...)
{
    const char *argv[32] = {program};
    va_list ap;
    va_start(ap, program);
    for (size_t i = 1; i < 31 && (argv[i] = va_arg(ap, const char *)); i++)
        ;
    va_end(ap);
    autofree char *gnupg = NULL;
    if (asprintf(&gnupg, "GNUPGHOME=%s", home) < 0)
        abort();
    const char *const env[] = {gnupg, "LC_ALL=C", NULL};
    struct process p = {.argv = argv, .env = env, .cwd = cwd, .timeout_seconds = 120};
    autoresult struct process_result r = {0};
    assert_ok(process_check(&p, ERROR_HOST, &r, &err));
    if (out && r.out.data)
        buffer_puts(out, r.out.data);
}

static void put(const char *root, const char *name, const char *text)
{
    autofree char *path = path_join(root, name), *dir = path_dirname(path);
    assert_ok(file_make_dirs(dir, 0755, &err));
    assert_ok(file_write(path, text, strlen(text), 0644, &err));
}

struct world {
    char *dir, *repo, *home, *guest, *work, *key, *url;
    char fingerprint[64];
    struct repository repository;
    struct package_repository package_repository;
    struct text_at component;
};

static void build_version(struct world *w, const char *name, const char *version,
                          const char *fields, const char *deb)
{
    autofree char *control = NULL, *tree = path_join(w->dir, name);
    if (asprintf(&control,
                 "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@e.invalid>\n"
                 "%sDescription: test\n",
                 name, version, fields) < 0)
        abort();
    put(tree, "DEBIAN/control", control);
    run(w->dir, w->home, NULL, "dpkg-deb", "--root-owner-group", "-b", tree, deb, NULL);
}

static void build(struct world *w, const char *name, const char *fields)
{
    autofree char *deb = NULL;
    if (asprintf(&deb, "%s/pool/%s_1.0-1_all.deb", w->repo, name) < 0)
        abort();
    build_version(w, name, "1:1.0-1", fields, deb);
}

/* A paragraph of Packages. */
static void describe(struct world *w, const char *name, struct buffer *out)
{
    autofree char *file = NULL, *deb = NULL;
    if (asprintf(&file, "pool/%s_1.0-1_all.deb", name) < 0)
        abort();
    deb = path_join(w->repo, file);
    char hex[DIGEST_HEX_MAX];
    uint64_t size;
    assert_ok(digest_file(DIGEST_SHA256, deb, hex, &size, &err));
    run(w->repo, w->home, out, "dpkg-deb", "-f", deb, NULL);
    buffer_printf(out, "Filename: %s\nSize: %llu\nSHA256: %s\n\n", file, (unsigned long long)size,
                  hex);
}

/* Release and InRelease from what Packages says now; with a key to sign with. */
static void release(struct world *w, const char *signer)
{
    static const char packages[] = "main/binary-amd64/Packages";
    autofree char *folder = path_join(w->repo, "dists/test"), *file = path_join(folder, packages);
    char hex[DIGEST_HEX_MAX];
    uint64_t size;
    assert_ok(digest_file(DIGEST_SHA256, file, hex, &size, &err));
    autobuffer struct buffer text = {0};
    buffer_printf(&text,
                  "Origin: Test\nSuite: test\nCodename: test\nArchitectures: amd64\n"
                  "Components: main\nSnapshots: https://snapshot.example/@SNAPSHOTID@\nDate: Sat, "
                  "01 Jan 2022 00:00:00 UTC\nSHA256:\n %s %llu %s\n",
                  hex, (unsigned long long)size, packages);
    put(folder, "Release", text.data);
    run(folder, w->home, NULL, "gpg", "--batch", "--yes", "-q", "-u", signer, "--clearsign", "-o",
        "InRelease", "Release", NULL);
}

static void make_key(struct world *w, const char *user)
{
    run(w->dir, w->home, NULL, "gpg", "--batch", "-q", "--passphrase", "", "--quick-gen-key", user,
        "ed25519", "sign", "never", NULL);
}

static void setup(struct world *w)
{
    w->repo = path_join(w->dir, "repo");
    w->home = path_join(w->dir, "gnupg");
    w->guest = path_join(w->dir, "guest");
    w->work = path_join(w->dir, "work");
    w->key = path_join(w->dir, "key");
    autofree char *pool = path_join(w->repo, "pool");
    assert_ok(file_make_dirs(w->home, 0700, &err));
    assert_ok(file_make_dirs(pool, 0755, &err));
    make_key(w, "good@example.invalid");
    make_key(w, "evil@example.invalid");
    run(w->dir, w->home, NULL, "gpg", "--armor", "-o", w->key, "--export", "good@example.invalid",
        NULL);
    autobuffer struct buffer listing = {0};
    run(w->dir, w->home, &listing, "gpg", "--with-colons", "--show-keys", w->key, NULL);
    const char *fpr = strstr(listing.data, "fpr:::::::::");
    assert_non_null(fpr);
    snprintf(w->fingerprint, sizeof w->fingerprint, "%.40s", fpr + 12);
    build(w, "test-main", "Depends: test-part\nRecommends: test-extra\n");
    build(w, "test-part", "");
    build(w, "test-extra", "");
    build(w, "test-strict", "Depends: test-part (>= 1:1.0-1)\n");
    build(w, "test-essential", "Essential: yes\nDepends: test-part\n");
    build(w, "test-required", "Priority: required\n");
    build(w, "apt", "");
    autobuffer struct buffer packages = {0};
    static const char *const names[] = {"test-main",   "test-part",      "test-extra",
                                        "test-strict", "test-essential", "test-required",
                                        "apt"};
    for (size_t i = 0; i < COUNT(names); i++)
        describe(w, names[i], &packages);
    put(w->repo, "dists/test/main/binary-amd64/Packages", packages.data);
    release(w, "good@example.invalid");
    put(w->guest, "var/lib/dpkg/status", "");
    if (asprintf(&w->url, "file:%s", w->repo) < 0)
        abort();
    w->component.text = "main";
    w->repository = (struct repository){.kind = REPOSITORY_APT,
                                        .url = w->url,
                                        .suite = "test",
                                        .components = {&w->component, 1},
                                        .fingerprint = w->fingerprint};
    w->package_repository =
        (struct package_repository){.repository = &w->repository, .key = w->key};
}

static void teardown(struct world *w)
{
    run(w->dir, w->home, NULL, "gpgconf", "--kill", "gpg-agent", NULL);
    free(w->repo);
    free(w->home);
    free(w->guest);
    free(w->work);
    free(w->key);
    free(w->url);
}

static struct apt_request request(struct world *w, const char *const *wanted, bool recommends)
{
    return (struct apt_request){.guest = w->guest,
                                .work = w->work,
                                .architecture = "amd64",
                                .wanted = wanted,
                                .recommends = recommends,
                                .repositories = &w->package_repository,
                                .repository_count = 1};
}

static bool resolve(struct world *w, struct arena *a, const char *const *wanted, bool recommends,
                    const struct resolution **out, struct error **err)
{
    const struct apt_request r = request(w, wanted, recommends);
    return apt_resolve(a, &r, out, err);
}

static void check_good(struct world *w, struct arena *a)
{
    static const char *const wanted[] = {"test-main", NULL}, *const nothing[] = {NULL};
    const struct resolution *r = NULL;
    assert_ok(resolve(w, a, wanted, false, &r, &err));
    assert_int_equal(r->count, 2);
    assert_string_equal(r->packages[0].name, "test-main");
    assert_string_equal(r->packages[0].version, "1:1.0-1");
    assert_string_equal(r->packages[0].filename, "test-main_1%3a1.0-1_all.deb");
    assert_false(r->packages[0].automatic);
    assert_string_equal(r->packages[1].name, "test-part");
    assert_true(r->packages[1].automatic);
    autofree char *deb = path_join(w->repo, "pool/test-part_1.0-1_all.deb");
    char hex[DIGEST_HEX_MAX];
    uint64_t size;
    assert_ok(digest_file(DIGEST_SHA256, deb, hex, &size, &err));
    assert_string_equal(r->packages[1].digest, hex);
    assert_int_equal(r->packages[1].size, size);
    assert_int_equal(r->index_count, 1);
    assert_ok(resolve(w, a, wanted, true, &r, &err));
    assert_int_equal(r->count, 3);
    assert_ok(resolve(w, a, nothing, false, &r, &err));
    assert_int_equal(r->count, 0);
    /* What is there already is not fetched. */
    put(w->guest, "var/lib/dpkg/status",
        "Package: test-part\nStatus: install ok installed\nVersion: 1:1.0-1\nArchitecture: all\n"
        "Maintainer: x\nDescription: x\n\n");
    assert_ok(resolve(w, a, wanted, false, &r, &err));
    assert_int_equal(r->count, 1);
}

/* Pinned packages are as if installed, whatever the archive has now. */
static void check_locked(struct world *w, struct arena *a)
{
    static const char *const wanted[] = {"test-main", NULL},
                             *const strict[] = {"test-strict", NULL},
                             *const other[] = {"test-part=1:1.0-1", NULL};
    autofree char *deb = path_join(w->dir, "old.deb"),
                  *kept = path_join(w->repo, "pool/test-part_1.0-1_all.deb");
    build_version(w, "test-part", "1:0.5-1", "", deb);
    const struct package locked = {
        .name = "test-part", .version = "1:0.5-1", .architecture = "all"};
    const char *const files[] = {deb, NULL}, *const wrong[] = {kept, NULL};
    const struct resolution *made = NULL;
    struct apt_request r = request(w, wanted, false);
    r.locked = &locked;
    r.locked_files = files;
    r.locked_count = 1;
    assert_ok(apt_resolve(a, &r, &made, &err));
    assert_int_equal(made->count, 1);
    assert_string_equal(made->packages[0].name, "test-main");
    /* Also one that the base has in another version. */
    put(w->guest, "var/lib/dpkg/status",
        "Package: test-part\nStatus: install ok installed\nVersion: 1:0.1-1\nArchitecture: all\n"
        "Maintainer: x\nDescription: x\n\n");
    assert_ok(apt_resolve(a, &r, &made, &err));
    assert_int_equal(made->count, 1);
    r.wanted = strict;
    assert_fails(apt_resolve(a, &r, &made, &err), ERROR_CHANGED, "ingot lock --update");
    r.wanted = other;
    assert_fails(apt_resolve(a, &r, &made, &err), ERROR_CHANGED, "ingot lock --update");
    static const char *const missing[] = {"test-absent", NULL};
    r.wanted = missing;
    assert_fails(apt_resolve(a, &r, &made, &err), ERROR_INPUT, "test-absent");
    r.wanted = wanted;
    r.locked_files = wrong;
    assert_fails(apt_resolve(a, &r, &made, &err), ERROR_INPUT,
                 "is not the package test-part 1:0.5-1 all");
    put(w->guest, "var/lib/dpkg/status", "");
}

/* A system made anew: what is essential and required, and apt, beside what is wanted. */
static void check_bootstrap(struct world *w, struct arena *a)
{
    static const char *const wanted[] = {"test-main", NULL};
    static const struct {
        const char *name;
        bool automatic;
    } expected[] = {{"apt", false},
                    {"test-essential", false},
                    {"test-main", false},
                    {"test-part", true},
                    {"test-required", false}};
    const struct resolution *made = NULL;
    struct apt_request r = request(w, wanted, false);
    r.bootstrap_suite = "test";
    assert_ok(apt_resolve(a, &r, &made, &err));
    assert_int_equal(made->count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_string_equal(made->packages[i].name, expected[i].name);
        assert_int_equal(made->packages[i].automatic, expected[i].automatic);
    }
    assert_int_equal(made->index_count, 1);
    autofree char *archive = NULL;
    if (asprintf(&archive, "%s/", w->url) < 0)
        abort();
    assert_string_equal(made->indexes[0].archive, archive);
    assert_string_equal(made->indexes[0].snapshot, "https://snapshot.example/@SNAPSHOTID@/");
}

static void check_names(struct world *w, struct arena *a)
{
    static const char *const bad[] = {"-oX=y", "test-main-", "a b", "", "../x", "x", "a\nb", "a;b"};
    const struct resolution *r = NULL;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *const wanted[] = {bad[i], NULL};
        assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_INPUT,
                     "is no name of a package");
    }
    static const char *const missing[] = {"test-absent", NULL};
    assert_fails(resolve(w, a, missing, false, &r, &err), ERROR_INPUT, "test-absent");
}

static void check_trust(struct world *w, struct arena *a)
{
    static const char *const wanted[] = {"test-main", NULL};
    const struct resolution *r = NULL;
    w->repository.fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567";
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "has the fingerprint");
    w->repository.fingerprint = "89ABCDEF";
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_INPUT, "no full fingerprint");
    w->repository.fingerprint = NULL;
    assert_ok(resolve(w, a, wanted, false, &r, &err));
    w->package_repository.key = NULL;
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "has no key");
    w->package_repository.key = w->key;
    /* An index that is not the one that was signed. */
    autofree char *packages = path_join(w->repo, "dists/test/main/binary-amd64/Packages");
    autofree char *text = NULL;
    size_t size;
    assert_ok(file_read(packages, 1 << 20, &text, &size, &err));
    char *sha = strstr(text, "SHA256: ");
    assert_non_null(sha);
    sha[8] = sha[8] == '0' ? '1' : '0';
    assert_ok(file_write(packages, text, size, 0644, &err));
    assert_ok(file_remove_tree(w->work, &err));
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "Hash Sum mismatch");
    release(w, "evil@example.invalid");
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "NO_PUBKEY");
    autofree char *in_release = path_join(w->repo, "dists/test/InRelease");
    assert_ok(file_remove_tree(in_release, &err));
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "");
    /* Two keys in the file although one is named. */
    w->repository.fingerprint = w->fingerprint;
    run(w->dir, w->home, NULL, "gpg", "--yes", "-o", w->key, "--export", NULL);
    assert_fails(resolve(w, a, wanted, false, &r, &err), ERROR_TRUST, "there are 2 keys");
}

static void test_resolve(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    struct world w = {.dir = dir};
    setup(&w);
    check_good(&w, a);
    check_locked(&w, a);
    check_bootstrap(&w, a);
    check_names(&w, a);
    check_trust(&w, a);
    teardown(&w);
}

static void test_source(void **state)
{
    (void)state;
    const struct text_at components[] = {{.text = "main"}, {.text = "extra"}};
    struct repository r = {.url = "https://a/d", .suite = "s", .components = {components, 2}};
    autofree char *text = apt_repository_source(&r, "/etc/apt/keyrings/ingot-1.asc");
    assert_string_equal(text, "Types: deb\nURIs: https://a/d\nSuites: s\nComponents: main extra\n"
                              "Signed-By: /etc/apt/keyrings/ingot-1.asc\n\n");
    r.url = "file:/srv";
    assert_null(apt_repository_source(&r, "/k"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
