/* Shared by appliance*.c only: the handle, and the guard around every call into it. */
#ifndef INGOT_DISK_APPLIANCE_INTERNAL_H
#define INGOT_DISK_APPLIANCE_INTERNAL_H

#include "disk/appliance.h"

#include <guestfs.h>
#include <pthread.h>

/* A call that takes longer than this is hung: no single one of ours but guest programs, which have
 * limits of their own, takes minutes. */
#define APPLIANCE_CALL_SECONDS 900

enum guard_outcome { GUARD_FINE, GUARD_TIMEOUT, GUARD_INTERRUPTED };

/* A thread that ends the appliance's qemu when a call into libguestfs must not go on. */
struct guard {
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, busy;
    double deadline; /* of the call; 0: none */
    pid_t pid;       /* qemu; 0 while it is not known: during the launch */
    enum guard_outcome outcome;
};

struct appliance_mount_point {
    char *device, *path, *type;
};

struct appliance {
    struct disk disk; /* first: the session as a struct disk */
    bool disk_owns;   /* closing the struct disk closes the session */
    guestfs_h *g;
    struct guard guard;
    char *raw;
    bool writable, mounted;
    bool kvm;
    double launch_seconds;
    int spare; /* open file of the spare drive, or -1 */
    unsigned spare_number;
    struct appliance_mount_point mounts[FACTS_MAX_MOUNTS];
    size_t mount_count;
    char *table; /* partition table of the facts, NULL without */
    unsigned root_partition;
};

bool guard_start(struct guard *g, struct error **err) must_check;
void guard_stop(struct guard *g);
void guard_enter(struct guard *g, unsigned seconds);
void guard_leave(struct guard *g);

/* One call into libguestfs under the guard. */
#define APPLIANCE_CALL_LIMITED(a, seconds, call)                                                   \
    ({                                                                                             \
        guard_enter(&(a)->guard, (seconds));                                                       \
        __auto_type result_ = (call);                                                              \
        guard_leave(&(a)->guard);                                                                  \
        result_;                                                                                   \
    })
#define APPLIANCE_CALL(a, call) APPLIANCE_CALL_LIMITED(a, APPLIANCE_CALL_SECONDS, call)

/* False, with what libguestfs said last; an interrupt, a time-out and a full disk have their own
 * kinds. */
bool appliance_fail(struct appliance *a, struct error **err, enum error_kind kind, const char *fmt,
                    ...) printf_like(4, 5);

/* The guest path with every link in its parents followed inside the guest, for calls that do not
 * chroot. With `last` the last component too, where it is a link to something that is there. NULL
 * on failure (ERROR_INPUT for a dangling link in a parent). Free it. */
char *appliance_resolve(struct appliance *a, const char *path, bool last, struct error **err);

/* lstat or stat; absent is true with *found false. */
bool appliance_stat(struct appliance *a, const char *path, bool follow, struct disk_stat *st,
                    bool *found, struct error **err) must_check;

void appliance_strings_free(char **list);

/* A sparse file for the spare drive; *path is its name, to be removed after the launch. */
bool appliance_make_spare(struct appliance *a, const struct appliance_options *o, char **path,
                          struct error **err) must_check;

/* disk_appliance.open and close. */
bool appliance_open_disk(const struct disk_options *o, struct disk **out, struct error **err)
    must_check;
bool appliance_close_disk(struct disk *d, struct error **err) must_check;
/* disk_appliance.lay */
bool appliance_lay(struct disk *d, const char *tar_path, struct error **err) must_check;

/* Takes what can be said of the failure of a launch: the host check's remedy if it has one. */
bool appliance_explain_launch(struct error **err);

#endif
