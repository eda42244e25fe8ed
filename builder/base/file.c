#include "base/file.h"

#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

bool file_read(const char *path, size_t max_bytes, char **text, size_t *size, struct error **err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is a folder, not a file", path);
    size_t room = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, used = 0;
    if (room > max_bytes + 1)
        room = max_bytes + 1;
    autofree char *bytes = malloc(room + 1);
    for (;;) {
        if (!bytes)
            abort();
        ssize_t n = read(fd, bytes + used, room - used);
        if (n < 0 && errno == EINTR && !interrupted())
            continue;
        if (n < 0)
            return error_errno(err, ERROR_INPUT, errno, "%s", path);
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max_bytes)
            return error_set(err, ERROR_INPUT, "%s: larger than %zu bytes", path, max_bytes);
        if (used == room) {
            room = room * 2 > max_bytes + 1 ? max_bytes + 1 : room * 2;
            char *grown = realloc(bytes, room + 1);
            if (!grown)
                abort();
            bytes = grown;
        }
    }
    bytes[used] = '\0';
    *text = take_ptr(bytes);
    *size = used;
    return true;
}

bool file_write_all(int fd, const void *bytes, size_t size, struct error **err)
{
    const char *p = bytes;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR && !interrupted())
            continue;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot write");
        p += n;
        size -= (size_t)n;
    }
    return true;
}

