#include "ingot/commands.h"

static const struct command *const commands[] = {
    &command_new,    &command_check,   &command_plan,   &command_lock,   &command_fetch,
    &command_build,  &command_inspect, &command_cidata, &command_cache,  &command_bundle,
    &command_schema, &command_updates, &command_config, &command_doctor, NULL,
};

static const struct cli_program program = {
    .name = "ingot",
    .version = INGOT_VERSION,
    .summary = "Bakes golden virtual-machine images for Kubernetes, offline.",
    .commands = commands,
};

int main(int argc, char **argv)
{
    return cli_main(&program, argc, argv);
}
