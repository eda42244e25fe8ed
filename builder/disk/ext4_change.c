/* Changing an ext4: names, inodes and their blocks. Every time written is the epoch, but for the
 * modification times that a caller gives. */
#include "disk/ext4_disk.h"

#include <string.h>

/* Seconds since 1970 as ext4 keeps them: 32 bits, and two more in the extra field. */
static void split_time(int64_t t, uint32_t *low, uint32_t *extra)
{
    const int64_t least = INT32_MIN, most = ((int64_t)3 << 32) + INT32_MAX;
    t = t < least ? least : t > most ? most : t;
    *low = (uint32_t)t;
    *extra = (uint32_t)(((uint64_t)t - (uint64_t)(int64_t)(int32_t)*low) >> 32) & 3;
}

static bool has_extra(const struct ext4_node n, const struct ext2_inode_large *inode, size_t end)
{
    return EXT2_INODE_SIZE(n.on->fs->super) > EXT2_GOOD_OLD_INODE_SIZE &&
           EXT2_GOOD_OLD_INODE_SIZE + (size_t)inode->i_extra_isize >= end;
}

#define SET_TIME(n, inode, field, t)                                                               \
    do {                                                                                           \
        uint32_t low_, extra_;                                                                     \
        split_time((t), &low_, &extra_);                                                           \
        (inode)->i_##field = low_;                                                                 \
        if (has_extra((n), (inode),                                                                \
                      offsetof(struct ext2_inode_large, i_##field##_extra) +                       \
                          sizeof(inode)->i_##field##_extra))                                       \
            (inode)->i_##field##_extra = extra_;                                                   \
    } while (0)

static void set_times(const struct ext4_disk *d, struct ext4_node n, int64_t mtime, bool created,
                      struct ext2_inode_large *inode)
{
    SET_TIME(n, inode, mtime, mtime);
    SET_TIME(n, inode, ctime, d->epoch);
    if (!created)
        return;
    SET_TIME(n, inode, atime, d->epoch);
    if (has_extra(n, inode, offsetof(struct ext2_inode_large, i_crtime_extra) + 4))
        SET_TIME(n, inode, crtime, d->epoch);
}

static void set_owner(struct ext2_inode_large *inode, const struct ext4_attributes *a)
{
    inode->i_mode = (uint16_t)((inode->i_mode & S_IFMT) | (a->mode & 07777));
    inode->i_uid = (uint16_t)a->uid;
    inode->i_gid = (uint16_t)a->gid;
    ext2fs_set_i_uid_high(*inode, (uint16_t)(a->uid >> 16));
    ext2fs_set_i_gid_high(*inode, (uint16_t)(a->gid >> 16));
}

static bool put_attributes(struct ext4_disk *d, struct ext4_node n, bool created,
                           const struct ext4_attributes *a, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(n, &inode, err))
        return false;
    set_owner(&inode, a);
    set_times(d, n, a->mtime, created, &inode);
    return ext4_write_inode(n, &inode, err);
}

bool ext4_set_attributes(struct ext4_disk *d, struct ext4_node n, const struct ext4_attributes *a,
                         struct error **err)
{
    return put_attributes(d, n, false, a, err);
}

bool ext4_touch(struct ext4_disk *d, struct ext4_node folder, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(folder, &inode, err))
        return false;
    set_times(d, folder, d->epoch, false, &inode);
    return ext4_write_inode(folder, &inode, err);
}

static int file_type(mode_t mode)
{
    return S_ISDIR(mode)    ? EXT2_FT_DIR
           : S_ISREG(mode)  ? EXT2_FT_REG_FILE
           : S_ISLNK(mode)  ? EXT2_FT_SYMLINK
           : S_ISCHR(mode)  ? EXT2_FT_CHRDEV
           : S_ISBLK(mode)  ? EXT2_FT_BLKDEV
           : S_ISFIFO(mode) ? EXT2_FT_FIFO
                            : EXT2_FT_SOCK;
}

bool ext4_link(struct ext4_disk *d, struct ext4_node folder, const char *name, ext2_ino_t ino,
               mode_t type, struct error **err)
{
    ext2_filsys fs = folder.on->fs;
    errcode_t rc = ext2fs_link(fs, folder.ino, name, ino, file_type(type));
    if (rc == EXT2_ET_DIR_NO_SPACE) {
        rc = ext2fs_expand_dir(fs, folder.ino);
        if (!rc)
            rc = ext2fs_link(fs, folder.ino, name, ino, file_type(type));
    }
    if (rc)
        return ext4_error(err, rc, "cannot put '%s' into its folder", name);
    return ext4_touch(d, folder, err);
}

bool ext4_make_folder(struct ext4_disk *d, struct ext4_node parent, const char *name,
                      const struct ext4_attributes *a, struct ext4_node *out, struct error **err)
{
    ext2_filsys fs = parent.on->fs;
    errcode_t rc = ext2fs_mkdir(fs, parent.ino, 0, name);
    if (rc == EXT2_ET_DIR_NO_SPACE) {
        rc = ext2fs_expand_dir(fs, parent.ino);
        if (!rc)
            rc = ext2fs_mkdir(fs, parent.ino, 0, name);
    }
    *out = (struct ext4_node){parent.on, 0};
    if (!rc)
        rc = ext2fs_lookup(fs, parent.ino, name, (int)strlen(name), NULL, &out->ino);
    if (rc)
        return ext4_error(err, rc, "cannot make the folder '%s'", name);
    return put_attributes(d, *out, true, a, err) && ext4_touch(d, parent, err);
}

bool ext4_make_symlink(struct ext4_disk *d, struct ext4_node parent, const char *name,
                       const char *target, const struct ext4_attributes *a, struct ext4_node *out,
                       struct error **err)
{
    ext2_filsys fs = parent.on->fs;
    errcode_t rc = ext2fs_symlink(fs, parent.ino, 0, name, target);
    if (rc == EXT2_ET_DIR_NO_SPACE) {
        rc = ext2fs_expand_dir(fs, parent.ino);
        if (!rc)
            rc = ext2fs_symlink(fs, parent.ino, 0, name, target);
    }
    *out = (struct ext4_node){parent.on, 0};
    if (!rc)
        rc = ext2fs_lookup(fs, parent.ino, name, (int)strlen(name), NULL, &out->ino);
    if (rc)
        return ext4_error(err, rc, "cannot make the link '%s'", name);
    return put_attributes(d, *out, true, a, err) && ext4_touch(d, parent, err);
}

bool ext4_make_file(struct ext4_disk *d, struct ext4_node parent, uint64_t size,
                    const struct ext4_attributes *a, struct ext4_node *out, struct error **err)
{
    ext2_filsys fs = parent.on->fs;
    *out = (struct ext4_node){parent.on, 0};
    errcode_t rc = ext2fs_new_inode(fs, parent.ino, S_IFREG | 0600, 0, &out->ino);
    if (rc)
        return ext4_error(err, rc, "no inode for a new file");
    struct ext2_inode_large inode = {
        .i_mode = S_IFREG | 0600, .i_links_count = 1, .i_flags = EXT4_EXTENTS_FL};
    struct ext2_inode *small = (struct ext2_inode *)&inode;
    rc = ext2fs_inode_size_set(fs, small, (ext2_off64_t)size);
    if (!rc)
        rc = ext2fs_write_new_inode(fs, out->ino, small);
    if (!rc)
        ext2fs_inode_alloc_stats2(fs, out->ino, +1, 0);
    ext2_extent_handle_t extents = NULL;
    if (!rc)
        rc = ext2fs_extent_open2(fs, out->ino, small, &extents); /* writes the header */
    if (extents)
        ext2fs_extent_free(extents);
    if (!rc)
        rc = ext2fs_write_inode(fs, out->ino, small);
    blk64_t blocks = (size + fs->blocksize - 1) / fs->blocksize;
    if (!rc && blocks)
        rc = ext2fs_fallocate(fs, EXT2_FALLOCATE_FORCE_INIT, out->ino, NULL, ~0ULL, 0, blocks);
    if (rc)
        return ext4_error(err, rc, "cannot allocate %llu bytes", (unsigned long long)size);
    return put_attributes(d, *out, true, a, err);
}

static int mark_freed(ext2_filsys fs, blk64_t *block, e2_blkcnt_t at, blk64_t ref, int ref_offset,
                      void *data)
{
    (void)at;
    (void)ref;
    (void)ref_offset;
    if (*block >= fs->super->s_first_data_block && *block < ext2fs_blocks_count(fs->super))
        ext2fs_mark_block_bitmap2(data, *block);
    return 0;
}

/* Gives the blocks of a file, link or folder back, remembering them. */
static bool free_blocks(struct ext4_node n, struct error **err)
{
    ext2_filsys fs = n.on->fs;
    struct ext2_inode_large inode;
    if (!ext4_read_inode(n, &inode, err))
        return false;
    if (!ext2fs_inode_has_valid_blocks2(fs, (struct ext2_inode *)&inode))
        return true;
    errcode_t rc = 0;
    if (!n.on->freed)
        rc = ext2fs_allocate_block_bitmap(fs, "freed", &n.on->freed);
    if (!rc)
        rc = ext2fs_block_iterate3(fs, n.ino, BLOCK_FLAG_READ_ONLY, NULL, mark_freed, n.on->freed);
    if (!rc)
        rc = ext2fs_punch(fs, n.ino, NULL, NULL, 0, ~0ULL);
    return rc == 0 || ext4_error(err, rc, "cannot free the blocks of inode %u", n.ino);
}

static bool free_inode(struct ext4_node n, bool folder, struct error **err)
{
    ext2_filsys fs = n.on->fs;
    struct ext2_inode_large inode;
    if (!free_blocks(n, err) || !ext4_read_inode(n, &inode, err))
        return false;
    if (ext2fs_file_acl_block(fs, (struct ext2_inode *)&inode)) {
        errcode_t rc = ext2fs_free_ext_attr(fs, n.ino, &inode);
        if (rc)
            return ext4_error(err, rc, "cannot free the attributes of inode %u", n.ino);
    }
    ext2fs_inode_alloc_stats2(fs, n.ino, -1, folder);
    /* Wholly zero, so that nothing of it is left: neither size, times nor short links. */
    size_t size = EXT2_INODE_SIZE(fs->super);
    autofree struct ext2_inode *zero = calloc(1, size);
    errcode_t rc = zero ? ext2fs_write_inode_full(fs, n.ino, zero, (int)size) : EXT2_ET_NO_MEMORY;
    return rc == 0 || ext4_error(err, rc, "cannot free inode %u", n.ino);
}

/* One link less in an inode; false in *last while others are left. */
static bool drop_link(struct ext4_disk *d, struct ext4_node n, bool folder, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(n, &inode, err))
        return false;
    if (!folder && inode.i_links_count > 1) {
        inode.i_links_count--;
        SET_TIME(n, &inode, ctime, d->epoch);
        return ext4_write_inode(n, &inode, err);
    }
    return free_inode(n, folder, err);
}

