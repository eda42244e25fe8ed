/* What the files of the ext4 writer share. Only ext4*.c see this and <ext2fs/ext2fs.h>. */
#ifndef INGOT_DISK_EXT4_DISK_H
#define INGOT_DISK_EXT4_DISK_H

#include "base/arena.h"
#include "disk/writer.h"

#include <ext2fs/ext2fs.h>

#define EXT4_MAX_LINKS 40  /* as the kernel's MAXSYMLINKS */
#define EXT4_MAX_DEPTH 256 /* folders in each other */
#define EXT4_MAX_PATH 4096

/* One ext4 file system of the disk. */
struct ext4_fs {
    ext2_filsys fs;
    const char *mountpoint;    /* "/", "/boot" */
    uint64_t offset, size;     /* bytes in the raw disk */
    ext2fs_block_bitmap freed; /* blocks that were freed; NULL: none yet */
};

/* A file system of the disk that this writer cannot enter. */
struct ext4_foreign {
    const char *mountpoint, *type;
};

struct ext4_node {
    struct ext4_fs *on;
    ext2_ino_t ino; /* 0: none */
};

struct ext4_disk {
    struct disk base;
    struct arena *arena;
    const char *raw;
    bool writable;
    int64_t epoch;
    struct ext4_fs fs[FACTS_MAX_MOUNTS]; /* the root first */
    size_t count;
    struct ext4_foreign foreign[FACTS_MAX_MOUNTS];
    size_t foreign_count;
    /* The folder that was looked up last, for the next file in it. */
    char *cached_path;
    struct ext4_node cached;
};

/* Where a path leads. */
struct ext4_place {
    struct ext4_node parent;      /* .ino 0: a folder on the way is missing */
    char name[EXT2_NAME_LEN + 1]; /* in parent; "" for the root of a file system */
    struct ext4_node node;        /* .ino 0: nothing there */
    char path[EXT4_MAX_PATH];     /* without links */
};

/* ext4.c. An error of libext2fs; no room left is ERROR_SPACE. Returns false. */
bool ext4_error(struct error **err, errcode_t code, const char *fmt, ...) printf_like(3, 4);
/* Reads the whole inode, whatever its size; larger ones are cut to what the structure holds. */
bool ext4_read_inode(struct ext4_node n, struct ext2_inode_large *inode, struct error **err)
    must_check;
bool ext4_write_inode(struct ext4_node n, struct ext2_inode_large *inode, struct error **err)
    must_check;

/* ext4_path.c. Looks a clean absolute path up as the guest would, over links and mounts. */
bool ext4_walk(struct ext4_disk *d, const char *path, bool follow, struct ext4_place *out,
               struct error **err) must_check;
/* The target of a symlink; room for EXT4_MAX_PATH bytes. */
bool ext4_read_link(struct ext4_node n, char *target, struct error **err) must_check;

/* ext4_read.c: the reading part of the table. */
bool ext4_read(struct disk *d, const char *path, size_t max, char **text, size_t *size,
               struct error **err);
bool ext4_stat(struct disk *d, const char *path, bool follow, struct disk_stat *st, bool *found,
               struct error **err);
bool ext4_list(struct disk *d, const char *path, char ***names, struct error **err);

/* A name in a folder. */
struct ext4_name {
    char name[EXT2_NAME_LEN + 1];
    ext2_ino_t ino;
};
/* All names in a folder but . and .., sorted; free *names. */
bool ext4_names(struct ext4_node folder, struct ext4_name **names, size_t *count,
                struct error **err) must_check;

/* ext4_change.c */
struct ext4_attributes {
    mode_t mode; /* permissions */
    uint32_t uid, gid;
    int64_t mtime;
};
bool ext4_remove(struct disk *d, const char *path, struct error **err);
bool ext4_truncate(struct disk *d, const char *path, struct error **err);
/* Takes a name out of its folder, and what it names away if that was the last name; a folder must
 * be empty. */
bool ext4_unlink(struct ext4_disk *d, const struct ext4_place *at, struct error **err) must_check;
/* Puts a name for an inode into a folder, which grows where it must. */
bool ext4_link(struct ext4_disk *d, struct ext4_node folder, const char *name, ext2_ino_t ino,
               mode_t type, struct error **err) must_check;
bool ext4_make_folder(struct ext4_disk *d, struct ext4_node parent, const char *name,
                      const struct ext4_attributes *a, struct ext4_node *out, struct error **err)
    must_check;
bool ext4_make_symlink(struct ext4_disk *d, struct ext4_node parent, const char *name,
                       const char *target, const struct ext4_attributes *a, struct ext4_node *out,
                       struct error **err) must_check;
/* An empty file with no name yet and all blocks for its size, which hold what they held. */
bool ext4_make_file(struct ext4_disk *d, struct ext4_node parent, uint64_t size,
                    const struct ext4_attributes *a, struct ext4_node *out, struct error **err)
    must_check;
bool ext4_set_attributes(struct ext4_disk *d, struct ext4_node n, const struct ext4_attributes *a,
                         struct error **err) must_check;
/* The folder's own times become the epoch: what is in it changed. */
bool ext4_touch(struct ext4_disk *d, struct ext4_node folder, struct error **err) must_check;

/* ext4_lay.c */
bool ext4_lay(struct disk *d, const char *tar_path, struct error **err);
/* ext4_space.c: ERROR_SPACE if what the tar holds cannot fit. */
bool ext4_check_space(struct ext4_disk *d, const char *tar_path, struct error **err) must_check;

#endif
