#include "unit.h"

#include "bake/apt_sources.h"
#include "base/path.h"

static const char keyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";

static const char debian[] = "# the distribution\n"
                             "Types: deb deb-src\n"
                             "URIs: http://debian.example/debian\n"
                             "# a comment between fields\n"
                             "Suites: bookworm\n"
                             "  bookworm-updates\n"
                             "Components: main contrib\n"
                             "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
                             "\n\n"
                             "types: deb\r\n"
                             "uris: http://security.debian.example/debian-security\r\n"
                             "suites: bookworm-security\r\n"
                             "components: main\r\n"
                             "Unknown-Field: x\r\n"
                             " more of it\r\n";

static struct apt_selection bookworm(const char *lists)
{
    return (struct apt_selection){
        .suite = "bookworm", .architecture = "amd64", .keyring = keyring, .lists = lists};
}

static void test_deb822(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apt_sources s = {0};
    assert_ok(apt_sources_parse(a, debian, "x.sources", true, &s, &err));
    assert_int_equal(s.count, 3);
    assert_string_equal(s.items[0].uri, "http://debian.example/debian");
    assert_string_equal(s.items[0].suite, "bookworm");
    assert_string_equal(s.items[0].components, "main contrib");
    assert_string_equal(s.items[0].signed_by, keyring);
    assert_int_equal(s.items[0].place.line, 2);
    assert_string_equal(s.items[1].suite, "bookworm-updates");
    assert_string_equal(s.items[2].uri, "http://security.debian.example/debian-security");
    assert_string_equal(s.items[2].suite, "bookworm-security");
    assert_null(s.items[2].signed_by);
    assert_false(s.items[2].unsafe);
}

static void test_deb822_left_out(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apt_sources s = {0};
    assert_ok(apt_sources_parse(a,
                                "Enabled: no\nTypes: deb\nURIs: http://a/\nSuites: x\n\n"
                                "Types: deb-src\nURIs: http://a/\nSuites: x\n",
                                "x", true, &s, &err));
    assert_int_equal(s.count, 0);
    assert_ok(apt_sources_parse(
        a, "Types: deb\nURIs: http://a/\nSuites: x\nTrusted: yes\nArchitectures: amd64,arm64\n",
        "x", true, &s, &err));
    assert_int_equal(s.count, 1);
    assert_true(s.items[0].unsafe);
    assert_string_equal(s.items[0].architectures, "amd64 arm64");
}

static void test_deb822_key(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apt_sources s = {0}, again = {0};
    assert_ok(apt_sources_parse(a,
                                "Types: deb\nURIs: http://a/\nSuites: x\nComponents: main\n"
                                "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n"
                                " mQ==\n -----END PGP PUBLIC KEY BLOCK-----\n",
                                "x", true, &s, &err));
    assert_null(s.items[0].signed_by);
    assert_non_null(strstr(s.items[0].key, "\n .\n mQ==\n"));
    /* What is written reads as what it was. */
    assert_ok(apt_sources_parse(a, apt_sources_deb822(a, &s), "y", true, &again, &err));
    assert_int_equal(again.count, 1);
    assert_string_equal(again.items[0].key, s.items[0].key);
}

static void test_lines(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apt_sources s = {0};
    assert_ok(apt_sources_parse(
        a,
        "# comment\n\n"
        "deb http://debian.example/debian bookworm main contrib # trailing\n"
        "deb-src http://debian.example/debian bookworm main\n"
        "deb [arch=amd64,i386 signed-by=/k.gpg] https://m.example/debian  bookworm\tmain\r\n"
        "  deb [ trusted=yes ] http://m.example/ x/\n"
        "deb [lang=en arch+=armhf] http://m.example/ y main",
        "sources.list", false, &s, &err));
    assert_int_equal(s.count, 4);
    assert_string_equal(s.items[0].components, "main contrib");
    assert_int_equal(s.items[0].place.line, 3);
    assert_string_equal(s.items[1].signed_by, "/k.gpg");
    assert_string_equal(s.items[1].architectures, "amd64 i386");
    assert_string_equal(s.items[1].components, "main");
    assert_true(s.items[2].unsafe);
    assert_string_equal(s.items[2].suite, "x/");
    assert_null(s.items[3].architectures);
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        bool lines;
        const char *text, *said;
    } cases[] = {
        {true, "deb\n", "x:1:1: an apt source needs a URI and a suite"},
        {true, "\ndeb http://a bookworm\n", "x:2:1: the apt source names no component"},
        {true, "deb [arch=amd64 http://a b main\n", "no closing bracket"},
        {true, "rpm http://a b main\n", "\"rpm\" is no type of apt source"},
        {true, "deb http://a\001 b main\n", "control characters"},
        {false, "URIs: http://a\nSuites: b\n", "x:1:1: the apt source has no Types"},
        {false, "Types: deb\nSuites: b\n", "has no URIs"},
        {false, "Types: deb\nURIs: \nSuites: b\n", "has no URIs"},
        {false, "Types: deb\ntypes: deb\n", "x:2:1: Types stands twice"},
        {false, " continued\n", "x:1:1: a continuation line without a field"},
        {false, "Types: deb\nnonsense\n", "x:2:1: neither a field nor a comment"},
        {false, ": x\n", "neither a field nor a comment"},
        {false, "Types: \033[0m\n", "control characters"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autoarena struct arena *a = arena_new();
        struct apt_sources s = {0};
        assert_fails(apt_sources_parse(a, cases[i].text, "x", !cases[i].lines, &s, &err),
                     ERROR_HOST, cases[i].said);
    }
}

