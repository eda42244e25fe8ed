#include "unit.h"

#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

/* What a call of log_info writes to stderr. */
static char *said(const char *message)
{
    char *text = NULL;
    size_t size;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = NULL;
    assert_true(asprintf(&path, "%s/err", dir) > 0);
    int before = dup(STDERR_FILENO);
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(before >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    log_info("%s", message);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_ok(file_read(path, 65536, &text, &size, &err));
    return text;
}

static void a_guest_does_not_drive_the_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *given, *shown;
    } cases[] = {
        {"plain, \tUmlaut \xc3\xbc\nsecond", "plain, \tUmlaut \xc3\xbc\nsecond\n"},
        {"\033]0;title\007 \033[2J", "?]0;title? ?[2J\n"},
        {"console\r\nlines\r", "console\nlines\n"},
        {"\xc2\x9b"
         "31m and \xc2\xa0",
         "?31m and \xc2\xa0\n"},
        {"cut \xc2", "cut \xc2\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        autofree char *text = said(cases[i].given);
        assert_string_equal(text, cases[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_guest_does_not_drive_the_terminal)};
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