/* The parent of a folder that is gone has no `..` from it any more. 1 means "many" (dir_nlink). */
static bool lose_child(struct ext4_node parent, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(parent, &inode, err))
        return false;
    if (inode.i_links_count > 2)
        inode.i_links_count--;
    return ext4_write_inode(parent, &inode, err);
}

bool ext4_unlink(struct ext4_disk *d, const struct ext4_place *at, struct error **err)
{
    struct ext2_inode_large inode;
    free(take_ptr(d->cached_path));
    if (!ext4_read_inode(at->node, &inode, err))
        return false;
    if (inode.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL))
        return error_set(err, ERROR_INPUT, "%s is marked immutable or append-only (chattr)",
                         at->path);
    bool folder = S_ISDIR(inode.i_mode);
    if (folder) {
        autofree struct ext4_name *names = NULL;
        size_t count = 0;
        if (!ext4_names(at->node, &names, &count, err))
            return false;
        if (count)
            return error_set(err, ERROR_INPUT, "%s is a folder that is not empty", at->path);
    }
    errcode_t rc = ext2fs_unlink(at->parent.on->fs, at->parent.ino, at->name, at->node.ino, 0);
    if (rc)
        return ext4_error(err, rc, "cannot take %s out of its folder", at->path);
    return drop_link(d, at->node, folder, err) && (!folder || lose_child(at->parent, err)) &&
           ext4_touch(d, at->parent, err);
}

