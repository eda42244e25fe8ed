/* The only reader of local files that a recipe names: a digest for each, remembered by stat stamp.
 *
 * Overlay trees are read with their links: links in a tree that the user names are followed (a link
 * farm works) unless they lead outside of it and `follow` is not set; devices, sockets and names with
 * control characters are refused by name. What has been read is the value that the plan is made from.
 */
#ifndef INGOT_INPUTS_INPUTS_H
#define INGOT_INPUTS_INPUTS_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct inputs;

/* cache_file remembers digests by stat stamp between runs; NULL: nothing is remembered. */
struct inputs *inputs_new(const char *cache_file);
/* Writes the memory, if it changed; failing to is only logged. */
void inputs_free(struct inputs *in);

struct input_file {
    const char *path;   /* absolute host path */
    const char *digest; /* SHA-256 */
    uint64_t size;
    mode_t mode;        /* permission bits as on the host */
};

/* A file with its digest. ERROR_INPUT if it is absent, unreadable or no regular file. */
bool inputs_file(struct inputs *in, const char *path, const struct input_file **out,
                 struct error **err) must_check;
/* A small file's text as well, NUL-terminated; at most max_bytes. */
bool inputs_text(struct inputs *in, const char *path, size_t max_bytes, const char **text,
                 size_t *size, struct error **err) must_check;

enum input_kind { INPUT_FILE, INPUT_DIRECTORY, INPUT_LINK };
struct input_member {
    enum input_kind kind;
    const char *name;              /* relative to the tree, no leading slash */
    const char *target;            /* INPUT_LINK: as written; stays inside the tree */
    const struct input_file *file; /* INPUT_FILE */
    mode_t mode;
};
struct input_tree {
    const char *path;
    const struct input_member *members; /* sorted by name */
    size_t count;
};

/* A whole tree. An absolute link (/nix/store/…) and one that leads outside are followed: the member
 * is what they point to; relative links inside the tree stay links. */
bool inputs_tree(struct inputs *in, const char *path, const struct input_tree **out,
                 struct error **err) must_check;

static inline void cleanup_inputs(struct inputs **in)
{
    inputs_free(*in);
}
#define autoinputs cleanup(cleanup_inputs)

#endif
