#include "unit.h"

#include "base/cli.h"
#include "base/log.h"
#include "base/path.h"

#include <limits.h>

struct options {
    bool offline;
    const char *output;
    struct cli_list set, update;
    unsigned jobs;
};

static const struct option_spec specs[] = {
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL, "no network"},
    {"output", 'o', OPTION_STRING, offsetof(struct options, output), "DIR", "where"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "K=V", "override"},
    {"update", 0, OPTION_WORDS, offsetof(struct options, update), "NAME", "anew"},
    {"jobs", 'j', OPTION_NUMBER, offsetof(struct options, jobs), "N", "at once"},
    {0},
};

static struct {
    bool ran, json, offline, update;
    char output[16], first[16];
    size_t sets, arguments, updates;
    unsigned jobs, verbose;
} seen;

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    seen.ran = true;
    seen.json = cli->json;
    seen.offline = o->offline;
    seen.sets = o->set.count;
    seen.update = o->update.given;
    seen.updates = o->update.count;
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
    assert_false(seen.update);
    assert_int_equal(CALL("build", "a", "b", "--update", "x", "y", "--offline", "c"), 0);
    assert_true(seen.update && seen.offline);
    assert_int_equal(seen.updates, 2);
    assert_int_equal(seen.arguments, 3);
    assert_int_equal(CALL("build", "a", "--update"), 0);
    assert_true(seen.update && seen.updates == 0);
    assert_int_equal(CALL("build", "--update=x", "a"), 0);
    assert_int_equal(seen.updates, 1);
    assert_int_equal(seen.arguments, 1);
    assert_int_equal(CALL("build", "a", "--update", "--", "b"), 0);
    assert_int_equal(seen.updates, 0);
    assert_int_equal(seen.arguments, 2);
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

/* What a call writes to stdout. */
static char *said(size_t n, const char *const *words, int *code)
{
    char *text = NULL;
    size_t size;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "out");
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    assert_non_null(freopen(path, "w", stdout));
    *code = call(n, words);
    fflush(stdout);
    assert_int_equal(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    close(before);
    assert_ok(file_read(path, 65536, &text, &size, &err));
    return text;
}
#define SAID(code, ...)                                                                            \
    said(COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__}, code)

/* Whoever asks for JSON gets the error as JSON, also where --json stands behind what is wrong. */
static void an_error_is_one_document(void **state)
{
    (void)state;
    int code;
    autofree char *behind = SAID(&code, "build", "--bogus", "--json");
    assert_int_equal(code, 2);
    assert_non_null(strstr(behind, "\"kind\": \"usage\""));
    assert_non_null(strstr(behind, "unknown option '--bogus' (ingot build --help lists them)"));
    autofree char *unknown = SAID(&code, "biuld", "--json");
    assert_non_null(strstr(unknown, "did you mean 'build'"));
    autofree char *plain = SAID(&code, "build", "--bogus", "--", "--json");
    assert_string_equal(plain, "");
}

static void the_environment_says_the_level(void **state)
{
    (void)state;
    const char *argv[] = {"ingot", "build", "a", NULL};
    assert_int_equal(setenv("INGOT_LOG", "loud", 1), 0);
    assert_int_equal(cli_main(&program, 3, (char **)argv), 2);
    assert_int_equal(setenv("INGOT_LOG", "debug", 1), 0);
    assert_int_equal(cli_main(&program, 3, (char **)argv), 0);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    assert_int_equal(CALL("build", "a"), 0); /* -qq wins */
    assert_int_equal(log_get_level(), LOG_ERROR);
    assert_int_equal(unsetenv("INGOT_LOG"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_says_the_level),
        cmocka_unit_test(takes_every_form),
        cmocka_unit_test(refuses_what_is_off),
        cmocka_unit_test(an_error_is_one_document),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
