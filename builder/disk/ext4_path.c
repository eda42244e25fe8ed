/* Paths as the guest would follow them: over links, which are relative to the guest's root, and
 * over mounts, into the other file systems of the disk. */
#include "base/path.h"
#include "disk/ext4_disk.h"

#include <string.h>

/* The folders from the root to where we are, so that .. goes back over a link as it should. */
struct walk {
    struct ext4_disk *disk;
    const char *asked;
    struct {
        struct ext4_node node;
        size_t length; /* of path up to here */
    } stack[EXT4_MAX_DEPTH];
    size_t depth;
    char path[EXT4_MAX_PATH];
    char *rest; /* what is still to go */
    unsigned links;
};

bool ext4_read_link(struct ext4_node n, char *target, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(n, &inode, err))
        return false;
    struct ext2_inode *small = (struct ext2_inode *)&inode;
    ext2_filsys fs = n.on->fs;
    size_t size = EXT2_I_SIZE(&inode);
    if (ext2fs_is_fast_symlink(small)) {
        if (size == 0 || size >= sizeof inode.i_block)
            return error_set(err, ERROR_INPUT, "the link in inode %u is damaged", n.ino);
        memcpy(target, inode.i_block, size);
        target[size] = '\0';
        return true;
    }
    blk64_t block = 0;
    if (size == 0 || size >= EXT4_MAX_PATH || size >= fs->blocksize)
        return error_set(err, ERROR_INPUT, "the link in inode %u is damaged", n.ino);
    autofree char *data = malloc(fs->blocksize);
    errcode_t rc =
        data ? ext2fs_bmap2(fs, n.ino, small, NULL, 0, 0, NULL, &block) : EXT2_ET_NO_MEMORY;
    if (!rc && block)
        rc = io_channel_read_blk64(fs->io, block, 1, data);
    if (rc || !block)
        return ext4_error(err, rc ? rc : EXT2_ET_BAD_BLOCK_NUM, "cannot read the link in inode %u",
                          n.ino);
    memcpy(target, data, size);
    target[size] = '\0';
    return true;
}

static struct ext4_node root_of(struct walk *w)
{
    return (struct ext4_node){&w->disk->fs[0], EXT2_ROOT_INO};
}

/* If another file system is mounted on w->path. */
static bool cross(struct walk *w, struct ext4_node *n, struct error **err)
{
    for (size_t i = 1; i < w->disk->count; i++)
        if (strcmp(w->disk->fs[i].mountpoint, w->path) == 0)
            *n = (struct ext4_node){&w->disk->fs[i], EXT2_ROOT_INO};
    for (size_t i = 0; i < w->disk->foreign_count; i++)
        if (strcmp(w->disk->foreign[i].mountpoint, w->path) == 0)
            return error_set(err, ERROR_UNSUPPORTED, "%s is on the %s mounted on %s", w->asked,
                             w->disk->foreign[i].type, w->path);
    return true;
}

/* The link's target in front of what is still to go. */
static bool follow_link(struct walk *w, struct ext4_node link, struct error **err)
{
    char target[EXT4_MAX_PATH];
    if (++w->links > EXT4_MAX_LINKS)
        return error_set(err, ERROR_INPUT, "%s: too many links in the guest, or a loop of them",
                         w->asked);
    if (!ext4_read_link(link, target, err))
        return false;
    if (strlen(target) + strlen(w->rest) + 2 > 2 * EXT4_MAX_PATH)
        return error_set(err, ERROR_INPUT, "%s: a path over links becomes too long", w->asked);
    char *rest = NULL;
    if (asprintf(&rest, "%s/%s", target, w->rest) < 0)
        abort();
    free(w->rest);
    w->rest = rest;
    if (*target == '/')
        w->depth = 1;
    w->path[w->stack[w->depth - 1].length] = '\0';
    return true;
}

static bool push(struct walk *w, struct ext4_node n, struct error **err)
{
    if (w->depth == EXT4_MAX_DEPTH)
        return error_set(err, ERROR_INPUT, "%s: more than %d folders in each other", w->asked,
                         EXT4_MAX_DEPTH);
    w->stack[w->depth].node = n;
    w->stack[w->depth].length = strlen(w->path);
    w->depth++;
    return true;
}

static bool is_type(struct ext4_node n, mode_t type, bool *is, struct error **err)
{
    struct ext2_inode_large inode;
    if (!ext4_read_inode(n, &inode, err))
        return false;
    *is = (inode.i_mode & S_IFMT) == type;
    return true;
}

