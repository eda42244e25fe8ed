#include "resolve/resolution.h"
#include "unit.h"

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA512 SHA256 SHA256

static const struct package packages[] = {
    {"a", "1.0-1", "amd64", "http://x/a.deb", "a_1.0-1_amd64.deb", 5, DIGEST_SHA256, SHA256, true,
     NULL, false},
    {"b", "2:1.0", "all", "http://x/b.deb", "b_2%3a1.0_all.deb", 1ULL << 40, DIGEST_SHA512, SHA512,
     false, NULL, true},
    {"c", "1-r0", "x86_64", "http://x/c.apk", "c-1-r0.apk", 0, DIGEST_SHA256, NULL, false, "Q1",
     false},
};
#define SERVICE "https://snapshot.example/d/@SNAPSHOTID@/"
static const struct index_pin indexes[] = {{.url = "http://x/Packages",
                                            .digest = SHA256,
                                            .path = "/cache/i",
                                            .archive = "http://x/",
                                            .snapshot = SERVICE}};
static const struct resolution good = {packages, COUNT(packages), indexes, COUNT(indexes)};

static void test_round_trip(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autojson json_t *j = resolution_to_json(&good);
    const struct resolution *r = NULL;
    assert_ok(resolution_from_json(a, j, &r, &err));
    assert_int_equal(r->count, 3);
    for (size_t i = 0; i < r->count; i++) {
        assert_string_equal(r->packages[i].name, packages[i].name);
        assert_string_equal(r->packages[i].version, packages[i].version);
        assert_string_equal(r->packages[i].architecture, packages[i].architecture);
        assert_string_equal(r->packages[i].url, packages[i].url);
        assert_string_equal(r->packages[i].filename, packages[i].filename);
        assert_int_equal(r->packages[i].size, packages[i].size);
        assert_int_equal(r->packages[i].automatic, packages[i].automatic);
        assert_int_equal(r->packages[i].first_use, packages[i].first_use);
        assert_null(r->packages[i].apk_checksum); /* is for this time only */
    }
    assert_int_equal(r->packages[1].digest_kind, DIGEST_SHA512);
    assert_string_equal(r->packages[1].digest, SHA512);
    assert_null(r->packages[2].digest);
    assert_string_equal(r->indexes[0].path, "/cache/i");
    assert_string_equal(r->indexes[0].archive, "http://x/");
    assert_string_equal(r->indexes[0].snapshot, SERVICE);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *says;
    } bad[] = {
        {"name", "\"\"", "no 'name'"},
        {"url", "null", "no 'url'"},
        {"filename", "\"../a\"", "file name"},
        {"filename", "\"x/a\"", "file name"},
        {"size", "-1", "size"},
        {"sha256", "\"abc\"", "sha256"},
        {"automatic", "1", "automatic"},
        {"name", "\"zz\"", "sorted"},
    };
    autoarena struct arena *a = arena_new();
    const struct resolution *r = NULL;
    for (size_t i = 0; i < COUNT(bad); i++) {
        autojson json_t *j = resolution_to_json(&good);
        json_set(json_array_get(json_object_get(j, "packages"), 0), bad[i].key,
                 json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
        assert_fails(resolution_from_json(a, j, &r, &err), ERROR_INPUT, bad[i].says);
    }
    static const struct {
        const char *key, *value;
    } bad_pins[] = {
        {"sha256", "x"},
        {"archive", "http://x"},
        {"snapshot", "https://snapshot.example/d/"},
        {"snapshot", "/@SNAPSHOTID@/"},
        {"snapshot", "https://snapshot.example/@SNAPSHOTID@"},
    };
    for (size_t i = 0; i < COUNT(bad_pins); i++) {
        autojson json_t *j = resolution_to_json(&good);
        json_set(json_array_get(json_object_get(j, "indexes"), 0), bad_pins[i].key,
                 json_string(bad_pins[i].value));
        assert_fails(resolution_from_json(a, j, &r, &err), ERROR_INPUT, bad_pins[i].key);
    }
    autojson json_t *none = json_object();
    assert_fails(resolution_from_json(a, none, &r, &err), ERROR_INPUT, "not readable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
