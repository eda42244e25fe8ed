/* The commands of ingot, one file each; main.c lists them. */
#ifndef INGOT_INGOT_COMMANDS_H
#define INGOT_INGOT_COMMANDS_H

#include "base/cli.h"

extern const struct command command_new, command_check, command_plan, command_lock, command_fetch,
    command_build, command_bundle, command_inspect, command_cidata, command_cache, command_schema,
    command_config, command_doctor, command_updates;

#endif