/* Removes what is in a folder, deepest first. */
static bool empty_folder(struct ext4_disk *d, const struct ext4_place *at, unsigned depth,
                         struct error **err)
{
    autofree struct ext4_name *names = NULL;
    size_t count = 0;
    if (depth > EXT4_MAX_DEPTH)
        return error_set(err, ERROR_INPUT, "%s: more than %d folders in each other", at->path,
                         EXT4_MAX_DEPTH);
    if (!ext4_names(at->node, &names, &count, err))
        return false;
    autofree struct ext4_place *in = malloc(sizeof *in);
    if (!in)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct ext2_inode_large inode;
        in->parent = at->node;
        in->node = (struct ext4_node){at->node.on, names[i].ino};
        memcpy(in->name, names[i].name, sizeof in->name);
        int n = snprintf(in->path, sizeof in->path, "%s/%s", at->path, names[i].name);
        if (n < 0 || (size_t)n >= sizeof in->path)
            return error_set(err, ERROR_INPUT, "%s: the path is too long", at->path);
        if (!ext4_read_inode(in->node, &inode, err) ||
            (S_ISDIR(inode.i_mode) && !empty_folder(d, in, depth + 1, err)) ||
            !ext4_unlink(d, in, err))
            return false;
    }
    return true;
}

