#include "boot/commands/commands.h"

static const struct command *const commands[] = {
    &command_up,     &command_list, &command_status,  &command_wait,
    &command_ip,     &command_exec, &command_console, &command_logs,
    &command_start,  &command_stop, &command_delete,  &command_bundle,
    &command_doctor, NULL};

int main(int argc, char **argv)
{
    static const struct cli_program program = {
        "ingot-boot", INGOT_VERSION, "Boots what ingot has baked, under libvirt.", commands};
    return cli_main(&program, argc, argv);
}
