#include "disk/appliance_tar.h"

#include "disk/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

static void cleanup_archive(struct archive **w)
{
    if (*w)
        archive_write_free(*w);
}

static void cleanup_entry(struct archive_entry **e)
{
    archive_entry_free(*e);
}

static bool fail(struct archive *w, const char *to, struct error **err)
{
    return error_errno(err, ERROR_HOST, archive_errno(w), "cannot write '%s'", to);
}

static const mode_t types[] = {[TAR_FOLDER] = AE_IFDIR,
                               [TAR_FILE] = AE_IFREG,
                               [TAR_SYMLINK] = AE_IFLNK,
                               [TAR_HARDLINK] = AE_IFREG};

static void describe(struct archive_entry *out, struct tar_reader *t, const struct tar_entry *e,
                     const struct tar_rename *r)
{
    archive_entry_copy_pathname(out, strcmp(r->path, "/") == 0 ? "." : r->path + 1);
    archive_entry_set_filetype(out, types[e->type]);
    archive_entry_set_perm(out, e->mode);
    archive_entry_set_uid(out, e->uid);
    archive_entry_set_gid(out, e->gid);
    archive_entry_set_mtime(out, e->mtime, 0);
    archive_entry_set_size(out, e->type == TAR_FILE ? (int64_t)e->size : 0);
    if (e->type == TAR_SYMLINK)
        archive_entry_copy_symlink(out, e->link);
    if (e->type == TAR_HARDLINK)
        archive_entry_copy_hardlink(out, r->link + 1);
    const char *name;
    const void *value;
    size_t size;
    while (tar_xattr(t, &name, &value, &size))
        archive_entry_xattr_add_entry(out, name, value, size);
}

static bool copy_data(struct tar_reader *t, struct archive *w, const char *to, struct error **err)
{
    static const char zeros[4096];
    const void *bytes;
    size_t size;
    uint64_t offset, at = 0;
    for (;;) {
        if (!tar_data(t, &bytes, &size, &offset, err))
            return false;
        if (!size)
            return true;
        while (at < offset) {
            size_t n = offset - at < sizeof zeros ? (size_t)(offset - at) : sizeof zeros;
            if (archive_write_data(w, zeros, n) < 0)
                return fail(w, to, err);
            at += n;
        }
        if (archive_write_data(w, bytes, size) < 0)
            return fail(w, to, err);
        at += size;
    }
}

static bool copy_entry(struct tar_reader *t, const struct tar_entry *e, const struct tar_rename *r,
                       struct archive *w, const char *to, struct error **err)
{
    cleanup(cleanup_entry) struct archive_entry *out = archive_entry_new();
    if (!out)
        abort();
    describe(out, t, e, r);
    if (archive_write_header(w, out) != ARCHIVE_OK)
        return fail(w, to, err);
    return e->type != TAR_FILE || copy_data(t, w, to, err);
}

bool tar_write_renamed(const char *from, const struct tar_rename *renames, size_t count,
                       const char *to, struct error **err)
{
    struct tar_reader *opened = NULL;
    if (!tar_open(from, &opened, err))
        return false;
    autotar struct tar_reader *t = opened;
    cleanup(cleanup_archive) struct archive *w = archive_write_new();
    if (!w)
        abort();
    /* Names are bytes: in the C locale libarchive would refuse others than ASCII. */
    if (archive_write_set_format_pax(w) != ARCHIVE_OK ||
        archive_write_set_options(w, "hdrcharset=BINARY") != ARCHIVE_OK ||
        archive_write_open_filename(w, to) != ARCHIVE_OK)
        return fail(w, to, err);
    const struct tar_entry *e = NULL;
    for (size_t i = 0;; i++) {
        if (!tar_next(t, &e, err))
            return false;
        if (!e)
            break;
        if (i >= count)
            return error_set(err, ERROR_CHANGED, "'%s' changed while it was read", from);
        if (!renames[i].omit && !copy_entry(t, e, &renames[i], w, to, err))
            return false;
    }
    return archive_write_close(w) == ARCHIVE_OK || fail(w, to, err);
}
