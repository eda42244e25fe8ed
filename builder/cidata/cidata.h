/* The NoCloud seed: user-data, meta-data and network-config as texts, and as an ISO 9660 image with
 * the volume label `cidata` (libisofs). Formats: cloud-init's "NoCloud" reference and "Network
 * config version 2"; for tiny-cloud meta-data as its NoCloud code reads it (hostname, public-keys).
 */
#ifndef INGOT_CIDATA_CIDATA_H
#define INGOT_CIDATA_CIDATA_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct cidata {
    const char *kind; /* "cloud-init" or "tiny-cloud" */
    const char *instance_id, *hostname;
    const char *user;               /* or NULL: the image's own default user */
    const char *const *ssh_keys;    /* NULL-terminated public keys, or NULL; beside a given
                                       user_data they go into the meta-data */
    const char *password_hash;      /* crypt(5), or NULL: locked */
    const char *user_data;          /* whole user-data given by the user, used as it is; or NULL */
    const char *network_config;     /* whole network-config, used as it is; or NULL */
    const char *address, *gateway;  /* "10.0.0.50/24"; NULL: DHCP */
    const char *const *nameservers; /* NULL-terminated or NULL */
    bool has_locales;               /* false: `locale: "false"` (Debian without `locales`) */
    int64_t epoch;                  /* time of every file and of the volume */
};

/* The three texts; free them. network_config may come back NULL. ERROR_INPUT where a value cannot
 * be what it is said to be, ERROR_UNSUPPORTED where tiny-cloud cannot do it. */
bool cidata_texts(const struct cidata *c, char **user_data, char **meta_data, char **network_config,
                  struct error **err) must_check;
/* Writes the ISO (atomically; mode 0600). Same input, same bytes. */
bool cidata_write(const struct cidata *c, const char *path, struct error **err) must_check;

/* One file of such an ISO ("user-data", at most max_bytes), NUL-terminated; NULL where there is
 * none. Free it. ERROR_INPUT if the file is no ISO 9660 image. */
bool cidata_read(const char *path, const char *name, size_t max_bytes, char **text,
                 struct error **err) must_check;

/* Public key number i of a meta-data that cidata_texts made; NULL behind the last. Free it. */
char *cidata_find_key(const char *meta_data, size_t i);

#endif
