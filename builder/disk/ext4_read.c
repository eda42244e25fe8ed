/* Reading an ext4: whole files, what stands at a path, names in a folder. */
#include "disk/ext4_disk.h"

#include <string.h>

#define MAX_NAMES 4000000

static void close_file(ext2_file_t *f)
{
    if (*f)
        ext2fs_file_close(*f);
}

bool ext4_read(struct disk *base, const char *path, size_t max, char **text, size_t *size,
               struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    struct ext4_place at;
    struct ext2_inode_large inode;
    if (!ext4_walk(d, path, true, &at, err))
        return false;
    if (!at.node.ino)
        return error_set(err, ERROR_INPUT, "there is no %s on the disk", path);
    if (!ext4_read_inode(at.node, &inode, err))
        return false;
    if (!S_ISREG(inode.i_mode))
        return error_set(err, ERROR_INPUT, "%s on the disk is not a file", path);
    uint64_t all = EXT2_I_SIZE(&inode);
    if (all > max)
        return error_set(err, ERROR_INPUT, "%s on the disk is larger than %zu bytes", path, max);
    autofree char *data = malloc(all + 1);
    if (!data)
        abort();
    cleanup(close_file) ext2_file_t file = NULL;
    errcode_t rc =
        ext2fs_file_open2(at.node.on->fs, at.node.ino, (struct ext2_inode *)&inode, 0, &file);
    for (uint64_t done = 0; !rc && done < all;) {
        unsigned part = all - done < 1 << 20 ? (unsigned)(all - done) : 1 << 20, got = 0;
        rc = ext2fs_file_read(file, data + done, part, &got);
        if (!rc && got == 0)
            rc = EXT2_ET_SHORT_READ;
        done += got;
    }
    if (rc)
        return ext4_error(err, rc, "cannot read %s on the disk", path);
    data[all] = '\0';
    *text = take_ptr(data);
    if (size)
        *size = all;
    return true;
}

bool ext4_stat(struct disk *base, const char *path, bool follow, struct disk_stat *st, bool *found,
               struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    struct ext4_place at;
    struct ext2_inode_large inode;
    if (!ext4_walk(d, path, follow, &at, err))
        return false;
    *found = at.node.ino != 0;
    if (!*found)
        return true;
    if (!ext4_read_inode(at.node, &inode, err))
        return false;
    *st = (struct disk_stat){.mode = inode.i_mode,
                             .uid = inode_uid(inode),
                             .gid = inode_gid(inode),
                             .size = EXT2_I_SIZE(&inode)};
    return true;
}

struct names {
    struct ext4_name *items;
    size_t count, room;
    bool too_many;
};

static int add_name(struct ext2_dir_entry *e, int offset, int blocksize, char *buffer, void *data)
{
    (void)offset;
    (void)blocksize;
    (void)buffer;
    struct names *n = data;
    size_t size = (size_t)ext2fs_dirent_name_len(e);
    if (e->inode == 0 || (size == 1 && e->name[0] == '.') ||
        (size == 2 && e->name[0] == '.' && e->name[1] == '.'))
        return 0;
    if (n->count == MAX_NAMES) {
        n->too_many = true;
        return DIRENT_ABORT;
    }
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 16;
        n->items = reallocarray(n->items, n->room, sizeof *n->items);
        if (!n->items)
            abort();
    }
    struct ext4_name *name = &n->items[n->count++];
    memcpy(name->name, e->name, size);
    name->name[size] = '\0';
    name->ino = e->inode;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct ext4_name *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool ext4_names(struct ext4_node folder, struct ext4_name **names, size_t *count,
                struct error **err)
{
    struct names n = {0};
    errcode_t rc = ext2fs_dir_iterate(folder.on->fs, folder.ino, 0, NULL, add_name, &n);
    if (rc || n.too_many) {
        free(n.items);
        return ext4_error(err, rc ? rc : EXT2_ET_NO_MEMORY, "cannot list the folder in inode %u",
                          folder.ino);
    }
    if (n.count)
        qsort(n.items, n.count, sizeof *n.items, by_name);
    *names = n.items;
    *count = n.count;
    return true;
}

bool ext4_list(struct disk *base, const char *path, char ***names, struct error **err)
{
    struct ext4_disk *d = (struct ext4_disk *)base;
    struct ext4_place at;
    struct ext2_inode_large inode = {0};
    autofree struct ext4_name *found = NULL;
    size_t count = 0;
    if (!ext4_walk(d, path, true, &at, err))
        return false;
    if (at.node.ino && !ext4_read_inode(at.node, &inode, err))
        return false;
    if (at.node.ino && !S_ISDIR(inode.i_mode))
        return error_set(err, ERROR_INPUT, "%s on the disk is not a folder", path);
    if (at.node.ino && !ext4_names(at.node, &found, &count, err))
        return false;
    char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        if (!(list[i] = strdup(found[i].name)))
            abort();
    if (!list)
        abort();
    *names = list;
    return true;
}
