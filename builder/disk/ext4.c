/* Opening and closing the ext4 file systems of a raw disk at their byte offsets, with libext2fs. */
#include "base/path.h"
#include "disk/ext4_disk.h"
#include "disk/mounts.h"
#include "disk/partitions.h"

#include <e2p/e2p.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

/* What this writer keeps consistent (ext4(5)). Everything else is for the appliance's kernel: quota
 * files would have to be counted, inline data and encryption looked into, fast commits replayed. */
static const struct {
    int set;
    const char *what;
    uint32_t known;
} features[] = {
    {E2P_FEATURE_COMPAT, "compat",
     EXT2_FEATURE_COMPAT_DIR_PREALLOC | EXT3_FEATURE_COMPAT_HAS_JOURNAL |
         EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_RESIZE_INODE |
         EXT2_FEATURE_COMPAT_DIR_INDEX | EXT4_FEATURE_COMPAT_SPARSE_SUPER2 |
         EXT4_FEATURE_COMPAT_ORPHAN_FILE},
    {E2P_FEATURE_RO_INCOMPAT, "read-only",
     EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
         EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |
         EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
         EXT4_FEATURE_RO_COMPAT_METADATA_CSUM},
    {E2P_FEATURE_INCOMPAT, "incompatible",
     EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
         EXT2_FEATURE_INCOMPAT_META_BG | EXT4_FEATURE_INCOMPAT_64BIT |
         EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED},
};

bool ext4_error(struct error **err, errcode_t code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    autofree char *what = NULL;
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    enum error_kind kind = ERROR_INPUT;
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC ||
        code == EDQUOT)
        kind = ERROR_SPACE;
    else if (code == EXT2_ET_UNSUPP_FEATURE || code == EXT2_ET_RO_UNSUPP_FEATURE ||
             code == EXT2_ET_REV_TOO_HIGH || code == EXT2_ET_BAD_MAGIC)
        kind = ERROR_UNSUPPORTED;
    return error_set(err, kind, "%s: %s", what, error_message(code));
}

bool ext4_read_inode(struct ext4_node n, struct ext2_inode_large *inode, struct error **err)
{
    memset(inode, 0, sizeof *inode);
    errcode_t rc =
        ext2fs_read_inode_full(n.on->fs, n.ino, (struct ext2_inode *)inode, sizeof *inode);
    return rc == 0 || ext4_error(err, rc, "cannot read inode %u", n.ino);
}

bool ext4_write_inode(struct ext4_node n, struct ext2_inode_large *inode, struct error **err)
{
    errcode_t rc =
        ext2fs_write_inode_full(n.on->fs, n.ino, (struct ext2_inode *)inode, sizeof *inode);
    return rc == 0 || ext4_error(err, rc, "cannot write inode %u", n.ino);
}

static bool check_features(const struct ext2_super_block *s, const char *where, struct error **err)
{
    const uint32_t has[] = {s->s_feature_compat, s->s_feature_ro_compat, s->s_feature_incompat};
    for (size_t i = 0; i < COUNT(features); i++) {
        uint32_t unknown = has[i] & ~features[i].known;
        if (unknown)
            return error_set(err, ERROR_UNSUPPORTED,
                             "the ext4 %s has the %s feature '%s', which is not handled without "
                             "the appliance",
                             where, features[i].what,
                             e2p_feature2string(features[i].set, unknown & -unknown));
    }
    if (!(s->s_feature_incompat & EXT3_FEATURE_INCOMPAT_EXTENTS))
        return error_set(err, ERROR_UNSUPPORTED, "the ext4 %s has no extents", where);
    return true;
}

static bool check_super(const struct ext4_disk *d, const struct ext4_fs *f, const char *where,
                        struct error **err)
{
    struct ext2_super_block *s = f->fs->super;
    /* Not in known, but worth words of its own. */
    if (s->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the ext4 %s was not unmounted cleanly: its journal needs recovery",
                         where);
    if (!check_features(s, where, err))
        return false;
    if ((s->s_state & EXT2_ERROR_FS) || !(s->s_state & EXT2_VALID_FS) || s->s_last_orphan)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the ext4 %s is marked as damaged or in use; e2fsck must repair it",
                         where);
    if (ext2fs_blocks_count(s) > f->size / f->fs->blocksize)
        return error_set(err, ERROR_INPUT,
                         "the ext4 %s is larger than its partition; the image %s is cut short",
                         where, d->raw);
    return true;
}

static void close_fs(struct ext4_fs *f)
{
    if (f->freed)
        ext2fs_free_block_bitmap(f->freed);
    if (f->fs) {
        f->fs->flags &= ~EXT2_FLAG_DIRTY; /* what is not flushed is given up */
        ext2fs_close_free(&f->fs);
    }
    *f = (struct ext4_fs){0};
}

