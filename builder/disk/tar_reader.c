#include "disk/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

struct tar_reader {
    struct archive *archive;
    struct archive_entry *raw;
    struct tar_entry entry;
    char *file, *path, *link;
    uint64_t at; /* end of the last piece of data */
};

bool tar_open(const char *path, struct tar_reader **out, struct error **err)
{
    autotar struct tar_reader *t = calloc(1, sizeof *t);
    if (!t || !(t->archive = archive_read_new()) || !(t->file = strdup(path)))
        abort();
    archive_read_support_format_tar(t->archive);
    if (archive_read_open_filename(t->archive, path, 1 << 18) != ARCHIVE_OK)
        return error_set(err, ERROR_INPUT, "cannot read %s: %s", path,
                         archive_error_string(t->archive));
    *out = take_ptr(t);
    return true;
}

/* "./etc//x/" becomes "/etc/x"; NULL where it is no name inside the root. */
static char *clean(const char *name)
{
    size_t room = strlen(name) + 2, used = 0;
    char *out = malloc(room);
    if (!out)
        abort();
    while (*name) {
        size_t n = strcspn(name, "/");
        bool up = n == 2 && memcmp(name, "..", 2) == 0;
        if (up || n > 255) {
            free(out);
            return NULL;
        }
        if (n > 0 && !(n == 1 && *name == '.')) {
            out[used++] = '/';
            memcpy(out + used, name, n);
            used += n;
        }
        name += n + (name[n] == '/');
    }
    if (used == 0)
        out[used++] = '/';
    out[used] = '\0';
    return out;
}

/* libarchive's plain getters give NULL for a UTF-8 name in the C locale. */
static const char *first_of(const char *plain, const char *utf8)
{
    return plain ? plain : utf8;
}

static bool read_links(struct tar_reader *t, struct error **err)
{
    struct tar_entry *e = &t->entry;
    const char *hard =
        first_of(archive_entry_hardlink(t->raw), archive_entry_hardlink_utf8(t->raw));
    const char *symlink =
        first_of(archive_entry_symlink(t->raw), archive_entry_symlink_utf8(t->raw));
    if (hard) {
        t->link = clean(hard);
        if (!t->link)
            return error_set(err, ERROR_INPUT, "%s: %s is a hard link to '%s', outside the root",
                             t->file, t->path, hard);
        e->type = TAR_HARDLINK;
    } else if (archive_entry_filetype(t->raw) == AE_IFLNK) {
        if (!symlink || !*symlink || strlen(symlink) > 4095)
            return error_set(err, ERROR_INPUT, "%s: the target of the link %s is empty or too long",
                             t->file, t->path);
        t->link = strdup(symlink);
        e->type = TAR_SYMLINK;
    } else if (archive_entry_filetype(t->raw) == AE_IFDIR) {
        e->type = TAR_FOLDER;
    } else if (archive_entry_filetype(t->raw) == AE_IFREG) {
        e->type = TAR_FILE;
    } else {
        return error_set(err, ERROR_INPUT, "%s: %s is a device, pipe or socket, which is not laid",
                         t->file, t->path);
    }
    e->link = t->link;
    return true;
}

bool tar_next(struct tar_reader *t, const struct tar_entry **e, struct error **err)
{
    *e = NULL;
    free(take_ptr(t->path));
    free(take_ptr(t->link));
    t->entry = (struct tar_entry){0};
    t->at = 0;
    int rc = archive_read_next_header(t->archive, &t->raw);
    if (rc == ARCHIVE_EOF)
        return true;
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return error_set(err, ERROR_INPUT, "%s is no good tar: %s", t->file,
                         archive_error_string(t->archive));
    const char *name =
        first_of(archive_entry_pathname(t->raw), archive_entry_pathname_utf8(t->raw));
    t->path = name && *name && strlen(name) < 4096 ? clean(name) : NULL;
    if (!t->path)
        return error_set(err, ERROR_INPUT,
                         "%s: the name '%s' is too long or leads outside the root", t->file,
                         name ? name : "");
    int64_t size = archive_entry_size(t->raw), uid = archive_entry_uid(t->raw),
            gid = archive_entry_gid(t->raw);
    if (size < 0 || uid < 0 || gid < 0 || uid > UINT32_MAX || gid > UINT32_MAX)
        return error_set(err, ERROR_INPUT, "%s: %s has an owner or size out of range", t->file,
                         t->path);
    t->entry.path = t->path;
    t->entry.mode = archive_entry_perm(t->raw) & 07777;
    t->entry.uid = (uint32_t)uid;
    t->entry.gid = (uint32_t)gid;
    t->entry.mtime = archive_entry_mtime(t->raw);
    if (!read_links(t, err))
        return false;
    if (t->entry.type == TAR_FILE)
        t->entry.size = (uint64_t)size;
    archive_entry_xattr_reset(t->raw);
    *e = &t->entry;
    return true;
}

bool tar_data(struct tar_reader *t, const void **bytes, size_t *size, uint64_t *offset,
              struct error **err)
{
    int64_t at = 0;
    int rc;
    do {
        *size = 0;
        rc = archive_read_data_block(t->archive, bytes, size, &at);
    } while (rc == ARCHIVE_OK && *size == 0);
    if (rc == ARCHIVE_EOF) {
        *size = 0;
        return true;
    }
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return error_set(err, ERROR_INPUT, "%s is no good tar: %s: %s", t->file, t->path,
                         archive_error_string(t->archive));
    if (at < 0 || (uint64_t)at < t->at || (uint64_t)at > t->entry.size ||
        *size > t->entry.size - (uint64_t)at)
        return error_set(err, ERROR_INPUT, "%s is no good tar: %s has data outside its size",
                         t->file, t->path);
    *offset = (uint64_t)at;
    t->at = (uint64_t)at + *size;
    return true;
}

bool tar_xattr(struct tar_reader *t, const char **name, const void **value, size_t *size)
{
    return archive_entry_xattr_next(t->raw, name, value, size) == ARCHIVE_OK;
}

void tar_close(struct tar_reader *t)
{
    if (!t)
        return;
    if (t->archive)
        archive_read_free(t->archive);
    free(t->file);
    free(t->path);
    free(t->link);
    free(t);
}
