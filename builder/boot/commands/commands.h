/* The commands of ingot-boot, one file each, and what they share. */
#ifndef INGOT_BOOT_COMMANDS_H
#define INGOT_BOOT_COMMANDS_H

#include "base/cli.h"
#include "base/json.h"
#include "boot/instance.h"
#include "boot/ready.h"
#include "boot/virt.h"

extern const struct command command_up, command_list, command_status, command_wait, command_ip,
    command_exec, command_console, command_logs, command_start, command_stop, command_delete,
    command_doctor, command_bundle;

/* Every command that talks to libvirt has this option; its structure starts with `connect`. */
#define OPTION_CONNECT                                                                             \
    {                                                                                              \
        "connect", 'c', OPTION_STRING, 0, "URI",                                                   \
            "libvirt's URI; else LIBVIRT_DEFAULT_URI, INGOT_LIBVIRT_URI, system, session"          \
    }

/* For commands with no other option. */
struct connect_options {
    const char *connect;
};
extern const struct option_spec connect_options[];

/* A connection and one instance, released together. Declare it `autotarget struct target t = {0};`.
 */
struct target {
    struct virt *virt;
    struct domain *domain;
    struct arena *arena;
    const struct instance *instance;
};
/* name: the first argument, or NULL for the only instance. */
bool target_open(struct target *t, const char *uri, const char *name, struct error **err)
    must_check;
void target_close(struct target *t);
#define autotarget cleanup(target_close)

/* The first argument or NULL. */
const char *first_argument(const struct cli *cli);
/* "5m" into seconds, `fallback` where it is not given; ERROR_USAGE. */
bool parse_timeout(const char *text, unsigned fallback, unsigned *seconds, struct error **err)
    must_check;
/* --for and its absence. */
bool parse_stage(const char *text, const struct instance *i, enum ready_stage *stage,
                 struct error **err) must_check;

/* Prints one document and releases it. */
void print_json(json_t *j);
/* What is recorded of an instance, as JSON. */
json_t *instance_to_json(const struct instance *i, const char *uri);
/* Addresses and forwards; empty where they are not known. */
json_t *addresses_to_json(struct target *t);

#endif