static void test_select(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autotempdir char *dir = unit_temp_dir();
    struct apt_sources all = {0}, used = {0};
    const char *lines =
        "deb [arch=amd64] https://download.example/linux/debian bookworm stable\n"
        "deb [signed-by=/k.gpg] https://third.example/debian bookworm main\n"
        "deb [trusted=yes] http://untrusted.example/debian bookworm main\n"
        "deb http://user:secret@mirror.example/debian bookworm main\n"
        "deb [arch=arm64] http://ports.example/debian bookworm main\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb ftp://ftp.example/debian bookworm main\n"
        "deb [signed-by=/own.gpg] http://resigned.example:8080/debian/ bookworm main\n"
        "deb http://debian.example/debian trixie main\n"
        "deb http://debian.example/debian bookworm main contrib\n";
    /* `cdrom:[Debian]` is how apt writes a disk: the bracket is not at the place of the options. */
    assert_ok(apt_sources_parse(a, lines, "l", false, &all, &err));
    assert_ok(apt_sources_parse(a, debian, "d", true, &all, &err));
    autofree char *index = path_join(dir, "resigned.example:8080_debian_dists_bookworm_InRelease");
    const char *said = "-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: Debian\nSuite: x\n";
    assert_ok(file_write(index, said, strlen(said), 0644, &err));
    const struct apt_selection selection = bookworm(dir);
    apt_sources_select(a, &all, &selection, &used);
    assert_string_equal(
        apt_sources_deb822(a, &used),
        "Types: deb\nURIs: http://resigned.example:8080/debian/\nSuites: bookworm\n"
        "Components: main\nSigned-By: /own.gpg\n\n"
        "Types: deb\nURIs: http://debian.example/debian\nSuites: bookworm\n"
        "Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://debian.example/debian\nSuites: bookworm-updates\n"
        "Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://security.debian.example/debian-security\n"
        "Suites: bookworm-security\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n");
}

static void test_select_none(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct apt_sources all = {0}, used = {0};
    const char *lines =
        "deb http://security.debian.example/debian-security bookworm-security main\n"
        "deb http://ubuntu.example/ubuntu noble main\n";
    assert_ok(apt_sources_parse(a, lines, "l", false, &all, &err));
    const struct apt_selection selection = bookworm("/nonexistent");
    apt_sources_select(a, &all, &selection, &used);
    assert_int_equal(used.count, 0); /* security updates alone are no suite */
}

static void test_read(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autotempdir char *etc = unit_temp_dir();
    struct apt_sources all = {0};
    assert_ok(apt_sources_read(a, etc, &all, &err));
    assert_int_equal(all.count, 0);
    static const struct {
        const char *name, *text;
    } files[] = {
        {"sources.list", "deb http://first/ s main\n"},
        {"sources.list.d/b.list", "deb http://third/ s main\n"},
        {"sources.list.d/a.sources", "Types: deb\nURIs: http://second/\nSuites: s\n"},
        {"sources.list.d/c.list.disabled", "nonsense\n"},
        {"sources.list.d/d e.list", "nonsense\n"},
        {"sources.list.d/.f.list", "nonsense\n"},
    };
    autofree char *folder = path_join(etc, "sources.list.d");
    assert_ok(file_make_dirs(folder, 0755, &err));
    for (size_t i = 0; i < COUNT(files); i++) {
        autofree char *path = path_join(etc, files[i].name);
        assert_ok(file_write(path, files[i].text, strlen(files[i].text), 0644, &err));
    }
    assert_ok(apt_sources_read(a, etc, &all, &err));
    assert_int_equal(all.count, 3);
    assert_string_equal(all.items[0].uri, "http://first/");
    assert_string_equal(all.items[1].uri, "http://second/");
    assert_string_equal(all.items[2].uri, "http://third/");
    autofree char *bad = path_join(folder, "a.list");
    assert_ok(file_write(bad, "deb http://a/ s\0 main\n", 22, 0644, &err));
    assert_fails(apt_sources_read(a, etc, &all, &err), ERROR_HOST, "NUL");
}

static void test_uri(void **state)
{
    (void)state;
    static const char *const good[] = {"http://a/",   "https://a.b:8080/c~d/%20",
                                       "file:/srv/m", "file:///srv/m",
                                       "copy:/x",     "http://[::1"};
    static const char *const bad[] = {"",
                                      "ftp://a",
                                      "http://a b",
                                      "http://a\n",
                                      "http://u@a/",
                                      "https://u:p@a/x",
                                      "http://a'",
                                      "http://a\"",
                                      "http://a\\",
                                      "mirror+file:/x",
                                      "http://\xc3\xa9/"};
    for (size_t i = 0; i + 1 < COUNT(good); i++)
        assert_null(apt_uri_refused(good[i]));
    assert_non_null(apt_uri_refused(good[COUNT(good) - 1]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_non_null(apt_uri_refused(bad[i]));
    assert_null(apt_uri_refused("http://a/b@c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deb822),      cmocka_unit_test(test_deb822_left_out),
        cmocka_unit_test(test_deb822_key),  cmocka_unit_test(test_lines),
        cmocka_unit_test(test_hostile),     cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_none), cmocka_unit_test(test_read),
        cmocka_unit_test(test_uri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
