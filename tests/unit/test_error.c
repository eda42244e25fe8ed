#include "unit.h"

#include <errno.h>

static bool inner(struct error **err)
{
    return error_set(err, ERROR_UNREACHABLE, "HTTP %d", 404);
}

static bool outer(struct error **err)
{
    return inner(err) || error_wrap(err, "cannot fetch %s", "x");
}

static void chain_reads_from_the_outside_in(void **state)
{
    (void)state;
    autoerror struct error *e = NULL;
    assert_false(outer(&e));
    assert_string_equal(error_text(e), "cannot fetch x: HTTP 404");
    assert_string_equal(error_link(e, 0), "cannot fetch x");
    assert_string_equal(error_link(e, 1), "HTTP 404");
    assert_null(error_link(e, 2));
    assert_int_equal(error_exit_code(e), 5);
    error_wrap(&e, "cannot build");
    assert_string_equal(error_text(e), "cannot build: cannot fetch x: HTTP 404");
}

static void first_failure_is_kept(void **state)
{
    (void)state;
    autoerror struct error *e = NULL;
    error_set(&e, ERROR_TRUST, "first");
    error_set(&e, ERROR_HOST, "second");
    assert_string_equal(error_text(e), "first");
    assert_int_equal(error_kind(e), ERROR_TRUST);
    assert_false(error_set(NULL, ERROR_HOST, "nobody cares"));
}

static void place_stands_in_front(void **state)
{
    (void)state;
    autoerror struct error *e = NULL;
    error_set_at(&e, ERROR_INPUT, (struct place){"recipe.yaml", 12, 7}, "base.verify: missing");
    error_wrap(&e, "cannot plan");
    assert_string_equal(error_text(e), "recipe.yaml:12:7: cannot plan: base.verify: missing");
}

static void errno_decides_the_kind_of_space(void **state)
{
    (void)state;
    autoerror struct error *e = NULL;
    error_errno(&e, ERROR_HOST, ENOSPC, "cannot write x");
    assert_int_equal(error_exit_code(e), 7);
}

static void every_kind_has_a_code_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERROR_KINDS; i++) {
        assert_non_null(error_kinds[i].name);
        assert_non_null(error_kinds[i].meaning);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(error_kinds[i].exit_code, error_kinds[j].exit_code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_reads_from_the_outside_in),
        cmocka_unit_test(first_failure_is_kept),
        cmocka_unit_test(place_stands_in_front),
        cmocka_unit_test(errno_decides_the_kind_of_space),
        cmocka_unit_test(every_kind_has_a_code_of_its_own),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
