/* The two small things about tar archives (POSIX.1 pax interchange format, ustar headers) that the
 * making of a base needs: an archive of a few configuration files, and an archive copied without
 * some of its members.
 */
#ifndef INGOT_BAKE_BOOTSTRAP_TAR_H
#define INGOT_BAKE_BOOTSTRAP_TAR_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>

/* Appends a member owned by root. path: relative, at most 99 bytes. `link`: it is a symbolic link
 * to that; a path that ends in a slash is a folder; else a file with this content. */
void tar_add(struct buffer *tar, const char *path, unsigned mode, const char *content,
             const char *link, int64_t epoch);
/* The same for a file of any bytes. */
void tar_add_bytes(struct buffer *tar, const char *path, unsigned mode, const void *bytes,
                   size_t size, int64_t epoch);
/* The two empty blocks at the end. */
void tar_end(struct buffer *tar);

/* What members will occupy: bytes in blocks of 4 KiB, and their number. */
struct tar_totals {
    uint64_t bytes, members;
};

/* Copies the archive without the members that match one of the patterns (fnmatch(3): `*` does not
 * match a slash, what lies below a match matches too; paths without leading "./"), with `more`
 * (members made by tar_add) behind them. totals counts what was copied. ERROR_INPUT where it is no
 * tar archive. */
bool tar_copy_without(int in, int out, const char *const *patterns, const struct buffer *more,
                      struct tar_totals *totals, struct error **err) must_check;

#endif
