#include "base/log.h"
#include "boot/commands/commands.h"
#include "boot/launch.h"

struct options {
    const char *connect; /* first */
    bool yes;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"yes", 'y', OPTION_FLAG, offsetof(struct options, yes), NULL, "do not ask"},
    {0},
};

static bool confirmed(const struct instance *i, struct error **err)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return error_set(err, ERROR_USAGE, "delete asks on a terminal; elsewhere say --yes");
    fprintf(stderr, "Delete '%s' and all that is on its disk (%s)? [y/N] ", i->name, i->folder);
    char answer[16];
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    return error_set(err, ERROR_CONFLICT, "'%s' is left as it is", i->name);
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autotarget struct target t = {0};
    if (!target_open(&t, o->connect, first_argument(cli), err) ||
        (!o->yes && !confirmed(t.instance, err)) || !launch_delete(t.domain, t.instance, err))
        return false;
    log_info("'%s' is deleted", t.instance->name);
    if (cli->json)
        print_json(instance_to_json(t.instance, virt_uri(t.virt)));
    return true;
}

const struct command command_delete = {
    .name = "delete",
    .arguments = "[N]",
    .summary = "remove an instance with its disk; the artifact stays",
    .options = specs,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
