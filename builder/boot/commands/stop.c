#include "base/progress.h"
#include "boot/commands/commands.h"
#include "boot/launch.h"

#define DEFAULT_SECONDS 120

struct options {
    const char *connect; /* first */
    const char *timeout;
    bool force;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"force", 'f', OPTION_FLAG, offsetof(struct options, force), NULL,
     "pull the plug when it does not shut down"},
    {"timeout", 't', OPTION_STRING, offsetof(struct options, timeout), "DURATION",
     "how long to wait (2m)"},
    {0},
};

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autotarget struct target t = {0};
    unsigned seconds;
    if (!parse_timeout(o->timeout, DEFAULT_SECONDS, &seconds, err) ||
        !target_open(&t, o->connect, first_argument(cli), err) ||
        !launch_stop(t.virt, t.domain, seconds, o->force, err))
        return false;
    progress_done();
    if (cli->json)
        print_json(instance_to_json(t.instance, virt_uri(t.virt)));
    return true;
}

const struct command command_stop = {
    .name = "stop",
    .arguments = "[N]",
    .summary = "shut an instance down: its agent, then its power button, then, with --force, power",
    .options = specs,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
