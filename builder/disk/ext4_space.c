/* Whether a tar fits, asked before anything is changed. */
#include "base/path.h"
#include "base/units.h"
#include "disk/ext4_disk.h"
#include "disk/tar_reader.h"

#include <string.h>

struct need {
    uint64_t blocks, inodes;
};

/* The file system that a path goes to: that of its nearest folder that is there. */
static bool target_of(struct ext4_disk *d, const char *path, struct ext4_place *at,
                      struct ext4_fs **on, struct error **err)
{
    autofree char *p = strdup(path);
    for (;;) {
        if (!p)
            abort();
        if (!ext4_walk(d, p, false, at, err))
            return false;
        if (at->node.ino || at->parent.ino) {
            *on = at->node.ino ? at->node.on : at->parent.on;
            return true;
        }
        char *above = path_dirname(p);
        free(p);
        p = above;
    }
}

/* Blocks that come back when what stands at the path is replaced. */
static bool credit(const struct ext4_place *at, const char *path, uint64_t *blocks,
                   struct error **err)
{
    struct ext2_inode_large inode;
    *blocks = 0;
    size_t n = strlen(at->path);
    /* Only what stands at the path itself, not at a folder above it. */
    const char *last = path_basename(path);
    if (!at->node.ino || n < strlen(last) || strcmp(at->path + n - strlen(last), last) != 0)
        return true;
    if (!ext4_read_inode(at->node, &inode, err))
        return false;
    if (S_ISREG(inode.i_mode) && inode.i_links_count == 1)
        *blocks = ext2fs_inode_i_blocks(at->node.on->fs, (struct ext2_inode *)&inode) * 512 /
                  at->node.on->fs->blocksize;
    return true;
}

/* Somewhat too much rather than too little. */
static struct need need_of(const struct tar_entry *e, uint64_t block)
{
    struct need n = {.inodes = e->type != TAR_HARDLINK};
    uint64_t name = 8 + strlen(path_basename(e->path)) + 4;
    if (e->type == TAR_FILE) {
        n.blocks = e->size / block + (e->size % block != 0);
        n.blocks += n.blocks / 4096;
    } else if (e->type == TAR_FOLDER) {
        n.blocks = 1;
    } else if (e->type == TAR_SYMLINK) {
        n.blocks = strlen(e->link) >= 60;
    }
    n.blocks += name > block / 16; /* a long name in a small block may make its folder grow */
    return n;
}

/* Adds up what the tar needs of each file system; with credit, less what it replaces. */
static bool add_up(struct ext4_disk *d, const char *tar_path, bool with_credit, struct need *needs,
                   struct error **err)
{
    autotar struct tar_reader *tar = NULL;
    autofree struct ext4_place *at = malloc(sizeof *at);
    if (!at)
        abort();
    if (!tar_open(tar_path, &tar, err))
        return false;
    uint64_t back[FACTS_MAX_MOUNTS] = {0};
    memset(needs, 0, FACTS_MAX_MOUNTS * sizeof *needs);
    for (;;) {
        const struct tar_entry *e;
        struct ext4_fs *on = &d->fs[0];
        uint64_t blocks = 0;
        if (!tar_next(tar, &e, err))
            return false;
        if (!e)
            break;
        if ((with_credit || d->count > 1) && !target_of(d, e->path, at, &on, err))
            return error_wrap(err, "cannot lay %s", e->path);
        if (with_credit && e->type == TAR_FILE && !credit(at, e->path, &blocks, err))
            return false;
        size_t i = (size_t)(on - d->fs);
        struct need n = need_of(e, on->fs->blocksize);
        if (with_credit && at->node.ino && strcmp(at->path, e->path) == 0)
            n = (struct need){e->type == TAR_FILE ? n.blocks : 0, 0};
        needs[i].blocks += n.blocks;
        needs[i].inodes += n.inodes;
        back[i] += blocks;
    }
    for (size_t i = 0; i < d->count; i++)
        needs[i].blocks -= back[i] < needs[i].blocks ? back[i] : needs[i].blocks;
    return true;
}

static bool fits(const struct ext4_fs *f, const struct need *n)
{
    return n->blocks <= ext2fs_free_blocks_count(f->fs->super) &&
           n->inodes <= f->fs->super->s_free_inodes_count;
}

bool ext4_check_space(struct ext4_disk *d, const char *tar_path, struct error **err)
{
    struct need needs[FACTS_MAX_MOUNTS];
    for (int with_credit = 0; with_credit < 2; with_credit++) {
        if (!add_up(d, tar_path, with_credit, needs, err))
            return false;
        bool all = true;
        for (size_t i = 0; i < d->count; i++)
            all = all && fits(&d->fs[i], &needs[i]);
        if (all)
            return true;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct ext4_fs *f = &d->fs[i];
        char needed[16], free_[16];
        if (fits(f, &needs[i]))
            continue;
        if (needs[i].blocks <= ext2fs_free_blocks_count(f->fs->super))
            return error_set(err, ERROR_SPACE,
                             "the file system %s of the image has %u inodes left, %llu are needed",
                             f->mountpoint, f->fs->super->s_free_inodes_count,
                             (unsigned long long)needs[i].inodes);
        units_format_size(needs[i].blocks * f->fs->blocksize, needed);
        units_format_size(ext2fs_free_blocks_count(f->fs->super) * f->fs->blocksize, free_);
        return error_set(err, ERROR_SPACE,
                         "the file system %s of the image has %s free, %s are needed: make the "
                         "disk larger (disk: in the recipe)",
                         f->mountpoint, free_, needed);
    }
    return true;
}
