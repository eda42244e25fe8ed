#include "base/progress.h"
#include "boot/commands/commands.h"

#define DEFAULT_SECONDS 600

struct options {
    const char *connect; /* first */
    const char *stage, *timeout;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"for", 0, OPTION_STRING, offsetof(struct options, stage), "STAGE",
     "kernel, agent or cloud-init (the last that the image has)"},
    {"timeout", 't', OPTION_STRING, offsetof(struct options, timeout), "DURATION",
     "how long to wait (10m)"},
    {0},
};

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autotarget struct target t = {0};
    struct ready_wait w = {0};
    bool lifeless;
    if (!parse_timeout(o->timeout, DEFAULT_SECONDS, &w.timeout_seconds, err) ||
        !target_open(&t, o->connect, first_argument(cli), err) ||
        !parse_stage(o->stage, t.instance, &w.until, err))
        return false;
    progress_step("wait for %s", t.instance->name);
    if (!domain_watch(t.domain, err) ||
        !ready_wait(t.virt, t.domain, t.instance, &w, &lifeless, err))
        return false;
    progress_done();
    if (cli->json) {
        json_t *j = instance_to_json(t.instance, virt_uri(t.virt));
        json_set_string(j, "reached", ready_names[w.until]);
        print_json(j);
    }
    return true;
}

const struct command command_wait = {
    .name = "wait",
    .arguments = "[N]",
    .summary = "wait until an instance is ready",
    .options = specs,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
