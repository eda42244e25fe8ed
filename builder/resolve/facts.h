/* Facts of the base: what resolving, planning and baking must know of a base image. Read once per
 * base digest (disk/facts.c reads them from the disk) and cached as JSON. Arena-owned and constant.
 */
#ifndef INGOT_RESOLVE_FACTS_H
#define INGOT_RESOLVE_FACTS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

enum init_system { INIT_SYSTEMD, INIT_OPENRC, INIT_UNKNOWN };
enum package_manager { PACKAGES_APT, PACKAGES_APK, PACKAGES_NONE };

#define FACTS_MAX_MOUNTS 4

/* A file system of the image. */
struct fact_mount {
    const char *mountpoint; /* "/", "/boot", "/boot/efi" */
    const char *type;       /* "ext4", "vfat" */
    const char *label, *uuid;
    unsigned partition;    /* number in the table; 0: the bare disk */
    uint64_t offset, size; /* bytes in the raw disk */
};

struct facts {
    const char *os, *os_version, *pretty_name; /* os-release ID, VERSION_ID, PRETTY_NAME */
    const char *codename;                      /* VERSION_CODENAME or "" */
    const char *architecture;                  /* "amd64", "arm64" */
    enum init_system init;
    enum package_manager packages;
    bool usr_merged;
    const char *seed;                           /* "cloud-init", "tiny-cloud", "none" */
    bool has_agent;                             /* a qemu-ga binary is there */
    uint64_t virtual_size;                      /* bytes of the disk */
    struct fact_mount mounts[FACTS_MAX_MOUNTS]; /* root first, parents before children */
    size_t mount_count;
    const char *partition_table;         /* "gpt", "dos", "" */
    const char *package_database_digest; /* SHA-256 of dpkg's status or apk's installed; or "" */
    const char *const *installed;        /* names of installed packages, sorted; ends in NULL */
};

json_t *facts_to_json(const struct facts *f);
bool facts_from_json(struct arena *a, const json_t *j, const struct facts **out, struct error **err)
    must_check;
bool facts_has_package(const struct facts *f, const char *name);

#endif
