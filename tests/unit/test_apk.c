#include "unit.h"

#include "base/path.h"
#include "resolve/apk.h"

static void test_repositories(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct repository own = {.kind = REPOSITORY_APK, .url = "file:///srv/apk/"};
    const struct repository apt = {.kind = REPOSITORY_APT, .url = "http://deb"};
    const struct package_repository recipe[] = {{.repository = &apt}, {.repository = &own}};
    struct apk_repositories r = {.architecture = apk_architecture("amd64")};
    assert_ok(apk_read_repositories(a,
                                    "#http://commented\n\n https://a.example/v3.19/main/\r\n"
                                    "@edge http://b.example/edge # x\n/media/cdrom/apks\nftp://c\n",
                                    recipe, 2, &r, &err));
    assert_int_equal(r.count, 3);
    assert_string_equal(r.items[0].url, "https://a.example/v3.19/main");
    assert_string_equal(r.items[0].index_url,
                        "https://a.example/v3.19/main/x86_64/APKINDEX.tar.gz");
    assert_null(r.items[0].tag);
    assert_string_equal(r.items[1].tag, "@edge");
    assert_string_equal(r.items[1].url, "http://b.example/edge");
    assert_string_equal(r.items[2].url, "file:///srv/apk");
    assert_ptr_equal(r.items[2].recipe, &recipe[1]);
    static const char *const bad[] = {"@edge\n", "@../x http://a\n", "http://a\"b\n",
                                      "http://a\x7f\x01\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apk_read_repositories(a, bad[i], NULL, 0, &r, &err), ERROR_INPUT,
                     "/etc/apk/repositories of the base");
    assert_int_equal(apk_repository_of(&r, "http://b.example/edge/x86_64/foo-1.apk"), 1);
    assert_int_equal(apk_repository_of(&r, "http://b.example/edge/x86_64/sub/foo-1.apk"), 3);
    assert_int_equal(apk_repository_of(&r, "http://b.example/edge/aarch64/foo-1.apk"), 3);
    assert_int_equal(apk_repository_of(&r, "http://b.example/edgex86_64/foo-1.apk"), 3);
}

static void test_keys(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_repositories r = {0};
    assert_ok(
        apk_add_key(a, &r, "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub", "k", 1, &err));
    assert_ok(
        apk_add_key(a, &r, "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub", "k", 1, &err));
    assert_int_equal(r.key_count, 1);
    assert_fails(
        apk_add_key(a, &r, "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub", "l", 1, &err),
        ERROR_TRUST, "two different keys");
    static const char *const bad[] = {"",    ".pub",    "../x.pub", "a/b.pub",
                                      "key", "a b.pub", "a\n.pub"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apk_add_key(a, &r, bad[i], "k", 1, &err), ERROR_INPUT,
                     "no name of an apk key");
}

static void test_index(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_index index;
    assert_ok(apk_parse_index(a, "", &index, &err));
    assert_int_equal(index.count, 0);
    assert_ok(apk_parse_index(a,
                              "C:Q1x=\nP:libnl3\nV:3.9.0-r1\nA:x86_64\nS:123\nI:9\nT:a: b\n\n\n"
                              "P:iw\nV:5.19-r1\nS:95442\n",
                              &index, &err));
    assert_int_equal(index.count, 2);
    assert_string_equal(index.entries[0].name, "libnl3");
    assert_string_equal(index.entries[0].architecture, "x86_64");
    assert_int_equal(index.entries[1].size, 95442);
    static const char *const bad[] = {
        "P:a\n\n",
        "V:1\n\n",
        "P:../a\nV:1\n",
        "P:a\nV:1/2\n",
        "P:-a\nV:1\n",
        "P:\nV:1\n",
        "nonsense\n",
        "P:a\nV:1\nS:-1\n",
        "P:a\nV:1\nS:1x\n",
        "P:a b\nV:1\n",
        "P:a\nV:1\nS:\n",
        "x",
        "P:a\nV:1\nS:99999999999999999999999\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apk_parse_index(a, bad[i], &index, &err), ERROR_INPUT,
                     "package index has a bad");
}

static void test_real_index(void **state)
{
    (void)state;
    const char *fixtures = getenv("INGOT_TEST_FIXTURES");
    if (!fixtures)
        skip();
    autoarena struct arena *a = arena_new();
    autofree char *path = path_join(fixtures, "alpine/apks/x86_64/APKINDEX.tar.gz");
    struct apk_index index;
    assert_ok(apk_read_index(a, path, &index, &err));
    assert_int_equal(index.count, 100);
    assert_fails(apk_read_index(a, "/dev/null", &index, &err), ERROR_INPUT,
                 "cannot read the package index");
}

