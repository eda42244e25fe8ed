#include "unit.h"

#include "resolve/lock.h"

#include "base/path.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static const char *const curl[] = {"curl", NULL}, *const present[] = {"bash", "tar", NULL},
                         *const system_packages[] = {"apt", "systemd", NULL};

static const struct package packages[] = {
    {"curl", "7.88.1-10", "amd64", "https://deb.example/pool/curl.deb", "curl_7.deb", 12,
     DIGEST_SHA256, DIGEST, false, NULL, false},
    {"libc6", "2.36-9", "amd64", "file:/srv/site/repo/libc6.deb", "libc6.deb", 34, DIGEST_SHA256,
     OTHER, true, NULL, true},
};
static const struct index_pin indexes[] = {
    {.url = "https://deb.example/dists/b/Packages", .digest = OTHER, .path = "/host/lists/x"},
    {.url = "https://deb.example/dists/a/Packages",
     .digest = DIGEST,
     .path = "/host/lists/y",
     .archive = "https://deb.example/",
     .snapshot = "https://snapshot.example/debian/@SNAPSHOTID@/"},
};
static const struct resolution resolution = {packages, 2, indexes, 2};

static const struct lock_source sources[] = {
    {"https://dl.example/z", DIGEST, NULL, 5, "checksums https://dl.example/SUMS"},
    {"/srv/site/files/a b", OTHER, NULL, 6, "checksums /srv/site/SUMS"},
    {"https://dl.example/a", OTHER, NULL, 0, "first use"},
};
static const struct lock_source keys[] = {
    {"https://dl.example/key.asc", DIGEST, NULL, 7, "key 0123"}};

static struct lock sample(void)
{
    struct lock l = {.epoch = 1795219200};
    struct lock_arch *x = &l.arch[ARCH_AMD64], *y = &l.arch[ARCH_ARM64];
    x->present = y->present = true;
    x->base = (struct lock_source){"https://user:secret@cloud.example/base.img", DIGEST, NULL, 99,
                                   "checksums https://cloud.example/SUMS, signed by AAAA"};
    x->sources = sources;
    x->source_count = COUNT(sources);
    x->keys = keys;
    x->key_count = COUNT(keys);
    x->packages = (struct lock_packages){.wanted = curl,
                                         .present = present,
                                         .base = DIGEST,
                                         .repositories = OTHER,
                                         .snapshot = "20261121T000000Z",
                                         .resolution = &resolution};
    y->bootstrap = (struct lock_packages){.os = "debian",
                                          .suite = "bookworm",
                                          .mirror = "file:///srv/mirror",
                                          .wanted = system_packages,
                                          .snapshot = "20261121T000000Z",
                                          .resolution = &resolution};
    return l;
}

static void test_path(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"a/demo.yaml", "a/demo.lock"},
                                           {"/x/y.yaml", "/x/y.lock"},
                                           {"./demo", "./demo.lock"},
                                           {"a.yaml/b.yaml", "a.yaml/b.lock"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        autofree char *path = lock_path(cases[i][0]);
        assert_string_equal(path, cases[i][1]);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"/srv/site", "https://a.example/x?y", "https://a.example/x?y"},
        {"/srv/site", "https://me:pw@a.example/x@y", "https://a.example/x@y"},
        {"/srv/site", "https://a.example/x@y", "https://a.example/x@y"},
        {"/srv/site", "/srv/site/a", "./a"},
        {"/srv/site", "/srv/site/../a", "../a"},
        {"/srv/site", "/srv/sitter", "../sitter"},
        {"/srv/site", "/srv", "../../srv"},
        {"/srv/site", "file:///srv/site/a/b/", "file://./a/b/"},
        {"/srv/site", "file:/etc/x", "file:../../etc/x"},
        {"/", "/a", "./a"},
    };
    autoarena struct arena *a = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        autofree char *name = lock_name(cases[i][0], cases[i][1]);
        assert_string_equal(name, cases[i][2]);
    }
    assert_string_equal(lock_key(a, "file:///srv//site/./a"), "/srv/site/a");
    assert_string_equal(lock_key(a, "file://localhost/a"), "/a");
    assert_string_equal(lock_key(a, "https://me@a.example/x"), "https://a.example/x");
}

