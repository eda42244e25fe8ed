#include "unit.h"

#include "resolve/snapshot.h"

#define DEBIAN "https://snapshot.debian.org/archive/debian/@SNAPSHOTID@/"
#define SECURITY "https://snapshot.debian.org/archive/debian-security/@SNAPSHOTID@/"
#define UBUNTU "https://snapshot.ubuntu.com/ubuntu/@SNAPSHOTID@/"

static void test_template(void **state)
{
    (void)state;
    static const struct {
        const char *release, *expected;
    } cases[] = {
        {"Origin: Debian\nLabel: Debian\nSuite: stable\n", DEBIAN},
        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian\n",
         DEBIAN},
        {"Origin: Debian\nLabel: Debian-Security\n", SECURITY},
        {"Origin:  Ubuntu \r\nLabel: Ubuntu\r\n", UBUNTU},
        {"origin: Ubuntu", UBUNTU},
        {"Origin: Ubuntu\nSnapshots: https://s.example/@SNAPSHOTID@/u\n",
         "https://s.example/@SNAPSHOTID@/u/"},
        {"Origin: Debian\nLabel: Debian-Security\nSnapshots: https://s.example/@SNAPSHOTID@/\n",
         SECURITY},
        {"Origin: Other\nSnapshots: http://s.example/@SNAPSHOTID@/\n",
         "http://s.example/@SNAPSHOTID@/"},
        {"Origin: Debian\nSnapshots: no\n", NULL},
        {"Origin: Other\nSnapshots: https://s.example/\n", NULL},
        {"Origin: Other\nSnapshots: file:/@SNAPSHOTID@/\n", NULL},
        {"Origin: Other\nSnapshots: https://s.example/a b/@SNAPSHOTID@/\n", NULL},
        {"Origin: Debianlike\n", NULL},
        {"Description: Origin: Debian\n X-Origin: Debian\n", NULL},
        {"", NULL},
    };
    autoarena struct arena *a = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *made = snapshot_template(a, cases[i].release);
        if (cases[i].expected)
            assert_string_equal(made, cases[i].expected);
        else if (made)
            fail_msg("%s: %s", cases[i].release, made);
    }
}

static const struct index_pin indexes[] = {
    {.url = "http://m.example/debian/dists/x/main/binary-amd64/Packages",
     .archive = "http://m.example/debian/",
     .snapshot = DEBIAN},
    {.url = "http://m.example/debian-security/dists/x/main/binary-amd64/Packages",
     .archive = "http://m.example/debian-security/",
     .snapshot = SECURITY},
    {.url = "http://m.example/debian/own/Packages", .archive = "http://m.example/debian/own/"},
    {.url = "http://m.example/alpine/APKINDEX.tar.gz"},
};
static const struct resolution resolution = {.indexes = indexes, .index_count = COUNT(indexes)};

static void expect(const char *url, const char *stamp, const char *first, const char *second)
{
    autoarena struct arena *a = arena_new();
    const char *const *urls = snapshot_urls(a, &resolution, url, stamp);
    assert_int_equal(!urls, !first);
    if (!first)
        return;
    assert_string_equal(urls[0], first);
    assert_string_equal(urls[1], second);
    assert_null(urls[2]);
}

static void test_urls(void **state)
{
    (void)state;
    expect("http://m.example/debian/pool/main/x/x_1_all.deb", "20261121T143000Z",
           "https://snapshot.debian.org/archive/debian/20261121T143000Z/pool/main/x/x_1_all.deb",
           "https://snapshot.debian.org/archive/debian/20261122T143000Z/pool/main/x/x_1_all.deb");
    expect("http://m.example/debian-security/pool/updates/x%2b.deb", "20261231T000000Z",
           "https://snapshot.debian.org/archive/debian-security/20261231T000000Z/pool/updates/"
           "x%2b.deb",
           "https://snapshot.debian.org/archive/debian-security/20270101T000000Z/pool/updates/"
           "x%2b.deb");
    static const struct {
        const char *url, *stamp;
    } none[] = {
        {"http://m.example/debian/own/x.deb", "20261121T143000Z"}, /* has no service */
        {"http://m.example/alpine/x.apk", "20261121T143000Z"},
        {"http://other.example/debian/pool/x.deb", "20261121T143000Z"},
        {"http://m.example/debian", "20261121T143000Z"},
        {"http://m.example/debian/pool/x.deb", NULL},
        {"http://m.example/debian/pool/x.deb", ""},
        {"http://m.example/debian/pool/x.deb", "20261121"},
        {"http://m.example/debian/pool/x.deb", "20261121T143000Z/../x"},
        {"http://m.example/debian/pool/x.deb", "20261341T143000Z"},
        {"http://m.example/debian/pool/x.deb", "20260231T143000Z"},
    };
    for (size_t i = 0; i < COUNT(none); i++)
        expect(none[i].url, none[i].stamp, NULL, NULL);
}

static void test_stamp(void **state)
{
    (void)state;
    char stamp[SNAPSHOT_STAMP];
    snapshot_stamp(1795219200, stamp);
    assert_string_equal(stamp, "20261121T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_stamp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
