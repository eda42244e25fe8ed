/* Looking into a raw disk and changing what is on it, behind one small table.
 *
 * Two implementations: ext4 (libext2fs on the host, no appliance) and appliance (libguestfs, every
 * file system, and guest programs). Both must give the same tree; a test compares them. Paths are
 * clean absolute guest paths; links in parent folders are followed as the guest would follow them,
 * and a path that would leave the root through a link is refused (ERROR_INPUT).
 */
#ifndef INGOT_DISK_WRITER_H
#define INGOT_DISK_WRITER_H

#include "base/arena.h"
#include "base/error.h"
#include "resolve/facts.h"

#include <stdint.h>
#include <sys/stat.h>

struct disk_options {
    const char *raw; /* path of the raw disk */
    bool writable;
    const struct facts *facts; /* its mounts say what is where; NULL: look at the disk */
    int64_t epoch;             /* every time that is written */
};

/* What stands at a path, the last component not followed. */
struct disk_stat {
    mode_t mode; /* type and permissions */
    uint32_t uid, gid;
    uint64_t size;
};

struct disk; /* each implementation starts its own structure with a struct disk */

struct disk_writer {
    const char *name; /* "ext4", "appliance" */
    /* ERROR_UNSUPPORTED: this writer cannot, another may (journal to recover, unknown features …).
     */
    bool (*open)(const struct disk_options *o, struct disk **out, struct error **err);
    /* Lays a tar (pax or ustar, uncompressed) over the root: what stands there is replaced, folders
     * that exist keep their identity and, unless the tar names them with another mode, mode. */
    bool (*lay)(struct disk *d, const char *tar_path, struct error **err);
    /* The whole file, at most max bytes, NUL-terminated; free *text. */
    bool (*read)(struct disk *d, const char *path, size_t max, char **text, size_t *size,
                 struct error **err);
    /* Found or not, both are true. follow: the last component too. */
    bool (*stat)(struct disk *d, const char *path, bool follow, struct disk_stat *st, bool *found,
                 struct error **err);
    /* Names in a folder, sorted, without . and ..; NULL at the end; a folder that is absent has
     * none. Free each name and the list. */
    bool (*list)(struct disk *d, const char *path, char ***names, struct error **err);
    /* Removes a file, link or whole tree; what is absent is fine. */
    bool (*remove)(struct disk *d, const char *path, struct error **err);
    /* Cuts a file to nothing, keeping it; what is absent is fine. */
    bool (*truncate)(struct disk *d, const char *path, struct error **err);
    /* Flushes, checks, releases; with an error nothing is promised of the disk. Always frees d. */
    bool (*close)(struct disk *d, struct error **err);
};

struct disk {
    const struct disk_writer *writer;
};

extern const struct disk_writer disk_ext4;
extern const struct disk_writer disk_appliance;

/* Opens with ext4, and where that cannot, with the appliance. */
bool disk_open(const struct disk_options *o, struct disk **out, struct error **err) must_check;
/* Closes without looking at errors: for clean-up on failure. */
void disk_abandon(struct disk *d);
void disk_free_names(char **names);

static inline void cleanup_disk(struct disk **d)
{
    if (*d)
        disk_abandon(*d);
}
#define autodisk cleanup(cleanup_disk)
static inline void cleanup_names(char ***names)
{
    disk_free_names(*names);
}
#define autonames cleanup(cleanup_names)

/* Facts of the base on this disk (see resolve/facts.h), read through an open disk. */
bool disk_read_facts(struct disk *d, const struct disk_options *o, struct arena *a,
                     const struct facts **out, struct error **err) must_check;

#endif
