#include "unit.h"

#include "source/mirror.h"

#define SHA "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"

/* What becomes of a URL, with blanks between. */
static const char *rewrite(struct arena *a, const char *mirrors, const char *url, const char *sha)
{
    struct mirrors m = {0};
    assert_ok(mirrors_parse(a, mirrors, "test", &m, &err));
    const char *all = NULL;
    for (const char *const *c = mirrors_candidates(a, &m, url, sha); *c; c++)
        all = all ? arena_printf(a, "%s %s", all, *c) : *c;
    return all;
}

static void urls_are_rewritten(void **state)
{
    (void)state;
    static const struct {
        const char *mirrors, *url, *sha, *wanted;
    } cases[] = {
        {"", "https://h/x", NULL, "https://h/x"},
        {"https://h=https://m", "https://h/x/y", NULL, "https://m/x/y https://h/x/y"},
        {"https://h=https://m/h", "https://h", NULL, "https://m/h https://h"},
        {"https://h/=https://m/", "https://h/x", NULL, "https://m/x https://h/x"},
        {"https://h/=https://m", "https://h/x", NULL, "https://m/x https://h/x"},
        {"https://h=https://m/", "https://h/x", NULL, "https://m/x https://h/x"},
        /* Only at a slash. */
        {"https://h=https://m", "https://h.example/x", NULL, "https://h.example/x"},
        {"https://h=https://m", "https://h:8443/x", NULL, "https://h:8443/x"},
        {"https://h/a=https://m", "https://h/ab", NULL, "https://h/ab"},
        {"https://h/a=https://m", "https://h/a?b", NULL, "https://m?b https://h/a?b"},
        /* Hosts have no case, paths have. */
        {"https://Host.example/a=https://m", "HTTPS://hOST.example/a/b", NULL,
         "https://m/b HTTPS://hOST.example/a/b"},
        {"https://h/A=https://m", "https://h/a/b", NULL, "https://h/a/b"},
        /* Longer ones first, equal ones in order, each once. */
        {"https://h=https://m1 https://h/a=https://m2 https://h=https://m3", "https://h/a/b", NULL,
         "https://m2/b https://m1/a/b https://m3/a/b https://h/a/b"},
        {"https://h=https://m https://h=https://m https://h=https://h", "https://h/a", NULL,
         "https://m/a https://h/a"},
        /* Only mirrors. */
        {"https://h=!https://m", "https://h/a", NULL, "https://m/a"},
        {"https://h=https://m1\thttps://h=!https://m2\nhttps://h=https://m3", "https://h/a", NULL,
         "https://m1/a https://m2/a"},
        /* Files; their rest stays percent-encoded, and has no query. */
        {"https://h=/srv/m", "https://h/a%20b?x=1", NULL,
         "file:///srv/m/a%20b https://h/a%20b?x=1"},
        {"https://h=/srv/100%", "https://h/a", NULL, "file:///srv/100%25/a https://h/a"},
        {"https://h=file:///srv/m/", "https://h/a#b", NULL, "file:///srv/m/a https://h/a#b"},
        /* By digest, last of the mirrors. */
        {"sha256:=https://m/blobs https://h=https://m", "https://h/a", SHA,
         "https://m/a https://m/blobs/" SHA " https://h/a"},
        {"sha256:=!/srv/blobs/sha256", "https://h/a", SHA, "file:///srv/blobs/sha256/" SHA},
        {"sha256:=!/srv/blobs/sha256", "https://h/a", NULL, "https://h/a"},
        /* A URL with a = of its own. */
        {"https://h/a=b=https://m/c=d", "https://h/a=b/e", NULL, "https://m/c=d/e https://h/a=b/e"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autoarena struct arena *a = arena_new();
        assert_string_equal(rewrite(a, cases[i].mirrors, cases[i].url, cases[i].sha),
                            cases[i].wanted);
    }
}

static void bad_ones_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"https://h", "is not PREFIX=REPLACEMENT"},
        {"https://h=", "is not PREFIX=REPLACEMENT"},
        {"https://h=m.example", "is not PREFIX=REPLACEMENT"},
        {"https://h=ftp://m", "is not PREFIX=REPLACEMENT"},
        {"https://h=http//u:secret@m", "'https://h=…' is not PREFIX=REPLACEMENT"},
        {"=https://m", "is no prefix of http and https URLs"},
        {"h.example=https://m", "is no prefix of http and https URLs"},
        {"file:///a=https://m", "is no prefix of http and https URLs"},
        {"https://=https://m", "is no prefix of http and https URLs"},
        {"https:///a=https://m", "is no prefix of http and https URLs"},
        {"sha512:=https://m", "is no prefix of http and https URLs"},
        {"https://h=https://", "cannot replace anything"},
        {"https://h=!file://elsewhere/a", "cannot replace anything"},
        {"https://h?a=https://m", "neither may have a query"},
        {"https://h=https://m?a", "neither may have a query"},
        {"https://h=https://m https://u:hunter2@h", "https://u:***@h"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        autoarena struct arena *a = arena_new();
        struct mirrors m = {0};
        assert_fails(mirrors_parse(a, bad[i].text, "--mirror", &m, &err), ERROR_USAGE, bad[i].part);
        assert_fails(mirrors_parse(a, bad[i].text, "--mirror", &m, &err), ERROR_USAGE, "--mirror");
    }
}

static void texts_are_added(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    struct mirrors m = {0};
    assert_ok(mirrors_parse(a, " https://h=https://m1 ", "first", &m, &err));
    assert_ok(mirrors_parse(a, "", "nothing", &m, &err));
    assert_ok(mirrors_parse(a, "https://h=!https://m2", "second", &m, &err));
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].replacement, "https://m1");
    assert_false(m.items[0].only);
    assert_string_equal(m.items[1].replacement, "https://m2");
    assert_true(m.items[1].only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_rewritten),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(texts_are_added),
    };
    return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
