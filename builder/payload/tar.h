/* Writing the payload's tar through libarchive; see payload.h for its form. Shared by the files of
 * this layer only.
 */
#ifndef INGOT_PAYLOAD_TAR_H
#define INGOT_PAYLOAD_TAR_H

#include "base/digest.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct tar_out;

/* Writes to fd, which stays the caller's. Every time is epoch. */
bool tar_out_open(int fd, int64_t epoch, struct tar_out **out, struct error **err) must_check;
/* Paths are absolute in the guest. A file's header is followed by exactly size bytes of data. */
bool tar_out_file(struct tar_out *t, const char *path, mode_t mode, uid_t uid, gid_t gid,
                  uint64_t size, struct error **err) must_check;
bool tar_out_data(struct tar_out *t, const void *bytes, size_t size, struct error **err) must_check;
bool tar_out_folder(struct tar_out *t, const char *path, mode_t mode, uid_t uid, gid_t gid,
                    struct error **err) must_check;
bool tar_out_link(struct tar_out *t, const char *path, const char *target, struct error **err)
    must_check;
/* A hard link to a file that was written before. */
bool tar_out_hardlink(struct tar_out *t, const char *path, const char *target, struct error **err)
    must_check;
/* Writes the end. */
bool tar_out_close(struct tar_out *t, char sha256[DIGEST_HEX_MAX], uint64_t *size,
                   struct error **err) must_check;
void tar_out_free(struct tar_out *t);

static inline void cleanup_tar_out(struct tar_out **t)
{
    tar_out_free(*t);
}
#define autotar_out cleanup(cleanup_tar_out)

#endif
