/* Laying a tar over the tree: each entry replaces what stands at its path. */
#include "base/interrupt.h"
#include "base/path.h"
#include "disk/ext4_disk.h"
#include "disk/tar_reader.h"

#include <string.h>

#define CHUNK (1 << 20) /* a multiple of every block size */

/* The folder at a path, made with its parents where it is missing. */
static bool ensure_folder(struct ext4_disk *d, const char *path, struct ext4_node *out,
                          struct error **err)
{
    if (d->cached_path && strcmp(d->cached_path, path) == 0) {
        *out = d->cached;
        return true;
    }
    autofree struct ext4_place *at = malloc(sizeof *at);
    if (!at)
        abort();
    if (!ext4_walk(d, path, true, at, err))
        return false;
    if (at->node.ino) {
        struct ext2_inode_large inode;
        if (!ext4_read_inode(at->node, &inode, err))
            return false;
        if (!S_ISDIR(inode.i_mode))
            return error_set(err, ERROR_INPUT, "%s is a file in the guest and no folder", path);
        *out = at->node;
    } else {
        struct ext4_node parent;
        autofree char *above = path_dirname(path);
        if (!ensure_folder(d, above, &parent, err) || !ext4_walk(d, path, false, at, err))
            return false;
        if (at->node.ino)
            return error_set(err, ERROR_INPUT, "%s is a link in the guest that leads nowhere",
                             path);
        struct ext4_attributes a = {.mode = 0755, .mtime = d->epoch};
        if (!ext4_make_folder(d, parent, at->name, &a, out, err))
            return false;
    }
    free(d->cached_path);
    d->cached_path = strdup(path);
    d->cached = *out;
    return true;
}

/* The blocks of a file as runs, in the order of the file. */
struct runs {
    struct run {
        blk64_t start, count;
    } * items;
    size_t count, room;
};

static void free_runs(struct runs *r)
{
    free(r->items);
}

