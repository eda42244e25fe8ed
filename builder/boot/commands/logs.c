#include "base/file.h"
#include "boot/commands/commands.h"

#include <errno.h>
#include <fcntl.h>

#define TICK_MS 250

struct options {
    const char *connect; /* first */
    bool follow;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"follow", 'f', OPTION_FLAG, offsetof(struct options, follow), NULL,
     "go on until the instance ends or Ctrl-C"},
    {0},
};

/* Copies what there is; the file may grow meanwhile. */
static bool copy(int fd, struct error **err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0)
            return true;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read the console's log");
        if (!file_write_all(STDOUT_FILENO, chunk, (size_t)n, err))
            return false;
    }
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autotarget struct target t = {0};
    if (!target_open(&t, o->connect, first_argument(cli), err))
        return false;
    autoclose int fd = open(t.instance->console_log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno == ENOENT ? ERROR_INPUT : ERROR_HOST, errno, "%s",
                           t.instance->console_log);
    if (!copy(fd, err))
        return false;
    if (!o->follow)
        return true;
    const char *state;
    bool active;
    if (!domain_watch(t.domain, err) || !domain_state(t.domain, &state, &active, err))
        return false;
    while (active && !domain_stopped(t.domain))
        if (!virt_wait(t.virt, TICK_MS, err) || !copy(fd, err))
            return false;
    return copy(fd, err);
}

const struct command command_logs = {
    .name = "logs",
    .arguments = "[N]",
    .summary = "what the serial console has said",
    .options = specs,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
