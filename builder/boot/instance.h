/* What an instance is: the facts that its domain carries in its metadata, and what its domain is
 * made from. Plain values, in somebody's arena; neither libvirt nor XML is seen here.
 */
#ifndef INGOT_BOOT_INSTANCE_H
#define INGOT_BOOT_INSTANCE_H

#include "accel/accel.h"
#include "base/arena.h"
#include "base/error.h"
#include "contract/contract.h"

#include <stdint.h>

struct forward {                    /* host address:port to guest port */
    const char *address, *protocol; /* "127.0.0.1", "tcp" or "udp" */
    unsigned host, guest;
};

/* Kept in the domain's metadata, the only place where instances are recorded. */
struct instance {
    const char *name;        /* the domain's */
    const char *image;       /* name in image.json */
    const char *version;     /* or NULL */
    const char *artifact;    /* absolute folder of image.json */
    const char *disk_sha256; /* of the artifact's disk */
    const char *folder;      /* absolute: overlay, seed, console log */
    const char *base;        /* absolute: the file below the overlay */
    const char *console_log; /* absolute */
    const char *seed;        /* "cloud-init", "tiny-cloud", "none" */
    const char *instance_id;
    const char *hostname;
    const char *user;    /* or NULL */
    const char *network; /* "user" or a libvirt network's name */
    bool agent;
    const struct forward *forwards;
    size_t forward_count;
};

/* All that a domain is defined from. */
struct domain_spec {
    struct instance instance;
    const char *arch;     /* "amd64", "arm64" */
    const char *firmware; /* "bios", "uefi" */
    enum accel accel;
    uint64_t memory; /* bytes */
    unsigned cpus;
    const char *disk;        /* absolute: the qcow2 overlay */
    const char *base_format; /* of instance.base */
    const char *seed_iso;    /* absolute, or NULL */
    const char *mac;
    const char *agent_socket; /* absolute, or NULL: where libvirt puts it */
    bool passt;               /* user networking by passt instead of slirp */
};

/* A name for an instance: plain, at most 63 characters. */
bool instance_name_check(const char *name, struct error **err) must_check;
/* The name as a host name. In the arena. */
const char *instance_hostname(struct arena *a, const char *name);

/* "[ADDRESS:]HOST:GUEST[/udp]". The address is 127.0.0.1 unless said; [IPv6] in brackets. */
bool forward_parse(struct arena *a, const char *text, struct forward *out, struct error **err)
    must_check;
/* ERROR_CONFLICT if something on this host already listens there. */
bool forward_check_free(const struct forward *f, struct error **err) must_check;

/* Memory in bytes and CPUs that an image asks for; `host_memory` in bytes, `host_cpus` bound a
 * share and the count. */
uint64_t instance_memory(const struct contract *c, uint64_t host_memory);
unsigned instance_cpus(const struct contract *c, unsigned host_cpus);

#endif
