#include "base/progress.h"
#include "boot/commands/commands.h"
#include "boot/up.h"

#define DEFAULT_SECONDS 600

struct options {
    const char *connect; /* first */
    const char *stage, *timeout;
    bool no_wait;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"no-wait", 0, OPTION_FLAG, offsetof(struct options, no_wait), NULL, "return once it runs"},
    {"for", 0, OPTION_STRING, offsetof(struct options, stage), "STAGE",
     "wait for kernel, agent or cloud-init (the last that the image has)"},
    {"timeout", 't', OPTION_STRING, offsetof(struct options, timeout), "DURATION",
     "how long to wait (10m)"},
    {0},
};

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autotarget struct target t = {0};
    enum ready_stage until;
    unsigned seconds;
    if (!parse_timeout(o->timeout, DEFAULT_SECONDS, &seconds, err) ||
        !target_open(&t, o->connect, first_argument(cli), err) ||
        !parse_stage(o->stage, t.instance, &until, err) ||
        !up_start(t.virt, &t.domain, t.instance, !o->no_wait, until, seconds, err))
        return false;
    progress_done();
    if (cli->json)
        print_json(instance_to_json(t.instance, virt_uri(t.virt)));
    return true;
}

const struct command command_start = {
    .name = "start",
    .arguments = "[N]",
    .summary = "start an instance that is off, wait until it is ready",
    .options = specs,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
