#include "unit.h"

#include "base/cli.h"

#include <limits.h>

struct options {
    bool offline;
    const char *output;
    struct cli_list set;
    unsigned jobs;
};

static const struct option_spec specs[] = {
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL, "no network"},
    {"output", 'o', OPTION_STRING, offsetof(struct options, output), "DIR", "where"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "K=V", "override"},
    {"jobs", 'j', OPTION_NUMBER, offsetof(struct options, jobs), "N", "at once"},
    {0},
};

static struct {
    bool ran, json, offline;
    char output[16], first[16];
    size_t sets, arguments;
    unsigned jobs, verbose;
} seen;

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    seen.ran = true;
    seen.json = cli->json;
    seen.offline = o->offline;
    seen.sets = o->set.count;
    seen.jobs = o->jobs;
    seen.verbose = cli->verbose;
    seen.arguments = cli->argument_count;
    snprintf(seen.output, sizeof seen.output, "%s", o->output ? o->output : "");
    snprintf(seen.first, sizeof seen.first, "%s", cli->argument_count ? cli->arguments[0] : "");
    if (o->jobs == 77)
        return error_set(err, ERROR_TRUST, "told to fail");
    return true;
}

static const struct command build = {
    "build", "RECIPE…", "builds", NULL, specs, sizeof(struct options), 1, UINT_MAX, run};
static const struct command *const commands[] = {&build, NULL};
static const struct cli_program program = {"ingot", "0", "test", commands};

static int call(size_t n, const char *const *words)
{
    const char *argv[16] = {"ingot", "-qq"};
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < n; i++)
        argv[i + 2] = words[i];
    return cli_main(&program, (int)n + 2, (char **)argv);
}
#define CALL(...) call(COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

static void takes_every_form(void **state)
{
    (void)state;
    assert_int_equal(CALL("build", "a", "-oX", "--set", "k=v", "--set=l=w", "--offline", "b",
                          "--jobs=3", "--", "--c"),
                     0);
    assert_true(seen.ran && seen.offline);
    assert_string_equal(seen.output, "X");
    assert_int_equal(seen.sets, 2);
    assert_int_equal(seen.jobs, 3);
    assert_int_equal(seen.arguments, 3);
    assert_int_equal(CALL("build", "-o", "Y", "-vv", "a"), 0);
    assert_string_equal(seen.output, "Y");
    assert_string_equal(seen.first, "a");
    assert_int_equal(seen.verbose, 2);
}

static void refuses_what_is_off(void **state)
{
    (void)state;
    assert_int_equal(CALL("build"), 2);
    assert_int_equal(CALL("biuld", "a"), 2);
    assert_int_equal(CALL("build", "a", "--ofline"), 2);
    assert_int_equal(CALL("build", "a", "--offline=1"), 2);
    assert_int_equal(CALL("build", "a", "--jobs", "x"), 2);
    assert_int_equal(CALL("build", "a", "--jobs", "-1"), 2);
    assert_int_equal(CALL("build", "a", "-o"), 2);
    assert_int_equal(CALL("build", "a", "--progress", "no"), 2);
    assert_false(seen.ran);
    assert_int_equal(CALL("build", "a", "--jobs", "77"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_form),
        cmocka_unit_test(refuses_what_is_off),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