/* Takes the next name off w->rest; "" at the end. */
static bool next_name(struct walk *w, char name[EXT2_NAME_LEN + 1], bool *last, struct error **err)
{
    char *s = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(s, "/");
    if (n > EXT2_NAME_LEN)
        return error_set(err, ERROR_INPUT, "%s: a name longer than %d bytes", w->asked,
                         EXT2_NAME_LEN);
    memcpy(name, s, n);
    name[n] = '\0';
    s += n;
    *last = s[strspn(s, "/")] == '\0';
    memmove(w->rest, s, strlen(s) + 1);
    return true;
}

/* One name further. *stop: there is nothing more to do, out is filled. */
static bool step(struct walk *w, const char *name, bool last, bool follow, struct ext4_place *out,
                 bool *stop, struct error **err)
{
    if (strcmp(name, ".") == 0)
        return true;
    if (strcmp(name, "..") == 0) {
        if (w->depth == 1)
            return error_set(err, ERROR_INPUT, "%s: a link in the guest leads out of its root",
                             w->asked);
        w->depth--;
        w->path[w->stack[w->depth - 1].length] = '\0';
        return true;
    }
    struct ext4_node here = w->stack[w->depth - 1].node, there = {here.on, 0};
    size_t length = w->stack[w->depth - 1].length, n = strlen(name);
    if (length + n + 2 > sizeof w->path)
        return error_set(err, ERROR_INPUT, "%s: the path is too long", w->asked);
    w->path[length] = '/';
    memcpy(w->path + length + 1, name, n + 1);
    bool folder, link = false;
    if (!is_type(here, S_IFDIR, &folder, err))
        return false;
    errcode_t rc = folder ? ext2fs_lookup(here.on->fs, here.ino, name, (int)n, NULL, &there.ino)
                          : EXT2_ET_FILE_NOT_FOUND;
    if (rc && rc != EXT2_ET_FILE_NOT_FOUND)
        return ext4_error(err, rc, "cannot look up %s", w->path);
    if (rc)
        there.ino = 0;
    if (there.ino && (!cross(w, &there, err) || !is_type(there, S_IFLNK, &link, err)))
        return false;
    if (link && (!last || follow))
        return follow_link(w, there, err);
    if (last || !there.ino) {
        out->parent = folder && last ? here : (struct ext4_node){here.on, 0};
        out->node = there;
        snprintf(out->name, sizeof out->name, "%s", there.on == here.on ? name : "");
        memcpy(out->path, w->path, sizeof out->path);
        *stop = true;
        return true;
    }
    return push(w, there, err);
}

/* As path_is_clean_absolute, but guests do have backslashes: systemd's escaped unit names. */
static bool is_clean(const char *path)
{
    if (*path != '/' || strlen(path) >= EXT4_MAX_PATH)
        return false;
    for (const char *s = path; s[1]; s += strcspn(s + 1, "/") + 1) {
        size_t n = strcspn(s + 1, "/");
        if (n == 0 || (n == 1 && s[1] == '.') || (n == 2 && s[1] == '.' && s[2] == '.'))
            return false;
        if (s[n + 1] == '/' && s[n + 2] == '\0')
            return false;
        if (s[n + 1] == '\0')
            break;
    }
    return true;
}

bool ext4_walk(struct ext4_disk *d, const char *path, bool follow, struct ext4_place *out,
               struct error **err)
{
    *out = (struct ext4_place){0};
    if (!is_clean(path))
        return error_set(err, ERROR_INPUT, "'%s' is no clean absolute path", path);
    struct walk *w = calloc(1, sizeof *w);
    if (!w || !(w->rest = strdup(path)))
        abort();
    w->disk = d;
    w->asked = path;
    bool stop = false, last = false, ok = push(w, root_of(w), err);
    while (ok && !stop) {
        char name[EXT2_NAME_LEN + 1];
        ok = next_name(w, name, &last, err);
        if (!ok || !*name)
            break;
        ok = step(w, name, last, follow, out, &stop, err);
    }
    if (ok &&
        !stop) { /* ends in a folder that we stand in: the root, or by way of a link to `..` */
        size_t top = w->depth - 1;
        out->node = w->stack[top].node;
        snprintf(out->path, sizeof out->path, "%s", *w->path ? w->path : "/");
        if (top > 0) {
            struct ext4_node above = w->stack[top - 1].node;
            out->parent = above;
            snprintf(out->name, sizeof out->name, "%s",
                     above.on == out->node.on ? path_basename(out->path) : "");
        }
    }
    free(w->rest);
    free(w);
    return ok;
}