static bool open_fs(const struct ext4_disk *d, bool writable, const struct fact_mount *m,
                    struct ext4_fs *f, struct error **err)
{
    *f = (struct ext4_fs){.mountpoint = m->mountpoint, .offset = m->offset, .size = m->size};
    char where[EXT4_MAX_PATH + 64], options[64];
    snprintf(where, sizeof where, "on %s at byte %llu", m->mountpoint,
             (unsigned long long)m->offset);
    snprintf(options, sizeof options, "offset=%llu", (unsigned long long)m->offset);
    int flags = EXT2_FLAG_64BITS | (writable ? EXT2_FLAG_RW : 0);
    errcode_t rc = ext2fs_open2(d->raw, options, flags, 0, 0, unix_io_manager, &f->fs);
    if (rc) {
        f->fs = NULL;
        return ext4_error(err, rc, "cannot open the ext4 %s of %s", where, d->raw);
    }
    if (!check_super(d, f, where, err)) {
        close_fs(f);
        return false;
    }
    f->fs->now = d->epoch > 0 ? (time_t)d->epoch : 1; /* 0 would mean the clock */
    rc = writable ? ext2fs_read_bitmaps(f->fs) : 0;
    if (rc) {
        ext4_error(err, rc, "cannot read the bitmaps of the ext4 %s", where);
        close_fs(f);
        return false;
    }
    return true;
}

/* Does the file system look like a root? */
static bool holds_a_root(const struct ext4_fs *f)
{
    static const char *const marks[] = {"etc/os-release", "usr/lib/os-release"};
    for (size_t i = 0; i < COUNT(marks); i++) {
        ext2_ino_t ino;
        if (ext2fs_namei(f->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, marks[i], &ino) == 0)
            return true;
    }
    return false;
}

/* Without facts: the best guess that has an os-release. The first refusal is the one to tell. */
static bool look_for_root(struct ext4_disk *d, const struct partition_table *t,
                          const struct partition **root, struct error **err)
{
    autoerror struct error *why = NULL;
    for (const struct partition *p = NULL; (p = mounts_guess_root(t, p));) {
        struct fact_mount m = {
            .mountpoint = "/", .type = p->file_system, .offset = p->offset, .size = p->size};
        struct ext4_fs f;
        if (strcmp(p->file_system, "ext4") != 0) {
            error_set(&why, ERROR_UNSUPPORTED, "the disk %s has a %s on it, not ext4", d->raw,
                      p->file_system);
            continue;
        }
        if (!open_fs(d, false, &m, &f, &why))
            continue;
        bool good = holds_a_root(&f);
        close_fs(&f);
        if (good) {
            *root = p;
            return true;
        }
    }
    if (why)
        return error_set(err, error_kind(why), "%s", error_text(why));
    return error_set(err, ERROR_UNSUPPORTED, "no ext4 with an /etc/os-release found on %s", d->raw);
}

static bool open_mounts(struct ext4_disk *d, const struct fact_mount *mounts, size_t count,
                        struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(mounts[i].type, "ext4") != 0) {
            if (i == 0)
                return error_set(err, ERROR_UNSUPPORTED, "the root file system is %s, not ext4",
                                 mounts[i].type);
            d->foreign[d->foreign_count++] =
                (struct ext4_foreign){arena_strdup(d->arena, mounts[i].mountpoint),
                                      arena_strdup(d->arena, mounts[i].type)};
            continue;
        }
        struct ext4_fs *f = &d->fs[d->count];
        if (!open_fs(d, d->writable, &mounts[i], f, err))
            return false;
        d->count++;
        f->mountpoint = arena_strdup(d->arena, mounts[i].mountpoint);
    }
    return true;
}

/* Opens by the facts' offsets; the UUIDs must be those that the facts were read from. */
static bool open_by_facts(struct ext4_disk *d, const struct facts *facts, uint64_t disk_size,
                          struct error **err)
{
    struct fact_mount mounts[FACTS_MAX_MOUNTS];
    if (facts->mount_count == 0 || facts->mount_count > FACTS_MAX_MOUNTS ||
        strcmp(facts->mounts[0].mountpoint, "/") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "the facts of the base name no root file system");
    for (size_t i = 0; i < facts->mount_count; i++) {
        mounts[i] = facts->mounts[i];
        if (mounts[i].offset >= disk_size)
            return error_set(err, ERROR_INPUT, "%s has no room for the file system on %s", d->raw,
                             mounts[i].mountpoint);
        /* The disk may have been grown since: the file system itself says how large it is. */
        mounts[i].size = disk_size - mounts[i].offset;
    }
    if (!open_mounts(d, mounts, facts->mount_count, err))
        return false;
    for (size_t i = 0; i < d->count; i++)
        for (size_t j = 0; j < facts->mount_count; j++) {
            char uuid[37];
            e2p_uuid_to_str(d->fs[i].fs->super->s_uuid, uuid);
            const char *wanted = facts->mounts[j].uuid;
            if (d->fs[i].offset == facts->mounts[j].offset && wanted && *wanted &&
                strcasecmp(uuid, wanted) != 0)
                return error_set(err, ERROR_INPUT,
                                 "%s is not the disk that the facts were read from: its %s is %s, "
                                 "not %s",
                                 d->raw, d->fs[i].mountpoint, uuid, wanted);
        }
    return true;
}

