#include "unit.h"

#include "base/process.h"

#include <fcntl.h>
#include <signal.h>

static void captures(void **state)
{
    (void)state;
    const char *argv[] = {"sh", "-c", "cat; echo oops >&2; exit 3", NULL};
    const struct process p = {.argv = argv, .input = "hello", .input_size = 5};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_int_equal(r.status, 3);
    assert_int_equal(r.signal, 0);
    assert_string_equal(r.out.data, "hello");
    assert_string_equal(r.err.data, "oops\n");
}

static void large_output_and_input(void **state)
{
    (void)state;
    size_t size = 3 << 20;
    autofree char *text = malloc(size);
    memset(text, 'x', size);
    const char *argv[] = {"cat", NULL};
    const struct process p = {.argv = argv, .input = text, .input_size = size};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_int_equal(r.out.size, size);
    assert_memory_equal(r.out.data, text, size);
}

static void tells_a_signal_from_a_status(void **state)
{
    (void)state;
    const char *argv[] = {"sh", "-c", "kill -9 $$", NULL};
    const struct process p = {.argv = argv};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_int_equal(r.status, -1);
    assert_int_equal(r.signal, SIGKILL);
    assert_fails(process_check(&p, ERROR_GUEST, NULL, &err), ERROR_GUEST, "signal 9");
}

static void failure_quotes_the_last_lines(void **state)
{
    (void)state;
    const char *argv[] = {"sh", "-c", "seq 1 20 >&2; exit 1", NULL};
    const struct process p = {.argv = argv};
    assert_fails(process_check(&p, ERROR_HOST, NULL, &err), ERROR_HOST,
                 "sh failed with status 1: 15\n16\n17\n18\n19\n20");
}

static void missing_program(void **state)
{
    (void)state;
    const char *argv[] = {"no-such-program-here", NULL};
    const struct process p = {.argv = argv};
    autoresult struct process_result r = {0};
    assert_fails(process_run(&p, &r, &err), ERROR_HOST, "no-such-program-here is not installed");
}

static void times_out(void **state)
{
    (void)state;
    const char *argv[] = {"sh", "-c", "sleep 100 & sleep 100", NULL};
    const struct process p = {.argv = argv, .timeout_seconds = 1};
    autoresult struct process_result r = {0};
    assert_fails(process_run(&p, &r, &err), ERROR_TIMEOUT, "did not finish within 1 s");
}

/* With a grace the child is asked first, and may tidy up. */
static void ends_with_grace(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    const char *argv[] = {
        "sh", "-c", "trap 'echo tidy > done; exit 0' TERM; while :; do sleep 0.05; done", NULL};
    const char *stubborn[] = {"sh", "-c", "trap '' TERM; while :; do sleep 0.05; done", NULL};
    const struct process p = {.argv = argv, .cwd = dir, .timeout_seconds = 1, .grace_seconds = 20};
    const struct process q = {.argv = stubborn, .timeout_seconds = 1, .grace_seconds = 1};
    autoresult struct process_result r = {0}, other = {0};
    assert_fails(process_run(&p, &r, &err), ERROR_TIMEOUT, "did not finish within 1 s");
    autofree char *path = NULL, *text = NULL;
    assert_true(asprintf(&path, "%s/done", dir) > 0);
    size_t size = 0;
    assert_ok(file_read(path, 100, &text, &size, &err));
    assert_string_equal(text, "tidy\n");
    assert_fails(process_run(&q, &other, &err), ERROR_TIMEOUT, "did not finish within 1 s");
}

static void hands_down_no_descriptors(void **state)
{
    (void)state;
    autoclose int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    assert_true(fd > 2);
    autofree char *path = NULL;
    assert_true(asprintf(&path, "/proc/self/fd/%d", fd) > 0);
    const char *argv[] = {"test", "-e", path, NULL};
    const struct process p = {.argv = argv};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_int_equal(r.status, 1);
}

static void keep_line(const char *line, void *data)
{
    struct buffer *b = data;
    buffer_printf(b, "<%s>", line);
}

static void gives_lines_and_environment(void **state)
{
    (void)state;
    const char *argv[] = {"sh", "-c", "echo $INGOT_T >&2; pwd >&2", NULL};
    const char *env[] = {"INGOT_T=yes", NULL};
    autobuffer struct buffer lines = {0};
    const struct process p = {
        .argv = argv, .env = env, .cwd = "/", .on_line = keep_line, .data = &lines};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_string_equal(lines.data, "<yes></>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures),
        cmocka_unit_test(large_output_and_input),
        cmocka_unit_test(tells_a_signal_from_a_status),
        cmocka_unit_test(failure_quotes_the_last_lines),
        cmocka_unit_test(missing_program),
        cmocka_unit_test(times_out),
        cmocka_unit_test(ends_with_grace),
        cmocka_unit_test(hands_down_no_descriptors),
        cmocka_unit_test(gives_lines_and_environment),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
