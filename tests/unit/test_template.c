#include "unit.h"

#include "plan/template.h"

static const struct template_value values[] = {
    {"name", "demo"}, {"version", "v1.2.3"}, {"api.port", "6443"}, {"empty", ""}};

static bool fill(const char *text, size_t size, struct buffer *out, struct error **err)
{
    return template_fill(values, COUNT(values), "x.in", text, size, out, err);
}

static void good_templates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *filled;
    } good[] = {
        {"", ""},
        {"plain\n", "plain\n"},
        {"a@{name}b@{version}", "ademobv1.2.3"},
        {"@{name}@{name}\n@{api.port}\n", "demodemo\n6443\n"},
        {"[@{empty}]", "[]"},
        {"${name} $@ foo@bar.service @ @@ {name}", "${name} $@ foo@bar.service @ @@ {name}"},
        {"@@{name}", "@{name}"},
        {"@@@{name}", "@@{name}"},
        {"@", "@"},
        {"user@@{name}", "user@{name}"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        autobuffer struct buffer b = {0};
        assert_ok(fill(good[i].text, strlen(good[i].text), &b, &err));
        assert_string_equal(b.data ? b.data : "", good[i].filled);
    }
}

static void bad_templates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        unsigned line, column;
    } bad[] = {
        {"@{nam}", "did you mean @{name}?", 1, 1},
        {"\n\n  @{zzzzzzzz}", "@{zzzzzzzz}: there is no such value", 3, 3},
        {"a\nb@{name\n}", "no } ends it", 2, 2},
        {"@{", "no } ends it", 1, 1},
        {"@{}", "no } ends it", 1, 1},
        {"@{na me}", "no } ends it", 1, 1},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        autobuffer struct buffer b = {0};
        autoerror struct error *err = NULL;
        assert_false(fill(bad[i].text, strlen(bad[i].text), &b, &err));
        assert_non_null(strstr(error_text(err), bad[i].part));
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_string_equal(error_place(err).file, "x.in");
        assert_int_equal(error_place(err).line, bad[i].line);
        assert_int_equal(error_place(err).column, bad[i].column);
    }
    autobuffer struct buffer b = {0};
    assert_fails(fill("a\0b", 3, &b, &err), ERROR_INPUT, "NUL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_templates),
        cmocka_unit_test(bad_templates),
    };
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
