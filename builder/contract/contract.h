/* The contract: `image.json`, what an image promises to whoever boots it.
 *
 * docs/contract.md describes it and docs/image.schema.json is its JSON Schema. Unknown keys are
 * ignored by readers; an incompatible change raises `contract`; `requires` names features that a
 * reader must know or refuse (ERROR_UNSUPPORTED).
 */
#ifndef INGOT_CONTRACT_CONTRACT_H
#define INGOT_CONTRACT_CONTRACT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

#define CONTRACT_VERSION 1

struct contract_file {
    const char *role;   /* "disk", "seed" */
    const char *name;   /* relative to image.json, one component */
    const char *format; /* "qcow2", "raw", "vmdk", "iso" */
    uint64_t bytes;
    const char *sha256;
};

struct contract_port {              /* a default forward: host address:port to guest port */
    const char *address, *protocol; /* "127.0.0.1", "tcp" or "udp" */
    unsigned host, guest;
};

struct contract_package {
    const char *name, *version;
};

struct contract_tool {
    const char *name, *version;
};

struct contract {
    const char *name, *version; /* version may be NULL */
    const char *arch;           /* "amd64", "arm64" */
    const char *firmware;       /* "bios", "uefi" */
    struct {
        const char *id, *version, *pretty_name, *init;
    } os;
    const struct contract_file *files;
    size_t file_count;
    struct {
        uint64_t memory; /* bytes */
        unsigned cpus;
        uint64_t disk; /* bytes: the virtual size */
    } minimum, recommended;
    unsigned memory_share; /* percent of the host's memory, 0: none; with bounds in bytes */
    uint64_t memory_min, memory_max;
    struct {
        const char *label; /* "cidata" */
        const char *kind;  /* "cloud-init", "tiny-cloud", "none" */
        bool secret;       /* the seed's ISO holds a password's hash or a token */
    } seed;
    bool contains_secrets; /* the disk has secrets in it */
    bool agent;
    const char *user; /* login name, or NULL */
    const struct contract_port *ports;
    size_t port_count;
    const struct contract_package *packages; /* what ingot installed */
    size_t package_count;
    struct {
        const char *name, *version, *unit, *kubeconfig; /* name "none" without one; others may be
                                                           NULL */
        unsigned api_port;
        bool api_settable;
    } distribution;
    int64_t epoch;
    const struct contract_tool *tools; /* that shaped the result */
    size_t tool_count;
    const char *plan; /* SHA-256 of the plan's top layer */
};

json_t *contract_to_json(const struct contract *c);
bool contract_from_json(struct arena *a, const json_t *j, const char *name,
                        const struct contract **out, struct error **err) must_check;
/* Reads image.json; path may be the file or the folder that it is in. *folder (may be NULL) gets
 * the folder. */
bool contract_read(struct arena *a, const char *path, const struct contract **out,
                   const char **folder, struct error **err) must_check;
const struct contract_file *contract_find_file(const struct contract *c, const char *role);

#endif
