#include "unit.h"

#include "source/url.h"

static void passwords_are_starred(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"https://u:hunter2@h/x", "https://u:***@h/x"},
        {"https://u:hun@ter2@h/x", "https://u:***@h/x"},
        {"https://u@h/x", "https://***@h/x"},
        {"https://h/x?token=abc&sig=d/e=f&raw#part", "https://h/x?token=***&sig=***&raw"},
        {"https://u:p@h?X-Amz-Signature=abc", "https://u:***@h?X-Amz-Signature=***"},
        {"https://h/x?", "https://h/x?"},
        {"https://h/x?&=1", "https://h/x?&=***"},
        {"/a?b=c", "/a?b=c"},
        {"https://h:443/x:y@z", "https://h:443/x:y@z"},
        {"https://h", "https://h"},
        {"/a:b@c", "/a:b@c"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        autofree char *s = url_redact(pairs[i][0]);
        assert_string_equal(s, pairs[i][1]);
    }
}

static void basenames(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"https://h/a/k3s", "k3s"},
        {"https://h/v1.33.1%2Bk3s1/k3s", "k3s"},
        {"https://h/a%2Bb.tar", "a+b.tar"},
        {"https://h/a?x=/y", "a"},
        {"https://h/a#/y", "a"},
        {"/x/a?b", "a?b"},
        {"/x/a%2Bb", "a%2Bb"},
        {"file:///x/a%20b", "a b"},
        {"https://h/", NULL},
        {"https://h", NULL},
        {"https://h/?a", NULL},
        {"https://h/a%2", NULL},
        {"https://h/a%zz", NULL},
        {"https://h/a%2fb", NULL},
        {"https://h/a%00", NULL},
        {"https://h/..", NULL},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        autofree char *s = url_basename(pairs[i][0]);
        if (!pairs[i][1])
            assert_null(s);
        else
            assert_string_equal(s ? s : "(none)", pairs[i][1]);
    }
}

static void local_paths(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"/a/b", "/a/b"},    {"file:///a/b", "/a/b"},
        {"file:/a", "/a"},   {"file://localhost/a%20b", "/a b"},
        {"FILE:///a", "/a"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        autofree char *path = NULL;
        assert_ok(url_local_path(good[i][0], &path, &err));
        assert_string_equal(path, good[i][1]);
    }
    static const char *const bad[] = {"a/b",           "",           "file://host/a", "file:a",
                                      "ftp://host/a",  "file:///a%", "https://h/a",   "file:////a",
                                      "file:///a%0ab", "scp:x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        autofree char *path = NULL;
        assert_fails(url_local_path(bad[i], &path, &err), ERROR_INPUT, "not something to fetch");
    }
    assert_true(url_is_http("HTTPS://h"));
    assert_true(url_is_http("http://h"));
    assert_false(url_is_http("httpsx://h"));
    assert_false(url_is_http("/http://"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_starred),
        cmocka_unit_test(basenames),
        cmocka_unit_test(local_paths),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