/* Opens the root that is found by looking, then what its fstab says of this disk. */
static bool open_by_looking(struct ext4_disk *d, struct error **err)
{
    struct partition_table table;
    const struct partition *root = NULL;
    struct fact_mount mounts[FACTS_MAX_MOUNTS];
    size_t count = 0;
    if (!partitions_read(d->arena, d->raw, &table, err) || !look_for_root(d, &table, &root, err) ||
        !mounts_read(d->arena, NULL, &table, root, mounts, &count, err) ||
        !open_mounts(d, mounts, 1, err))
        return false;
    struct disk_stat st;
    bool found;
    autofree char *fstab = NULL;
    if (!ext4_stat(&d->base, "/etc/fstab", true, &st, &found, err))
        return false;
    if (found && !ext4_read(&d->base, "/etc/fstab", 1 << 16, &fstab, NULL, err))
        return false;
    return mounts_read(d->arena, fstab, &table, root, mounts, &count, err) &&
           open_mounts(d, mounts + 1, count - 1, err);
}

static void release(struct ext4_disk *d)
{
    for (size_t i = 0; i < d->count; i++)
        close_fs(&d->fs[i]);
    free(d->cached_path);
    arena_free(d->arena);
    free(d);
}

static bool ext4_open(const struct disk_options *o, struct disk **out, struct error **err)
{
    initialize_ext2_error_table();
    struct ext4_disk *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->base.writer = &disk_ext4;
    d->arena = arena_new();
    d->raw = arena_strdup(d->arena, o->raw);
    d->writable = o->writable;
    d->epoch = o->epoch;
    struct stat st;
    bool ok = stat(o->raw, &st) == 0 ||
              error_errno(err, ERROR_INPUT, errno, "cannot read the disk %s", o->raw);
    if (ok)
        ok = o->facts ? open_by_facts(d, o->facts, (uint64_t)st.st_size, err)
                      : open_by_looking(d, err);
    if (!ok) {
        release(d);
        return false;
    }
    *out = &d->base;
    return true;
}

/* What was freed and not used again becomes a hole: a removed key is gone, and the image stays
 * small. */
static bool punch_freed(const struct ext4_disk *d, struct ext4_fs *f, int fd, struct error **err)
{
    static const char zeros[1 << 16];
    blk64_t last = ext2fs_blocks_count(f->fs->super) - 1, start, end;
    for (blk64_t at = f->fs->super->s_first_data_block;
         f->freed && at <= last &&
         ext2fs_find_first_set_block_bitmap2(f->freed, at, last, &start) == 0;
         at = end + 1) {
        for (end = start; end < last && ext2fs_test_block_bitmap2(f->freed, end + 1); end++)
            ;
        for (blk64_t b = start; b <= end; b++) {
            blk64_t n = 0;
            while (b + n <= end && !ext2fs_test_block_bitmap2(f->fs->block_map, b + n))
                n++;
            off_t from = (off_t)(f->offset + b * f->fs->blocksize),
                  size = (off_t)(n * f->fs->blocksize);
            b += n;
            if (n == 0 ||
                fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, size) == 0)
                continue;
            while (size > 0) {
                size_t part = size < (off_t)sizeof zeros ? (size_t)size : sizeof zeros;
                if (pwrite(fd, zeros, part, from) != (ssize_t)part)
                    return error_errno(err, ERROR_HOST, errno, "cannot write to %s", d->raw);
                from += (off_t)part;
                size -= (off_t)part;
            }
        }
    }
    return true;
}

static bool flush_all(struct ext4_disk *d, struct error **err)
{
    for (size_t i = 0; i < d->count; i++) {
        errcode_t rc = ext2fs_flush(d->fs[i].fs);
        if (rc)
            return ext4_error(err, rc, "cannot write the ext4 on %s of %s", d->fs[i].mountpoint,
                              d->raw);
    }
    autoclose int fd = open(d->raw, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write to %s", d->raw);
    for (size_t i = 0; i < d->count; i++)
        if (!punch_freed(d, &d->fs[i], fd, err))
            return false;
    return fsync(fd) == 0 || error_errno(err, ERROR_HOST, errno, "cannot write %s to disk", d->raw);
}

static bool ext4_close(struct disk *base, struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    bool changed = false;
    for (size_t i = 0; i < d->count; i++)
        changed = changed || ext2fs_test_changed(d->fs[i].fs);
    bool ok = !d->writable || !changed || flush_all(d, err);
    release(d);
    return ok;
}

const struct disk_writer disk_ext4 = {
    .name = "ext4",
    .open = ext4_open,
    .lay = ext4_lay,
    .read = ext4_read,
    .stat = ext4_stat,
    .list = ext4_list,
    .remove = ext4_remove,
    .truncate = ext4_truncate,
    .close = ext4_close,
};