bool file_create(struct new_file *f, const char *path, unsigned mode, struct error **err)
{
    autofree char *dir = path_dirname(path);
    char *temporary = NULL;
    if (asprintf(&temporary, "%s/.%s.XXXXXX", dir, path_basename(path)) < 0)
        abort();
    f->fd = mkostemp(temporary, O_CLOEXEC);
    if (f->fd < 0) {
        free(temporary);
        return error_errno(err, ERROR_HOST, errno, "cannot create %s", path);
    }
    f->temporary = temporary;
    f->path = strdup(path);
    if (!f->path)
        abort();
    if (fchmod(f->fd, mode) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot set the mode of %s", path);
    return true;
}

static bool put_in_place(struct new_file *f, struct error **err)
{
    if (close(take_fd(&f->fd)) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write %s", f->path);
    if (rename(f->temporary, f->path) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot rename to %s", f->path);
    free(f->temporary);
    f->temporary = NULL;
    return true;
}

bool file_commit(struct new_file *f, struct error **err)
{
    if (fsync(f->fd) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write %s", f->path);
    if (!put_in_place(f, err))
        return false;
    autofree char *dir = path_dirname(f->path);
    bool ok = file_sync(dir, err);
    free(f->path);
    f->path = NULL;
    return ok;
}

void file_abandon(struct new_file *f)
{
    if (f->fd >= 0)
        close(take_fd(&f->fd));
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    *f = NEW_FILE;
}

bool file_write(const char *path, const void *bytes, size_t size, unsigned mode, struct error **err)
{
    autonew struct new_file f = NEW_FILE;
    if (!file_create(&f, path, mode, err))
        return false;
    if (!file_write_all(f.fd, bytes, size, err))
        return error_wrap(err, "%s", path);
    return file_commit(&f, err);
}

bool file_write_unsynced(const char *path, const void *bytes, size_t size, unsigned mode,
                         struct error **err)
{
    autonew struct new_file f = NEW_FILE;
    if (!file_create(&f, path, mode, err))
        return false;
    if (!file_write_all(f.fd, bytes, size, err))
        return error_wrap(err, "%s", path);
    return put_in_place(&f, err);
}

bool file_make_dirs(const char *path, unsigned mode, struct error **err)
{
    autofree char *p = strdup(path);
    if (!p)
        abort();
    for (char *slash = p + (*p == '/');; slash++) {
        slash += strcspn(slash, "/");
        char c = *slash;
        *slash = '\0';
        if (mkdir(p, mode) < 0 && errno != EEXIST)
            return error_errno(err, ERROR_HOST, errno, "cannot make the folder %s", p);
        *slash = c;
        if (!c)
            break;
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERROR_HOST, "%s is not a folder", path);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (flag == FTW_DNR && chmod(path, 0700) < 0)
        return -1;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

bool file_remove_tree(const char *path, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT || error_errno(err, ERROR_HOST, errno, "%s", path);
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return error_errno(err, ERROR_HOST, errno, "cannot remove %s", path);
    return true;
}

bool file_discard(const char *path, struct error **err)
{
    autofree char *dir = path_dirname(path);
    autotempdir char *gone = NULL;
    if (!file_temp_dir(dir, ".gone-", &gone, err))
        return false;
    if (rename(path, gone) < 0 && errno != ENOENT)
        return error_errno(err, ERROR_HOST, errno, "cannot remove %s", path);
    return file_remove_tree(gone, err);
}

bool file_sync(const char *path, struct error **err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return error_errno(err, ERROR_HOST, errno, "cannot sync %s", path);
    return true;
}

bool file_publish(const char *from, const char *to, bool replace, struct error **err)
{
    if (!file_sync(from, err))
        return false;
    unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    bool exchanged = false;
    if (rc < 0 && replace && (errno == ENOTEMPTY || errno == EEXIST)) {
        rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
        exchanged = rc == 0;
    }
    if (rc < 0)
        return error_errno(err, errno == EEXIST ? ERROR_CONFLICT : ERROR_HOST, errno,
                           "cannot rename to %s", to);
    autofree char *dir = path_dirname(to);
    if (!file_sync(dir, err))
        return false;
    return !exchanged || file_remove_tree(from, err);
}

bool file_temp_dir(const char *dir, const char *prefix, char **path, struct error **err)
{
    char *p = NULL;
    if (asprintf(&p, "%s/%sXXXXXX", dir, prefix) < 0)
        abort();
    if (!mkdtemp(p)) {
        int e = errno;
        free(p);
        return error_errno(err, ERROR_HOST, e, "cannot make a temporary folder in %s", dir);
    }
    *path = p;
    return true;
}

void cleanup_tempdir(char **path)
{
    if (*path)
        (void)file_remove_tree(*path, NULL);
    free(*path);
    *path = NULL;
}

#define COPY_MAX ((off_t)4 << 20) /* between two looks at interruptions */

static bool copy_range(int from, int to, off_t at, off_t end, struct error **err)
{
    static _Thread_local char chunk[1 << 18];
    while (at < end) {
        if (interrupted())
            return interrupt_error(err);
        off_t left = end - at, piece = COPY_MAX;
        if (left < piece)
            piece = left;
        size_t want = left < (off_t)sizeof chunk ? (size_t)left : sizeof chunk;
        /* Not past the end: behind it is a hole, whose zeros would be written. */
        ssize_t n = copy_file_range(from, &(off_t){at}, to, &(off_t){at}, (size_t)piece, 0);
        if (n <= 0) {
            n = pread(from, chunk, want, at);
            if (n <= 0)
                return error_errno(err, ERROR_INPUT, n < 0 ? errno : EIO, "cannot read");
            for (ssize_t done = 0, w; done < n; done += w) {
                w = pwrite(to, chunk + done, (size_t)(n - done), at + done);
                if (w < 0)
                    return error_errno(err, ERROR_HOST, errno, "cannot write");
            }
        }
        at += n;
    }
    return true;
}

bool file_copy_sparse(int from, int to, struct error **err)
{
    struct stat st, old;
    if (fstat(from, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read");
    if (ioctl(to, FICLONE, from) == 0)
        return true;
    /* ext4 writes a file that was cut to nothing out when it is closed, even if it was empty. */
    bool cut = fstat(to, &old) < 0 || old.st_size > 0;
    if ((cut && ftruncate(to, 0) < 0) || ftruncate(to, st.st_size) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot set the size");
    for (off_t at = 0; at < st.st_size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return true;
        off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
        if (data < 0 || hole < 0) { /* a file system without holes */
            data = at;
            hole = st.st_size;
        }
        if (!copy_range(from, to, data, hole, err))
            return false;
        at = hole;
    }
    return true;
}

uint64_t file_allocated(const struct stat *st)
{
    return (uint64_t)st->st_blocks * 512;
}

/* What is locked: a whole file (flock(2)), or one byte of it (open file description locks,
 * fcntl(2)).
 */
struct lock_kind {
    bool exclusive, byte;
    uint64_t offset;
};

static int take_lock(int fd, const struct lock_kind *k, bool wait)
{
    if (!k->byte)
        return flock(fd, (k->exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
    struct flock l = {.l_type = k->exclusive ? F_WRLCK : F_RDLCK,
                      .l_whence = SEEK_SET,
                      .l_start = (off_t)k->offset,
                      .l_len = 1};
    return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
}

static int lock_file(const char *path, const struct lock_kind *k, bool wait, const char *waiting,
                     struct error **err)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_errno(err, ERROR_HOST, errno, "cannot open the lock %s", path);
        return -1;
    }
    if (take_lock(fd, k, false) == 0)
        return take_fd(&fd);
    bool held = errno == EWOULDBLOCK || errno == EACCES;
    if (held && wait) {
        if (waiting)
            log_info("%s", waiting);
        while (take_lock(fd, k, true) < 0) {
            if (errno != EINTR) {
                error_errno(err, ERROR_HOST, errno, "cannot lock %s", path);
                return -1;
            }
            if (interrupted()) {
                interrupt_error(err);
                return -1;
            }
        }
        return take_fd(&fd);
    }
    error_errno(err, held ? ERROR_CONFLICT : ERROR_HOST, errno, "%s is locked", path);
    return -1;
}

int file_lock(const char *path, bool exclusive, bool wait, const char *waiting, struct error **err)
{
    return lock_file(path, &(struct lock_kind){.exclusive = exclusive}, wait, waiting, err);
}

int file_lock_byte(const char *path, uint64_t offset, bool wait, const char *waiting,
                   struct error **err)
{
    const struct lock_kind k = {.exclusive = true, .byte = true, .offset = offset};
    return lock_file(path, &k, wait, waiting, err);
}

bool file_free_space(const char *path, uint64_t *bytes, struct error **err)
{
    autofree char *p = path_absolute(".", path);
    struct statvfs fs;
    while (statvfs(p, &fs) < 0) {
        if (errno != ENOENT || strcmp(p, "/") == 0)
            return error_errno(err, ERROR_HOST, errno, "%s", p);
        char *up = path_dirname(p);
        free(p);
        p = up;
    }
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return true;
}

struct file_stamp file_stamp_of(const struct stat *st)
{
    return (struct file_stamp){
        .device = st->st_dev,
        .inode = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * (int64_t)1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * (int64_t)1000000000 + st->st_ctim.tv_nsec,
    };
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}