static bool read_runs(struct ext4_node n, struct runs *r, struct error **err)
{
    ext2_extent_handle_t h = NULL;
    struct ext2fs_extent e;
    errcode_t rc = ext2fs_extent_open(n.on->fs, n.ino, &h);
    for (int op = EXT2_EXTENT_ROOT; !rc; op = EXT2_EXTENT_NEXT) {
        rc = ext2fs_extent_get(h, op, &e);
        if (rc || !(e.e_flags & EXT2_EXTENT_FLAGS_LEAF) ||
            (e.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
            continue;
        if (r->count == r->room) {
            r->room = r->room ? 2 * r->room : 8;
            r->items = reallocarray(r->items, r->room, sizeof *r->items);
            if (!r->items)
                abort();
        }
        r->items[r->count++] = (struct run){e.e_pblk, e.e_len};
    }
    if (h)
        ext2fs_extent_free(h);
    /* The root of a file without blocks holds no extent at all. */
    if (rc == EXT2_ET_EXTENT_NO_NEXT || rc == EXT2_ET_NO_CURRENT_NODE)
        rc = 0;
    return rc == 0 || ext4_error(err, rc, "cannot read the extents of inode %u", n.ino);
}

/* Bytes on their way into the blocks of a new file. */
struct sink {
    ext2_filsys fs;
    struct runs runs;
    size_t run;    /* where the next block goes */
    blk64_t block; /* in that run */
    char *buffer;  /* CHUNK bytes */
    size_t used;
};

static void free_sink(struct sink *s)
{
    free_runs(&s->runs);
    free(s->buffer);
}

/* Writes what is buffered, the last block filled up with zeros. */
static bool drain(struct sink *s, struct error **err)
{
    size_t size = s->fs->blocksize, blocks = (s->used + size - 1) / size, done = 0;
    memset(s->buffer + s->used, 0, blocks * size - s->used);
    while (done < blocks) {
        if (s->run == s->runs.count)
            return error_set(err, ERROR_INTERNAL, "a new file has too few blocks");
        const struct run *r = &s->runs.items[s->run];
        blk64_t part = r->count - s->block;
        if (part > blocks - done)
            part = blocks - done;
        errcode_t rc = io_channel_write_blk64(s->fs->io, r->start + s->block, (int)part,
                                              s->buffer + done * size);
        if (rc)
            return ext4_error(err, rc, "cannot write to the disk");
        done += part;
        s->block += part;
        if (s->block == r->count) {
            s->run++;
            s->block = 0;
        }
    }
    s->used = 0;
    return true;
}

/* bytes NULL: zeros. */
static bool pour(struct sink *s, const char *bytes, uint64_t size, struct error **err)
{
    while (size > 0) {
        size_t part = CHUNK - s->used;
        if (part > size)
            part = (size_t)size;
        if (bytes) {
            memcpy(s->buffer + s->used, bytes, part);
            bytes += part;
        } else {
            memset(s->buffer + s->used, 0, part);
        }
        s->used += part;
        size -= part;
        if (s->used == CHUNK && (interrupted() ? !interrupt_error(err) : !drain(s, err)))
            return false;
    }
    return true;
}

static bool fill_file(struct ext4_node n, struct tar_reader *tar, uint64_t size, struct error **err)
{
    cleanup(free_sink) struct sink s = {.fs = n.on->fs, .buffer = malloc(CHUNK)};
    if (!s.buffer)
        abort();
    if (!read_runs(n, &s.runs, err))
        return false;
    uint64_t at = 0;
    for (;;) {
        const void *bytes;
        size_t part;
        uint64_t offset;
        if (!tar_data(tar, &bytes, &part, &offset, err))
            return false;
        if (part == 0)
            break;
        if (!pour(&s, NULL, offset - at, err) || !pour(&s, bytes, part, err))
            return false;
        at = offset + part;
    }
    return pour(&s, NULL, size - at, err) && drain(&s, err);
}

static const char *const xattr_kinds[] = {"security.", "user.", "trusted."};

static bool set_xattrs(struct ext4_node n, const char *path, struct tar_reader *tar,
                       struct error **err)
{
    struct ext2_xattr_handle *h = NULL;
    const char *name;
    const void *value;
    size_t size;
    errcode_t rc = 0;
    while (!rc && tar_xattr(tar, &name, &value, &size)) {
        bool known = false;
        for (size_t i = 0; i < COUNT(xattr_kinds); i++)
            known = known || strncmp(name, xattr_kinds[i], strlen(xattr_kinds[i])) == 0;
        if (!known) {
            if (h)
                ext2fs_xattrs_close(&h);
            return error_set(err, ERROR_INPUT,
                             "%s has the extended attribute %s, which is not laid", path, name);
        }
        if (!h) {
            rc = ext2fs_xattrs_open(n.on->fs, n.ino, &h);
            if (!rc)
                rc = ext2fs_xattrs_read(h);
        }
        if (!rc)
            rc = ext2fs_xattr_set(h, name, value, size);
    }
    if (h) {
        errcode_t closed = ext2fs_xattrs_close(&h); /* writes them */
        rc = rc ? rc : closed;
    }
    return rc == 0 || ext4_error(err, rc, "cannot set the extended attributes of %s", path);
}

/* Folders: one that is there keeps its identity, and so does a link that leads to one, as /lib on a
 * guest with a merged /usr. */
static bool lay_folder(struct ext4_disk *d, const struct tar_entry *e, struct tar_reader *tar,
                       const struct ext4_attributes *a, struct error **err)
{
    autofree struct ext4_place *at = malloc(sizeof *at);
    if (!at)
        abort();
    if (!ext4_walk(d, e->path, false, at, err))
        return false;
    if (at->node.ino) {
        struct ext2_inode_large inode;
        if (!ext4_read_inode(at->node, &inode, err))
            return false;
        if (S_ISDIR(inode.i_mode))
            return ext4_set_attributes(d, at->node, a, err) &&
                   set_xattrs(at->node, e->path, tar, err);
        if (S_ISLNK(inode.i_mode)) {
            struct ext4_node folder;
            return ensure_folder(d, e->path, &folder, err);
        }
        return error_set(err, ERROR_INPUT, "%s is a file in the guest and no folder", e->path);
    }
    struct ext4_node parent, made;
    autofree char *above = path_dirname(e->path);
    return ensure_folder(d, above, &parent, err) &&
           ext4_make_folder(d, parent, path_basename(e->path), a, &made, err) &&
           set_xattrs(made, e->path, tar, err);
}

/* Makes room at a path for a file or link. */
static bool clear_place(struct ext4_disk *d, const struct ext4_place *at, struct error **err)
{
    struct ext2_inode_large inode;
    if (!at->node.ino)
        return true;
    if (!ext4_read_inode(at->node, &inode, err))
        return false;
    if (!*at->name)
        return error_set(err, ERROR_INPUT, "%s is a mounted file system in the guest", at->path);
    if (!S_ISDIR(inode.i_mode))
        return ext4_unlink(d, at, err);
    /* tar(1) replaces an empty folder too. */
    if (ext4_unlink(d, at, err))
        return true;
    return error_wrap(err, "a file or link cannot replace the folder %s", at->path);
}

static bool lay_hardlink(struct ext4_disk *d, const struct tar_entry *e,
                         const struct ext4_place *at, struct ext4_node parent, struct error **err)
{
    autofree struct ext4_place *target = malloc(sizeof *target);
    if (!target)
        abort();
    struct ext2_inode_large inode;
    if (!ext4_walk(d, e->link, false, target, err))
        return false;
    if (!target->node.ino)
        return error_set(err, ERROR_INPUT, "%s is a hard link to %s, which is not there", e->path,
                         e->link);
    if (at->node.ino == target->node.ino && at->node.on == target->node.on)
        return true;
    if (!ext4_read_inode(target->node, &inode, err))
        return false;
    if (S_ISDIR(inode.i_mode) || target->node.on != parent.on || inode.i_links_count >= 65000)
        return error_set(err, ERROR_INPUT, "%s cannot be a hard link to %s: %s", e->path, e->link,
                         S_ISDIR(inode.i_mode)          ? "that is a folder"
                         : target->node.on != parent.on ? "that is on another file system"
                                                        : "that has too many links");
    if (!clear_place(d, at, err) || !ext4_read_inode(target->node, &inode, err))
        return false;
    inode.i_links_count++;
    return ext4_write_inode(target->node, &inode, err) && ext4_touch(d, parent, err) &&
           ext4_link(d, parent, path_basename(e->path), target->node.ino, inode.i_mode, err);
}

static bool lay_entry(struct ext4_disk *d, const struct tar_entry *e, struct tar_reader *tar,
                      struct error **err)
{
    struct ext4_attributes a = {.mode = e->mode, .uid = e->uid, .gid = e->gid, .mtime = e->mtime};
    if (e->type == TAR_FOLDER)
        return lay_folder(d, e, tar, &a, err);
    if (strcmp(e->path, "/") == 0)
        return error_set(err, ERROR_INPUT, "the tar would replace the root folder");
    const char *name = path_basename(e->path);
    struct ext4_node parent, made;
    autofree char *above = path_dirname(e->path);
    autofree struct ext4_place *at = malloc(sizeof *at);
    if (!at)
        abort();
    if (!ensure_folder(d, above, &parent, err) || !ext4_walk(d, e->path, false, at, err))
        return false;
    if (e->type == TAR_HARDLINK)
        return lay_hardlink(d, e, at, parent, err);
    if (!clear_place(d, at, err))
        return false;
    if (e->type == TAR_SYMLINK)
        return ext4_make_symlink(d, parent, name, e->link, &a, &made, err) &&
               set_xattrs(made, e->path, tar, err);
    return ext4_make_file(d, parent, e->size, &a, &made, err) &&
           fill_file(made, tar, e->size, err) &&
           ext4_link(d, parent, name, made.ino, S_IFREG, err) &&
           set_xattrs(made, e->path, tar, err);
}

bool ext4_lay(struct disk *base, const char *tar_path, struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    if (!d->writable)
        return error_set(err, ERROR_INTERNAL, "the disk was opened for reading only");
    if (!ext4_check_space(d, tar_path, err))
        return false;
    autotar struct tar_reader *tar = NULL;
    if (!tar_open(tar_path, &tar, err))
        return false;
    for (;;) {
        const struct tar_entry *e;
        if (interrupted())
            return interrupt_error(err);
        if (!tar_next(tar, &e, err))
            return false;
        if (!e)
            return true;
        if (!lay_entry(d, e, tar, err))
            return error_wrap(err, "cannot lay %s", e->path);
    }
}
