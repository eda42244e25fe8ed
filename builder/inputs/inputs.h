/* The only reader of local files that a recipe names: a digest for each, remembered by stat stamp.
 *
 * A digest is remembered between runs as long as device, inode, size, mtime and ctime of the file
 * stay the same. A file that was changed less than two seconds before it was hashed is not
 * remembered: a second change within the clock's grain would go unseen.
 *
 * What has been read is the value that the plan is made from: asking twice for a file in one run
 * gives the first answer.
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
    mode_t mode; /* permission bits as on the host */
};

/* A file with its digest; links are followed. ERROR_INPUT if it is absent, unreadable, no regular
 * file, or changes while it is read. */
bool inputs_file(struct inputs *in, const char *path, const struct input_file **out,
                 struct error **err) must_check;
/* A small file's text, NUL-terminated; at most max_bytes. Owned by in. */
bool inputs_text(struct inputs *in, const char *path, size_t max_bytes, const char **text,
                 size_t *size, struct error **err) must_check;

/* The SHA-256 of something remote whose digest the recipe does not say (it is verified by a
 * checksum file): learned after the fetch, or from the lock, so that a plan made afterwards knows
 * it. */
void inputs_learn(struct inputs *in, const char *url, const char *sha256);
/* What was learned, or NULL. Owned by in. */
const char *inputs_learned(const struct inputs *in, const char *url);

enum input_kind { INPUT_FILE, INPUT_DIRECTORY, INPUT_LINK };
struct input_member {
    enum input_kind kind;
    const char *name;              /* relative to the tree, no leading slash */
    const char *target;            /* INPUT_LINK: as written */
    const struct input_file *file; /* INPUT_FILE */
    mode_t mode;                   /* permission bits as on the host */
};
struct input_tree {
    const char *path;
    const struct input_member *members; /* sorted by name, parents before children */
    size_t count;
};

#define INPUTS_MAX_MEMBERS 100000
#define INPUTS_MAX_DEPTH 64

/* A whole tree. Links:
 *  - a relative one that stays inside the tree stays a link, whether or not its target is there;
 *  - an absolute one (/nix/store/…) and one that leads outside are followed: the member is what
 * they point to, a file or a whole folder. One that points nowhere is ERROR_INPUT;
 *  - one to /dev/null stays a link: so systemd masks a unit.
 * Devices, sockets, pipes, names with control characters or not in UTF-8, folders that contain
 * themselves, and trees beyond the limits above are refused by name (ERROR_INPUT). */
bool inputs_tree(struct inputs *in, const char *path, const struct input_tree **out,
                 struct error **err) must_check;

/* True for a name, or path, in well-formed UTF-8 (RFC 3629) without control characters. */
bool inputs_is_good_name(const char *name);

static inline void cleanup_inputs(struct inputs **in)
{
    inputs_free(*in);
}
#define autoinputs cleanup(cleanup_inputs)

#endif
