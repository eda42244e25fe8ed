#include "payload/tar.h"

#include "base/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#define BLOCK (1 << 18)
#define RECORD 10240 /* what tar(1) fills up to */

struct tar_out {
    struct archive *archive;
    int fd;
    int64_t epoch;
    struct digest *digest;
    uint64_t size;
    bool discard;          /* nothing more is written */
    struct error *failure; /* of the callback: what libarchive can only say as -1 */
};

static la_ssize_t write_block(struct archive *a, void *data, const void *bytes, size_t size)
{
    struct tar_out *t = data;
    (void)a;
    if (t->discard || !file_write_all(t->fd, bytes, size, &t->failure))
        return -1;
    digest_add(t->digest, bytes, size);
    t->size += size;
    return (la_ssize_t)size;
}

static bool failed(struct tar_out *t, const char *path, struct error **err)
{
    if (t->failure && err && !*err) {
        *err = take_ptr(t->failure);
        return false;
    }
    return error_set(err, ERROR_HOST, "%s: %s", path ? path : "the payload",
                     archive_error_string(t->archive));
}

bool tar_out_open(int fd, int64_t epoch, struct tar_out **out, struct error **err)
{
    autotar_out struct tar_out *t = calloc(1, sizeof *t);
    if (!t || !(t->archive = archive_write_new()))
        abort();
    t->fd = fd;
    t->epoch = epoch;
    t->digest = digest_new(DIGEST_SHA256);
    if (archive_write_set_format_pax_restricted(t->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(t->archive, BLOCK) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(t->archive, RECORD) != ARCHIVE_OK ||
        archive_write_open(t->archive, t, NULL, write_block, NULL) != ARCHIVE_OK)
        return failed(t, NULL, err);
    *out = take_ptr(t);
    return true;
}

static void cleanup_entry(struct archive_entry **e)
{
    archive_entry_free(*e);
}
#define autoentry cleanup(cleanup_entry)

/* An entry without names of users and groups: ids are the guest's. */
static struct archive_entry *new_entry(struct tar_out *t, const char *path, mode_t type,
                                       mode_t mode, uid_t uid, gid_t gid)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        abort();
    archive_entry_set_pathname(e, path + 1);
    archive_entry_set_filetype(e, type);
    archive_entry_set_perm(e, mode);
    archive_entry_set_uid(e, uid);
    archive_entry_set_gid(e, gid);
    archive_entry_set_mtime(e, t->epoch, 0);
    archive_entry_set_size(e, 0);
    return e;
}

static bool write_header(struct tar_out *t, struct archive_entry *e, const char *path,
                         struct error **err)
{
    return archive_write_header(t->archive, e) == ARCHIVE_OK || failed(t, path, err);
}

bool tar_out_file(struct tar_out *t, const char *path, mode_t mode, uid_t uid, gid_t gid,
                  uint64_t size, struct error **err)
{
    autoentry struct archive_entry *e = new_entry(t, path, AE_IFREG, mode, uid, gid);
    archive_entry_set_size(e, (la_int64_t)size);
    return write_header(t, e, path, err);
}

bool tar_out_data(struct tar_out *t, const void *bytes, size_t size, struct error **err)
{
    la_ssize_t n = archive_write_data(t->archive, bytes, size);
    return n == (la_ssize_t)size || failed(t, NULL, err);
}

bool tar_out_folder(struct tar_out *t, const char *path, mode_t mode, uid_t uid, gid_t gid,
                    struct error **err)
{
    autoentry struct archive_entry *e = new_entry(t, path, AE_IFDIR, mode, uid, gid);
    return write_header(t, e, path, err);
}

bool tar_out_link(struct tar_out *t, const char *path, const char *target, struct error **err)
{
    autoentry struct archive_entry *e = new_entry(t, path, AE_IFLNK, 0777, 0, 0);
    archive_entry_set_symlink(e, target);
    return write_header(t, e, path, err);
}

bool tar_out_hardlink(struct tar_out *t, const char *path, const char *target, struct error **err)
{
    autoentry struct archive_entry *e = new_entry(t, path, AE_IFREG, 0644, 0, 0);
    archive_entry_set_hardlink(e, target + 1);
    archive_entry_unset_size(e);
    return write_header(t, e, path, err);
}

bool tar_out_close(struct tar_out *t, char sha256[DIGEST_HEX_MAX], uint64_t *size,
                   struct error **err)
{
    if (archive_write_close(t->archive) != ARCHIVE_OK)
        return failed(t, NULL, err);
    digest_finish(t->digest, sha256);
    *size = t->size;
    return true;
}

void tar_out_free(struct tar_out *t)
{
    if (!t)
        return;
    t->discard = true; /* freeing closes: a tar that is not complete gets no end */
    archive_write_free(t->archive);
    digest_free(t->digest);
    error_free(t->failure);
    free(t);
}