/* What is mounted at or below a path cannot go. */
static bool holds_mount(const struct ext4_disk *d, const char *path, const char **which)
{
    size_t n = strlen(path);
    *which = NULL;
    for (size_t i = 0; i < d->count + d->foreign_count; i++) {
        const char *m = i < d->count ? d->fs[i].mountpoint : d->foreign[i - d->count].mountpoint;
        if (strcmp(path, "/") == 0 || (strncmp(m, path, n) == 0 && (m[n] == '/' || m[n] == '\0')))
            *which = m;
    }
    return *which != NULL;
}

bool ext4_remove(struct disk *base, const char *path, struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    struct ext4_place at;
    struct ext2_inode_large inode;
    const char *mounted;
    if (!ext4_walk(d, path, false, &at, err))
        return false;
    if (!at.node.ino)
        return true;
    if (holds_mount(d, at.path, &mounted))
        return error_set(err, ERROR_INPUT, "%s is not removed: %s is mounted there", path, mounted);
    if (!ext4_read_inode(at.node, &inode, err))
        return false;
    return (!S_ISDIR(inode.i_mode) || empty_folder(d, &at, 0, err)) && ext4_unlink(d, &at, err);
}

bool ext4_truncate(struct disk *base, const char *path, struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    struct ext4_place at;
    struct ext2_inode_large inode;
    if (!ext4_walk(d, path, true, &at, err))
        return false;
    if (!at.node.ino)
        return true;
    if (!ext4_read_inode(at.node, &inode, err))
        return false;
    if (!S_ISREG(inode.i_mode))
        return error_set(err, ERROR_INPUT, "%s on the disk is not a file", path);
    if (!free_blocks(at.node, err) || !ext4_read_inode(at.node, &inode, err))
        return false;
    errcode_t rc = ext2fs_inode_size_set(at.node.on->fs, (struct ext2_inode *)&inode, 0);
    if (rc)
        return ext4_error(err, rc, "cannot cut %s to nothing", path);
    set_times(d, at.node, d->epoch, false, &inode);
    return ext4_write_inode(at.node, &inode, err);
}
