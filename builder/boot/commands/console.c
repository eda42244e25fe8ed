#include "base/log.h"
#include "boot/commands/commands.h"

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct connect_options *o = options;
    autotarget struct target t = {0};
    const char *state;
    bool active;
    if (!target_open(&t, o->connect, first_argument(cli), err) ||
        !domain_state(t.domain, &state, &active, err))
        return false;
    if (!active)
        return error_set(err, ERROR_CONFLICT,
                         "'%s' is %s: `ingot-boot start %s`, or look at its "
                         "log with `ingot-boot logs %s`",
                         t.instance->name, state, t.instance->name, t.instance->name);
    log_info("console of '%s'; Ctrl-] leaves it", t.instance->name);
    return domain_watch(t.domain, err) && domain_console(t.domain, err);
}

const struct command command_console = {
    .name = "console",
    .arguments = "[N]",
    .summary = "the serial console, until Ctrl-]",
    .options = connect_options,
    .options_size = sizeof(struct connect_options),
    .max_arguments = 1,
    .run = run,
};
