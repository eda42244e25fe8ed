/* A tar (ustar, pax or GNU, uncompressed), entry by entry, through libarchive. Names are made clean
 * and relative to the root; what would leave it, and what is not a folder, file or link, is
 * refused. */
#ifndef INGOT_DISK_TAR_READER_H
#define INGOT_DISK_TAR_READER_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

enum tar_type { TAR_FOLDER, TAR_FILE, TAR_SYMLINK, TAR_HARDLINK };

struct tar_entry {
    enum tar_type type;
    const char *path; /* "/etc/x": clean and absolute in the guest; "/" is the root itself */
    const char *link; /* of a symlink, as it stands; of a hard link, clean and absolute */
    mode_t mode;      /* permissions only */
    uint32_t uid, gid;
    int64_t mtime;
    uint64_t size; /* of a file */
};

struct tar_reader;

bool tar_open(const char *path, struct tar_reader **out, struct error **err) must_check;
/* The next entry, valid until the next call; *e is NULL behind the last. */
bool tar_next(struct tar_reader *t, const struct tar_entry **e, struct error **err) must_check;
/* The next piece of the current file: size bytes at offset (what lies between is zero); size 0 at
 * the end. Pieces do not overlap, come in order and stay within the entry's size. */
bool tar_data(struct tar_reader *t, const void **bytes, size_t *size, uint64_t *offset,
              struct error **err) must_check;
/* The next extended attribute of the current entry; false behind the last. */
bool tar_xattr(struct tar_reader *t, const char **name, const void **value, size_t *size);
void tar_close(struct tar_reader *t);

static inline void cleanup_tar(struct tar_reader **t)
{
    tar_close(*t);
}
#define autotar cleanup(cleanup_tar)

#endif
