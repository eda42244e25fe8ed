#include "unit.h"

#include "base/log.h"
#include "base/path.h"
#include "resolve/guest_sources.h"

/* Parses and writes out again; the caller frees. */
static char *through(const char *text, bool deb822, const char *root)
{
    autoarena struct arena *a = arena_new();
    struct guest_sources s = {.arena = a};
    struct buffer out = {0};
    assert_ok(guest_sources_parse(&s, "test", text, deb822, root, &err));
    guest_sources_write(&s, root, &out);
    return buffer_take(&out);
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        bool deb822;
        const char *in, *out;
    } cases[] = {
        {false, "", ""},
        {false, "# deb http://a/ x main\n\n  deb-src http://a/ x main\n", ""},
        {false, "deb http://a/d bookworm main contrib # comment\n",
         "Types: deb\nURIs: http://a/d\nSuites: bookworm\nComponents: main contrib\n\n"},
        {false, "deb [arch=amd64,arm64 trusted=yes signed-by=/etc/k.gpg,/etc/l.gpg]\thttps://a/ x/",
         "Types: deb\nURIs: https://a/\nSuites: x/\nArchitectures: amd64 arm64\n"
         "Signed-By: ROOT/etc/k.gpg ROOT/etc/l.gpg\n\n"},
        {false, "deb cdrom:[Debian]/ x main\ndeb file:/etc x main\ndeb copy:/x y z\n", ""},
        {true, "", ""},
        {true, "Types: deb-src\nURIs: http://a\nSuites: x\n", ""},
        {true, "Enabled: no\nTypes: deb\nURIs: http://a\nSuites: x\n", ""},
        {true,
         "# one\nTypes: deb deb-src\nURIs: http://a http://b\nSuites: x x-updates\n"
         "Components: main\nSigned-By: /usr/share/keyrings/k.gpg\nTrusted: yes\n"
         "Check-Valid-Until: no\nAllow-Insecure: yes\n\n\n"
         "types: deb\r\nuris: file:/etc\r\nsuites: x\r\n",
         "Types: deb\nURIs: http://a http://b\nSuites: x x-updates\nComponents: main\n"
         "Signed-By: ROOT/usr/share/keyrings/k.gpg\n\n"},
        {true,
         "Types: deb\nURIs:\n http://a\n# in between\n\thttp://b\nSuites: x\nComponents: main\n",
         "Types: deb\nURIs: http://a http://b\nSuites: x\nComponents: main\n\n"},
        {true,
         "Types: deb\nURIs: http://a\nSuites: x\nSigned-By:\n -----BEGIN PGP PUBLIC KEY "
         "BLOCK-----\n"
         " .\n mQENB\n -----END PGP PUBLIC KEY BLOCK-----\nComponents: main\n",
         "Types: deb\nURIs: http://a\nSuites: x\nComponents: main\nSigned-By:\n"
         " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQENB\n"
         " -----END PGP PUBLIC KEY BLOCK-----\n\n"},
        {true,
         "Types: deb\nURIs: http://a\nSuites: x\n"
         "Signed-By: 0123456789ABCDEF0123456789ABCDEF01234567\n",
         "Types: deb\nURIs: http://a\nSuites: x\n"
         "Signed-By: 0123456789ABCDEF0123456789ABCDEF01234567\n\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autofree char *out = through(cases[i].in, cases[i].deb822, "ROOT");
        assert_string_equal(out, cases[i].out);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        bool deb822;
        const char *in, *why;
    } cases[] = {
        {false, "rpm http://a x main", "is no type of apt source"},
        {false, "debian http://a x main", "is no type of apt source"},
        {false, "deb [arch=amd64 http://a x main", "no closing bracket"},
        {false, "deb [arch] http://a x main", "without a value"},
        {false, "deb http://a", "needs a URI and a suite"},
        {false, "deb", "needs a URI and a suite"},
        {false, "deb [signed-by=../../etc/shadow] http://a x main", "neither a path"},
        {false, "deb [signed-by=/etc/../../shadow] http://a x main", "neither a path"},
        {false, "deb mirror+file:/../list x main", "no path of a mirror list"},
        {false, "deb mirror+file:/absent x main", "names a mirror list"},
        {false, "deb http://a\x01 x main", "control characters"},
        {true, " http://a\n", "continuation line without a field"},
        {true, "Types\n", "neither a field"},
        {true, "URIs: http://a\nSuites: x\n", "has no Types"},
        {true, "Types: deb\nSuites: x\n", "has no URIs"},
        {true, "Types: deb\nURIs: http://a\nSuites: x\nSigned-By: key.gpg\n", "neither a path"},
        {true, "Types: deb\nURIs: http://a\nSuites: x\nSigned-By: /a /b/../c\n", "neither a path"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autoarena struct arena *a = arena_new();
        struct guest_sources s = {.arena = a};
        assert_fails(
            guest_sources_parse(&s, "test", cases[i].in, cases[i].deb822, "/nonexistent", &err),
            ERROR_INPUT, cases[i].why);
    }
}

/* Debian's cloud images have mirror lists. */
static void test_mirrors(void **state)
{
    (void)state;
    autotempdir char *root = unit_temp_dir();
    autofree char *folder = path_join(root, "etc/apt/mirrors"), *list = path_join(folder, "debian");
    static const char mirrors[] = "# a comment\nftp://no\n https://deb.example/debian\tpriority:1\n"
                                  "https://other.example\n";
    assert_ok(file_make_dirs(folder, 0755, &err));
    assert_ok(file_write(list, mirrors, sizeof mirrors - 1, 0644, &err));
    autofree char *out = through("Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian\n"
                                 "Suites: x\nComponents: main\n",
                                 true, root);
    assert_string_equal(out, "Types: deb\nURIs: https://deb.example/debian\nSuites: x\n"
                             "Components: main\n\n");
    assert_ok(file_write(list, "ftp://no\n", 9, 0644, &err));
    autoarena struct arena *a = arena_new();
    struct guest_sources s = {.arena = a};
    assert_fails(guest_sources_parse(&s, "test", "deb mirror+file:/etc/apt/mirrors/debian x main",
                                     false, root, &err),
                 ERROR_INPUT, "no http address");
}

/* Any cut of a good text is taken or refused, and nothing worse (run with sanitizers). */
static void test_cuts(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    static const char text[] =
        "Types: deb\nURIs: http://a\n b\n# c\n http://c\nSuites: x\nSigned-By:\n "
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n\ndeb [arch=x signed-by=/k] http://a x "
        "main\n";
    for (size_t n = 0; n < sizeof text; n++)
        for (int deb822 = 0; deb822 < 2; deb822++) {
            autoarena struct arena *a = arena_new();
            autofree char *cut = strndup(text, n);
            struct guest_sources s = {.arena = a};
            autoerror struct error *err = NULL;
            bool ok = guest_sources_parse(&s, "cut", cut, deb822, "", &err);
            assert_int_equal(ok, err == NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_mirrors),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
