/* Files: reading whole ones with a limit, writing that leaves the old file or the new one and never
 * a part, temporary folders that go away, sparse copies.
 */
#ifndef INGOT_BASE_FILE_H
#define INGOT_BASE_FILE_H

#include "base/error.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Reads a whole file; more than max_bytes is ERROR_INPUT. *text is NUL-terminated; free it. */
bool file_read(const char *path, size_t max_bytes, char **text, size_t *size, struct error **err)
    must_check;

/* Writes all bytes to fd. */
bool file_write_all(int fd, const void *bytes, size_t size, struct error **err) must_check;

/* A file that comes into being under its final name only when it is complete: written under a
 * temporary name in the same folder, then fsync, close, rename. Declare it
 * `autonew struct new_file f = NEW_FILE;` and it is removed unless file_commit succeeded. */
struct new_file {
    int fd;
    char *path;      /* final name */
    char *temporary; /* name while it is written */
};
#define NEW_FILE                                                                                   \
    (struct new_file)                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
bool file_create(struct new_file *f, const char *path, unsigned mode, struct error **err)
    must_check;
bool file_commit(struct new_file *f, struct error **err) must_check;
void file_abandon(struct new_file *f);
#define autonew cleanup(file_abandon)

/* file_create, write, file_commit. */
bool file_write(const char *path, const void *bytes, size_t size, unsigned mode, struct error **err)
    must_check;
/* The same without fsync, for what can be done without: after a crash of the host it may be empty.
 */
bool file_write_unsynced(const char *path, const void *bytes, size_t size, unsigned mode,
                         struct error **err) must_check;

/* Makes a folder and those above it; one that exists is fine. */
bool file_make_dirs(const char *path, unsigned mode, struct error **err) must_check;
/* Removes a file or a whole tree (links are not followed); what does not exist is fine. */
bool file_remove_tree(const char *path, struct error **err);
/* Removes a folder under another name (.gone-XXXXXX beside it): whoever is interrupted never leaves
 * half of it under its own. What does not exist is fine. */
bool file_discard(const char *path, struct error **err) must_check;
/* Moves a finished file or folder to its final name and fsyncs both folders. With replace, a folder
 * that stands there is exchanged and then removed. */
bool file_publish(const char *from, const char *to, bool replace, struct error **err) must_check;
/* fsync of a file or folder by name. */
bool file_sync(const char *path, struct error **err) must_check;

/* A temporary folder, 0700, below dir: `autotempdir char *d = NULL;` removes it with all in it. */
bool file_temp_dir(const char *dir, const char *prefix, char **path, struct error **err) must_check;
void cleanup_tempdir(char **path);
#define autotempdir cleanup(cleanup_tempdir)

/* Copies the contents of one open file to another (from offset 0 to offset 0): a reflink where the
 * file system can, else only the data between the holes, which become holes. The target is cut to
 * the size of the source. */
bool file_copy_sparse(int from, int to, struct error **err) must_check;
/* Bytes that a file occupies on disk. */
uint64_t file_allocated(const struct stat *st);

/* An advisory lock on `path` (made if absent, never removed), held until the descriptor is closed.
 * With wait false a lock that is held elsewhere is ERROR_CONFLICT. While waiting, `waiting` (may be
 * NULL) is logged once. -1 on failure. */
int file_lock(const char *path, bool exclusive, bool wait, const char *waiting, struct error **err)
    must_check;

/* The same, exclusive, of one byte of a file, below 2^63: so that one file has room for as many
 * locks as one likes. */
int file_lock_byte(const char *path, uint64_t offset, bool wait, const char *waiting,
                   struct error **err) must_check;

/* Free bytes for this user on the file system that holds path (or its nearest existing parent). */
bool file_free_space(const char *path, uint64_t *bytes, struct error **err) must_check;

/* A name, size and times that change when the file's contents can have changed. */
struct file_stamp {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
};
struct file_stamp file_stamp_of(const struct stat *st);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

#endif