static const char expected[] =
    "{\n"
    "  \"ingot_lock\": 1,\n"
    "  \"epoch\": 1795219200,\n"
    "  \"amd64\": {\n"
    "    \"base\": {\"url\": \"https://cloud.example/base.img\", \"sha256\": \"" DIGEST
    "\", \"bytes\": 99, \"verified\": \"checksums https://cloud.example/SUMS, signed by "
    "AAAA\"},\n"
    "    \"sources\": {\n"
    "      \"./files/a b\": {\"sha256\": \"" OTHER
    "\", \"bytes\": 6, \"verified\": \"checksums ./SUMS\"},\n"
    "      \"https://dl.example/a\": {\"sha256\": \"" OTHER
    "\", \"bytes\": 0, \"verified\": \"first use\"},\n"
    "      \"https://dl.example/z\": {\"sha256\": \"" DIGEST
    "\", \"bytes\": 5, \"verified\": \"checksums https://dl.example/SUMS\"}\n"
    "    },\n"
    "    \"keys\": {\n"
    "      \"https://dl.example/key.asc\": {\"sha256\": \"" DIGEST
    "\", \"bytes\": 7, \"verified\": \"key 0123\"}\n"
    "    },\n"
    "    \"packages\": {\n"
    "      \"wanted\": [\"curl\"],\n"
    "      \"present\": [\"bash\", \"tar\"],\n"
    "      \"recommends\": false,\n"
    "      \"base\": \"" DIGEST "\",\n"
    "      \"repositories\": \"" OTHER "\",\n"
    "      \"snapshot\": \"20261121T000000Z\",\n"
    "      \"packages\": [\n"
    "        {\"name\": \"curl\", \"version\": \"7.88.1-10\", \"architecture\": \"amd64\", "
    "\"url\": \"https://deb.example/pool/curl.deb\", \"filename\": \"curl_7.deb\", \"size\": 12, "
    "\"sha256\": \"" DIGEST "\", \"automatic\": false},\n"
    "        {\"name\": \"libc6\", \"version\": \"2.36-9\", \"architecture\": \"amd64\", "
    "\"url\": \"file:./repo/libc6.deb\", \"filename\": \"libc6.deb\", \"size\": 34, "
    "\"sha256\": \"" OTHER "\", \"verified\": \"first use\", \"automatic\": true}\n"
    "      ],\n"
    "      \"indexes\": [\n"
    "        {\"url\": \"https://deb.example/dists/a/Packages\", \"sha256\": \"" DIGEST
    "\", \"archive\": \"https://deb.example/\", \"snapshot\": "
    "\"https://snapshot.example/debian/@SNAPSHOTID@/\"},\n"
    "        {\"url\": \"https://deb.example/dists/b/Packages\", \"sha256\": \"" OTHER "\"}\n"
    "      ]\n"
    "    }\n"
    "  },\n";

static void test_text(void **state)
{
    (void)state;
    const struct lock l = sample();
    autofree char *text = lock_text(&l, "/srv/site");
    assert_true(strlen(text) > strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
    assert_null(strstr(text, "/host/"));
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "\"mirror\": \"file://../mirror\""));
    assert_string_equal(text + strlen(text) - 2, "}\n");
}

static void test_round_trip(void **state)
{
    (void)state;
    const struct lock l = sample();
    autoarena struct arena *a = arena_new();
    const struct lock *back, *elsewhere;
    autofree char *text = lock_text(&l, "/srv/site");
    assert_ok(lock_parse(a, text, strlen(text), "x.lock", "/srv/site", &back, &err));
    autofree char *again = lock_text(back, "/srv/site");
    assert_string_equal(again, text);
    const struct lock_arch *x = &back->arch[ARCH_AMD64], *y = &back->arch[ARCH_ARM64];
    assert_int_equal(back->epoch, 1795219200);
    assert_string_equal(x->base.url, "https://cloud.example/base.img");
    assert_string_equal(lock_find_source(x, "https://me:x@dl.example/z")->sha256, DIGEST);
    assert_string_equal(lock_find_source(x, "file:///srv/site/files/a b")->sha256, OTHER);
    assert_null(lock_find_source(x, "https://dl.example/b"));
    assert_non_null(lock_find_key(x, "https://dl.example/key.asc"));
    assert_string_equal(x->packages.resolution->packages[1].url, "file:/srv/site/repo/libc6.deb");
    assert_string_equal(y->bootstrap.mirror, "file:///srv/mirror");
    assert_null(y->packages.resolution);
    /* Another folder is another place for what is local, and nothing else. */
    assert_ok(lock_parse(a, text, strlen(text), "x.lock", "/home/me/site", &elsewhere, &err));
    assert_non_null(lock_find_source(&elsewhere->arch[ARCH_AMD64], "/home/me/site/files/a b"));
}

static void test_file(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "x.lock");
    autoarena struct arena *a = arena_new();
    const struct lock l = sample(), *back;
    bool changed;
    assert_ok(lock_read(a, path, &back, &err));
    assert_null(back);
    assert_ok(lock_write(&l, path, &changed, &err));
    assert_true(changed);
    assert_ok(lock_write(&l, path, &changed, &err));
    assert_false(changed);
    assert_ok(lock_read(a, path, &back, &err));
    assert_ok(lock_write(back, path, &changed, &err));
    assert_false(changed);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

