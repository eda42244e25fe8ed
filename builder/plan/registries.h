/* Registries and their mirrors, in the format that the guest's container engine reads. A format is
 * a row of the table, in a file of its own.
 */
#ifndef INGOT_PLAN_REGISTRIES_H
#define INGOT_PLAN_REGISTRIES_H

#include "base/buffer.h"
#include "recipe/recipe.h"

struct registries_format {
    const char *name; /* as a profile says it: "containers", "k3s" */
    const char *path; /* guest path of the file */
    /* Appends the file's text. ERROR_INPUT, at its place, for what the format cannot say. */
    bool (*write)(const struct registry *registries, size_t count, struct buffer *out,
                  struct error **err);
};

/* registries.conf, version 2 (containers-registries.conf(5)): podman, skopeo, CRI-O. */
extern const struct registries_format registries_containers;
/* /etc/rancher/k3s/registries.yaml (k3s documentation, "Private Registry Configuration"). */
extern const struct registries_format registries_k3s;

/* The format of that name; NULL name: containers. NULL: there is none. */
const struct registries_format *registries_find(const char *name);

/* A mirror as host[:port][/path], from its URL. ERROR_INPUT, at its place, if it is no http or
 * https URL of a registry: with a user, query or fragment, without a host, with odd characters. */
struct mirror {
    bool plain; /* http:// */
    const char *location;
    size_t host_length; /* of location, up to its path */
};
bool registries_parse_mirror(const struct text_at *url, struct mirror *m, struct error **err)
    must_check;
/* A registry's name: host[:port][/path], *.domain or *; ERROR_INPUT at its place otherwise. */
bool registries_check_name(const struct text_at *name, struct error **err) must_check;

#endif
