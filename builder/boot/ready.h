/* Waiting for a guest: by libvirt's events and by what its console log gains, stage after stage. */
#ifndef INGOT_BOOT_READY_H
#define INGOT_BOOT_READY_H

#include "boot/instance.h"
#include "boot/virt.h"

#include <sys/types.h>

enum ready_stage {
    READY_STARTED,    /* QEMU runs */
    READY_KERNEL,     /* a kernel talks on the console, or the agent is there */
    READY_AGENT,      /* the agent answers */
    READY_CLOUD_INIT, /* cloud-init has finished without an error, or tiny-cloud has finished */
    READY_STAGES
};
extern const char *const ready_names[READY_STAGES]; /* "started", "kernel", "agent", "cloud-init" */

/* The stage of that name; ERROR_USAGE where there is none. */
bool ready_parse(const char *name, enum ready_stage *out, struct error **err) must_check;
/* How far this instance can be waited for: its seed and its agent decide. */
enum ready_stage ready_last(const struct instance *i);

struct ready_wait {
    enum ready_stage until;
    unsigned timeout_seconds;
    off_t console_from;    /* what the console log held before this start does not count */
    unsigned life_seconds; /* without a sign of life after so long: `lifeless`; 0: do not look */
};

/* A domain watched by domain_watch. True when the stage is reached, and also, with *lifeless set,
 * when there was no sign of life within life_seconds. ERROR_TIMEOUT says the stage that was waited
 * for and quotes the console's last lines, so does ERROR_GUEST for a domain that ended. Shows the
 * stages with progress_note. */
bool ready_wait(struct virt *v, struct domain *d, const struct instance *i,
                const struct ready_wait *w, bool *lifeless, struct error **err) must_check;

/* The last lines of the console log, made fit for a terminal; free it. */
char *ready_console_tail(const char *console_log, unsigned lines);
/* Size of the console log now; 0 where it cannot be seen. */
off_t ready_console_size(const char *console_log);

#endif