#define ARCH(text) "{\"ingot_lock\":1,\"epoch\":1,\"amd64\":{" text "}}"
#define SOURCE(text) ARCH("\"sources\":{\"https://a.example/x\":{" text "}}")
#define PACKAGES(text) ARCH("\"packages\":{\"wanted\":[\"a\"]," text "}")

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        enum error_kind kind;
    } cases[] = {
        {"", "not valid JSON", ERROR_INPUT},
        {"[]", "no lock", ERROR_INPUT},
        {"{}", "no lock", ERROR_INPUT},
        {"{\"ingot_lock\":\"1\",\"epoch\":1}", "no lock", ERROR_INPUT},
        {"{\"ingot_lock\":2,\"epoch\":1,\"new\":1}", "newer ingot", ERROR_UNSUPPORTED},
        {"{\"ingot_lock\":1,\"ingot_lock\":1,\"epoch\":1}", "duplicate", ERROR_INPUT},
        {"{\"ingot_lock\":1}", "epoch", ERROR_INPUT},
        {"{\"ingot_lock\":1,\"epoch\":-1}", "epoch", ERROR_INPUT},
        {"{\"ingot_lock\":1,\"epoch\":4294967296}", "epoch", ERROR_INPUT},
        {"{\"ingot_lock\":1,\"epoch\":1,\"ppc64\":{}}", "'ppc64'", ERROR_INPUT},
        {"{\"ingot_lock\":1,\"epoch\":1,\"amd64\":[]}", "object", ERROR_INPUT},
        {ARCH("\"sauces\":{}"), "'sauces'", ERROR_INPUT},
        {ARCH("\"sources\":[]"), "object", ERROR_INPUT},
        {SOURCE(""), "bytes", ERROR_INPUT},
        {SOURCE("\"bytes\":-1"), "bytes", ERROR_INPUT},
        {SOURCE("\"bytes\":1"), "sha256", ERROR_INPUT},
        {SOURCE("\"bytes\":1,\"sha256\":\"\""), "sha256", ERROR_INPUT},
        {SOURCE("\"bytes\":1,\"sha256\":\"0123\""), "no digest", ERROR_INPUT},
        {SOURCE("\"bytes\":1,\"sha256\":\"" DIGEST "\""), "verified", ERROR_INPUT},
        {SOURCE("\"bytes\":1,\"sha256\":\"" DIGEST "\",\"verified\":\"a\\nb\""), "verified",
         ERROR_INPUT},
        {SOURCE("\"bytes\":1,\"sha256\":\"" DIGEST "\",\"verified\":\"x\",\"md5\":\"0\""), "'md5'",
         ERROR_INPUT},
        {ARCH("\"sources\":{\"https://me:pw@a.example/x\":{}}"), "credentials", ERROR_INPUT},
        {ARCH("\"sources\":{\"/etc/passwd\":{}}"), "relative", ERROR_INPUT},
        {ARCH("\"sources\":{\"file:///etc/passwd\":{}}"), "relative", ERROR_INPUT},
        {ARCH("\"sources\":{\"a\\u0007\":{}}"), "relative", ERROR_INPUT},
        {ARCH("\"base\":{}"), "url", ERROR_INPUT},
        {ARCH("\"base\":{\"bootstrap\":{}}"), "os", ERROR_INPUT},
        {ARCH("\"base\":{\"bootstrap\":{\"os\":\"debian\",\"suite\":\"x\",\"shell\":\"x\"}}"),
         "'shell'", ERROR_INPUT},
        {PACKAGES("\"wanted2\":[]"), "'wanted2'", ERROR_INPUT},
        {PACKAGES("\"present\":[\"b\",\"a\"]"), "sorted", ERROR_INPUT},
        {PACKAGES("\"present\":[1]"), "no name", ERROR_INPUT},
        {PACKAGES("\"recommends\":1"), "neither", ERROR_INPUT},
        {PACKAGES("\"packages\":[]"), "not readable", ERROR_INPUT},
        {PACKAGES("\"packages\":[{\"name\":\"a\",\"url\":\"https://a.example/\",\"x\":1}],"
                  "\"indexes\":[]"),
         "'x'", ERROR_INPUT},
        {PACKAGES("\"packages\":[{\"name\":\"a\",\"version\":\"1\",\"architecture\":\"amd64\","
                  "\"url\":\"https://a.example/a\",\"filename\":\"a\",\"size\":1}],"
                  "\"indexes\":[]"),
         "no digest", ERROR_INPUT},
        {PACKAGES("\"packages\":[{\"name\":\"a\",\"version\":\"1\",\"architecture\":\"amd64\","
                  "\"url\":\"https://a.example/a\",\"filename\":\"../a\",\"size\":1,"
                  "\"sha256\":\"" DIGEST "\"}],\"indexes\":[]"),
         "file name", ERROR_INPUT},
        {PACKAGES("\"packages\":[],\"indexes\":[{\"url\":\"https://a.example/\"}]"), "sha256",
         ERROR_INPUT},
    };
    autoarena struct arena *a = arena_new();
    const struct lock *l;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        assert_fails(lock_parse(a, text, strlen(text), "bad.lock", "/d", &l, &err), cases[i].kind,
                     cases[i].part);
        assert_fails(lock_parse(a, text, strlen(text), "bad.lock", "/d", &l, &err), cases[i].kind,
                     "bad.lock");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path), cmocka_unit_test(test_names),
        cmocka_unit_test(test_text), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_file), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
