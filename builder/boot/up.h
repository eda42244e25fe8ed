/* From an artifact to a running instance. */
#ifndef INGOT_BOOT_UP_H
#define INGOT_BOOT_UP_H

#include "boot/ready.h"
#include "boot/virt.h"

struct up_options {
    const char *artifact;        /* a folder or its image.json, a bundle, a name */
    const char *title;           /* of a bundle with several artifacts; or NULL */
    const char *key;             /* that must have signed the bundle, */
    const char *fingerprint;     /* or NULL */
    const char *name;            /* NULL: the image's */
    const char *hostname;        /* NULL: made from the name */
    const char *network;         /* "user" or a libvirt network */
    const char *user_data;       /* file with whole user-data, or NULL: the artifact's seed */
    const char *console_log;     /* NULL: in the instance's folder */
    const char *const *ssh_keys; /* public keys or files with them; ends in NULL */
    const struct forward *forwards;
    size_t forward_count;
    bool no_forwards; /* not those that the image asks for */
    uint64_t memory;  /* bytes; 0: as the image asks */
    unsigned cpus;    /* 0: as the image asks */
    bool wait;
    bool until_given;
    enum ready_stage until;
    unsigned timeout_seconds;
    bool keep; /* leave the instance for a look when it fails */
};

struct up_result {
    const struct instance *instance;
    bool created; /* false: it was there and has been started or found running */
    enum ready_stage reached;
};

/* Defines, starts and waits. With an instance of that name from the same artifact: starts that one.
 * ERROR_CONFLICT for another domain of that name. On failure everything that this call made is gone
 * again. Values live in the arena. */
bool up(struct virt *v, const struct up_options *o, struct arena *a, struct up_result *result,
        struct error **err) must_check;

/* Starts an instance that is off; one that runs is fine. Refuses (ERROR_CONFLICT) where the disk
 * below its overlay is not the one that it was made on. */
bool up_start(struct virt *v, struct domain **d, const struct instance *i, bool wait,
              enum ready_stage until, unsigned timeout_seconds, struct error **err) must_check;

#endif
