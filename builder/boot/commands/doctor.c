#include "boot/doctor.h"

#include "boot/commands/commands.h"

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    (void)err;
    const struct connect_options *o = options;
    autoarena struct arena *a = arena_new();
    struct findings f = {.arena = a};
    doctor_look(&f, o->connect);
    finding_report(&f, cli->json, cli->exit_code);
    return true;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "is this host fit to boot; each finding with the command that mends it",
    .options = connect_options,
    .options_size = sizeof(struct connect_options),
    .run = run,
};