static void test_simulation(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_index index;
    assert_ok(apk_parse_simulation(a,
                                   "(1/4) Installing libnl3 (3.9.0-r1)\n"
                                   "( 2/4) Upgrading busybox (1.36.1-r15 -> 1.36.1-r20)\n"
                                   "(3/4) Installing foo@edge (2-r0)\n"
                                   "(4/4) Updating pinning bar (1-r0)\n"
                                   "OK: 30 MiB in 70 packages\n",
                                   &index, &err));
    assert_int_equal(index.count, 3);
    assert_string_equal(index.entries[0].name, "libnl3");
    assert_string_equal(index.entries[0].version, "3.9.0-r1");
    assert_string_equal(index.entries[1].version, "1.36.1-r20");
    assert_string_equal(index.entries[2].name, "foo");
    static const char *const taking[] = {"(1/1) Purging openssh (9-r0)\n",
                                         "(1/1) Downgrading openssh (9-r1 -> 9-r0)\n"};
    for (size_t i = 0; i < COUNT(taking); i++)
        assert_fails(apk_parse_simulation(a, taking[i], &index, &err), ERROR_INPUT,
                     "take away or downgrade openssh");
    static const char *const bad[] = {"(1/1) Juggling x (1)\n",      "(1/1) Installing x\n",
                                      "(1/1) Installing ../x (1)\n", "(1/1) Installing x (1/2)\n",
                                      "(1/1) Installing  (1)\n",     "(1/1) Installing )x( \n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apk_parse_simulation(a, bad[i], &index, &err), ERROR_GUEST, "apk ");
}

static void test_trust(void **state)
{
    (void)state;
    assert_ok(apk_check_trust("(1/1) Installing x (1)\nOK: 1 MiB\nWARNING: x is old\n", &err));
    static const char *const bad[] = {
        "WARNING: Ignoring /.ingot-packages/0: UNTRUSTED signature\nOK: 1 MiB in 2 packages\n",
        "ok\nWARNING: opening /.ingot-packages/0: BAD signature\n",
        "WARNING: Ignoring /x/APKINDEX.tar.gz: No such file or directory\n",
        "ERROR: foo-1: UNTRUSTED signature\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(apk_check_trust(bad[i], &err), ERROR_TRUST, "does not trust");
}

static void test_locate(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_repository items[] = {{.url = "http://a", .index_url = "http://a/i", .digest = "d"},
                                     {.url = "http://b", .index_url = "http://b/i", .digest = "e"}};
    struct apk_repositories r = {.architecture = "aarch64", .items = items, .count = 2};
    struct apk_entry first[] = {{"x", "1", "", 10, "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0="}},
                     second[] = {{"x", "1", "", 11, NULL}, {"a", "2", "", 12, "Q2x"}};
    struct apk_index indexes[] = {{first, 1}, {second, 2}};
    struct apk_entry wishes[] = {{"x", "1", NULL, 0, NULL}, {"a", "2", NULL, 0, NULL}};
    struct apk_index changes = {wishes, 2};
    const char *const wanted[] = {"x=1", NULL};
    const struct resolution *out = NULL;
    assert_ok(apk_locate(a, &r, indexes, &changes, wanted, &out, &err));
    assert_int_equal(out->count, 2);
    assert_string_equal(out->packages[0].url, "http://b/aarch64/a-2.apk");
    assert_true(out->packages[0].automatic);
    assert_string_equal(out->packages[1].url, "http://a/aarch64/x-1.apk");
    assert_int_equal(out->packages[1].size, 10);
    assert_false(out->packages[1].automatic);
    assert_null(out->packages[0].digest);
    assert_null(out->packages[0].apk_checksum); /* not one that can be compared */
    assert_string_equal(out->packages[1].apk_checksum, "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0=");
    assert_int_equal(out->index_count, 2);
    wishes[1].version = "3";
    assert_fails(apk_locate(a, &r, indexes, &changes, wanted, &out, &err), ERROR_GUEST,
                 "in no package index");
}

static void test_put_locked(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_repository items[] = {
        {.url = "http://a", .index_url = "http://a/i", .index = "/new/a", .digest = "a2"},
        {.url = "http://b", .index_url = "http://b/i", .index = "/new/b", .digest = "b1"},
        {.url = "http://c", .index_url = "http://c/i"}, /* was not fetched: a locked build */
        {.url = "http://d", .index_url = "http://d/i"}};
    const struct index_pin pins[] = {{.url = "http://a/i", .digest = "a1", .path = "/old/a"},
                                     {.url = "http://b/i", .digest = "b1", .path = "/old/b"},
                                     {.url = "http://c/i", .digest = "c1", .path = "/old/c"},
                                     {.url = "http://x/i", .digest = "x1", .path = "/old/x"}};
    const struct resolution locked = {.indexes = pins, .index_count = COUNT(pins)};
    static const char *const expected[] = {"/old/a", "/old/c", "/new/a", "/new/b"};
    struct apk_repositories r = {.architecture = "x86_64", .items = items, .count = 4};
    apk_put_locked(a, &r, &locked);
    assert_int_equal(r.count, COUNT(expected));
    for (size_t i = 0; i < r.count; i++)
        assert_string_equal(r.items[i].index, expected[i]);
    assert_string_equal(r.items[0].url, "http://a");
    assert_string_equal(r.items[0].digest, "a1");
}

/* An index in two editions: what is still listed comes from the present one. */
static void test_locate_locked(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apk_repository items[] = {
        {.url = "http://a", .index_url = "http://a/i", .digest = "old"},
        {.url = "http://a", .index_url = "http://a/i", .digest = "new"}};
    struct apk_repositories r = {.architecture = "x86_64", .items = items, .count = 2};
    struct apk_entry before[] = {{"x", "1", "", 10, NULL}, {"y", "1", "", 20, NULL}},
                     now[] = {{"x", "2", "", 11, NULL}, {"y", "1", "", 20, NULL}};
    struct apk_index indexes[] = {{before, 2}, {now, 2}};
    struct apk_entry wishes[] = {{"y", "1", NULL, 0, NULL}, {"x", "1", NULL, 0, NULL}};
    struct apk_index changes = {wishes, 1};
    const char *const wanted[] = {"x", "y", NULL};
    const struct resolution *out = NULL;
    assert_ok(apk_locate(a, &r, indexes, &changes, wanted, &out, &err));
    assert_int_equal(out->index_count, 1);
    assert_string_equal(out->indexes[0].digest, "new");
    changes.count = 2;
    assert_ok(apk_locate(a, &r, indexes, &changes, wanted, &out, &err));
    assert_int_equal(out->index_count, 2);
    assert_string_equal(out->indexes[0].digest, "old");
    assert_string_equal(out->packages[0].version, "1");
}

static void test_wishes(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct package packages[] = {{.name = "dep", .version = "3-r0"},
                                       {.name = "had", .version = "4-r0"},
                                       {.name = "tagged", .version = "2-r0"},
                                       {.name = "tool", .version = "1-r0"}};
    const struct resolution pins = {.packages = packages, .count = COUNT(packages)};
    const char *const wanted[] = {"tool>=1", "tagged@edge", "other", "tool-extra", NULL};
    static const char *const expected[] = {"other",    "tool-extra",       "dep=3-r0",
                                           "had=4-r0", "tagged@edge=2-r0", "tool=1-r0"};
    const char *const *wishes = apk_wishes(a, wanted, &pins);
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(wishes[i], expected[i]);
    assert_null(wishes[COUNT(expected)]);
    wishes = apk_wishes(a, wanted, NULL);
    for (size_t i = 0; wanted[i]; i++)
        assert_string_equal(wishes[i], wanted[i]);
    assert_string_equal(
        apk_world(a, "alpine-base\nhad>3\nhadoop\n",
                  "alpine-base\ndep=3-r0\nhad=4-r0\nhadoop\nother\ntagged@edge=2-r0\n"
                  "tool-extra\ntool=1-r0\n",
                  wanted, &pins),
        "alpine-base\nhad>3\nhadoop\nother\ntagged@edge\ntool-extra\ntool>=1\n");
    assert_string_equal(apk_world(a, "", "", wanted, &pins), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repositories),  cmocka_unit_test(test_keys),
        cmocka_unit_test(test_index),         cmocka_unit_test(test_real_index),
        cmocka_unit_test(test_simulation),    cmocka_unit_test(test_trust),
        cmocka_unit_test(test_locate),        cmocka_unit_test(test_put_locked),
        cmocka_unit_test(test_locate_locked), cmocka_unit_test(test_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
