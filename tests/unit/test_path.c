#include "unit.h"

#include "base/path.h"
#include "base/text.h"

static void inside(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a/b", "a/..b", "...", ".a/b"};
    static const char *const bad[] = {"", "/a", "..", "../a", "a/..", "a/../b", "a\nb", "a\\b"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(path_stays_inside(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(path_stays_inside(bad[i]));
}

static void clean_absolute(void **state)
{
    (void)state;
    static const char *const good[] = {"/", "/a", "/a/b.c", "/...", "/.a"};
    static const char *const bad[] = {"", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a\x01"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(path_is_clean_absolute(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(path_is_clean_absolute(bad[i]));
}

static void plain_names(void **state)
{
    (void)state;
    assert_true(path_is_plain_name("kubesolo-1.4_x"));
    assert_false(path_is_plain_name(""));
    assert_false(path_is_plain_name(".x"));
    assert_false(path_is_plain_name("-x"));
    assert_false(path_is_plain_name("a/b"));
    assert_false(path_is_plain_name("a b"));
}

static void joins(void **state)
{
    (void)state;
    autofree char *a = path_join("/x", "y"), *b = path_join("/x", "/y"), *c = path_join("/", "y");
    assert_string_equal(a, "/x/y");
    assert_string_equal(b, "/y");
    assert_string_equal(c, "/y");
    autofree char *d = path_dirname("/x/y"), *e = path_dirname("/x"), *f = path_dirname("x");
    assert_string_equal(d, "/x");
    assert_string_equal(e, "/");
    assert_string_equal(f, ".");
}

static void near_misses(void **state)
{
    (void)state;
    static const char *const names[] = {"base", "boot", "distribution", "packages"};
    assert_string_equal(text_nearest("bse", names, COUNT(names)), "base");
    assert_string_equal(text_nearest("distrbution", names, COUNT(names)), "distribution");
    assert_string_equal(text_nearest("Packgaes", names, COUNT(names)), "packages");
    assert_null(text_nearest("zzz", names, COUNT(names)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside), cmocka_unit_test(clean_absolute), cmocka_unit_test(plain_names),
        cmocka_unit_test(joins),  cmocka_unit_test(near_misses),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
