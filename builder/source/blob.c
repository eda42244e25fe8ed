/* Blobs of the store: written, stamped, hashed again, linked to where they are used. */
#include "source/store.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define BLOB_MODE 0444
#define STAMP_MAX 160
#define SMALL ((off_t)1 << 20) /* sooner hashed again than safe on the disk */
/* The disk is kept busy while a blob comes in, so that the fsync at its end has little to do. */
#define FLUSH_STEP ((uint64_t)8 << 20)

static char *in_root(const struct store *s, const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s/%s", store_root(s), folder, name) < 0)
        abort();
    return path;
}

/* The lock of a blob's name and stamp; innermost: no other lock is taken under it. */
static int lock_blob(const struct store *s, const char *sha256, struct error **err)
{
    char text[5 + DIGEST_HEX_MAX];
    snprintf(text, sizeof text, "blob\n%s", sha256);
    return store_lock(s, text, NULL, err);
}

/* --- stamps -------------------------------------------------------------------------------------
 * Without the ctime: a hard link to the blob changes it.
 */

/* What tells this run of the kernel from others; empty: not known. */
static const char *boot_id(void)
{
    static char id[64];
    if (!*id) {
        autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id - 1);
        id[n < 0 ? 0 : n] = '\0';
        id[strcspn(id, "\n")] = '\0';
    }
    return id;
}

/* With boot: the stamp of a blob that may not be on the disk yet; it holds until the power goes. */
static size_t stamp_text(const struct stat *st, const char *boot, char text[STAMP_MAX])
{
    const struct file_stamp f = file_stamp_of(st);
    int n = snprintf(text, STAMP_MAX, "%" PRIu64 " %" PRId64 " %" PRIu64 "%s%s\n", f.size,
                     f.mtime_ns, f.inode, boot ? " " : "", boot ? boot : "");
    return n > 0 ? (size_t)n : 0;
}

static bool stamp_holds(const struct store *s, const char *sha256, const struct stat *st)
{
    char now[STAMP_MAX], then[STAMP_MAX];
    autofree char *path = in_root(s, "stamps", sha256);
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, then, sizeof then);
    if (size <= 0)
        return false;
    const char *const boots[] = {NULL, boot_id()};
    for (size_t i = 0; i < COUNT(boots); i++)
        if ((size_t)size == stamp_text(st, boots[i], now) && memcmp(now, then, (size_t)size) == 0)
            return true;
    return false;
}

/* Under the blob's lock. In place and unsynced: half a stamp holds for no file. */
static void stamp_write(const struct store *s, const char *sha256, const struct stat *st,
                        bool on_disk)
{
    char text[STAMP_MAX];
    autofree char *path = in_root(s, "stamps", sha256);
    autoerror struct error *why = NULL;
    if (!on_disk && !*boot_id())
        return;
    size_t size = stamp_text(st, on_disk ? NULL : boot_id(), text);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !file_write_all(fd, text, size, &why))
        log_debug("cannot write %s: its blob is hashed again when it is used", path);
}

void store_touch(const struct store *s, const char *sha256)
{
    autofree char *path = in_root(s, "stamps", sha256);
    if (utimensat(AT_FDCWD, path, NULL, 0) < 0)
        log_debug("cannot mark %s as used: %s", path, strerror(errno));
}

/* --- what is there ------------------------------------------------------------------------------
 */

static void set_aside(const struct store *s, const char *sha256, const char *path)
{
    autofree char *to = in_root(s, "damaged", sha256), *folder = path_dirname(to);
    autofree char *stamp = in_root(s, "stamps", sha256);
    autoerror struct error *why = NULL;
    if (!file_make_dirs(folder, 0700, &why) || rename(path, to) < 0)
        log_warning("%s is damaged, and cannot be moved to %s", path, folder);
    else
        log_warning("a blob in the cache is damaged and was moved to %s: it is fetched again when "
                    "it is needed",
                    to);
    unlink(stamp);
}

enum verdict { VERDICT_RIGHT, VERDICT_DAMAGED, VERDICT_UNKNOWN };

/* Hashes an open blob; st is what it looked like when that was done. */
static enum verdict hash_blob(int fd, const char *path, const char *sha256, struct stat *st)
{
    char hex[DIGEST_HEX_MAX];
    struct stat before;
    autoerror struct error *why = NULL;
    if (fstat(fd, &before) < 0 || fchmod(fd, BLOB_MODE) < 0 ||
        !digest_fd(DIGEST_SHA256, fd, hex, NULL, &why) || fstat(fd, st) < 0) {
        if (!interrupted())
            log_warning("cannot read %s: %s", path, why ? error_text(why) : strerror(errno));
        return VERDICT_UNKNOWN;
    }
    const struct file_stamp a = file_stamp_of(&before), b = file_stamp_of(st);
    if (strcmp(hex, sha256) != 0)
        return VERDICT_DAMAGED;
    return a.size == b.size && a.mtime_ns == b.mtime_ns ? VERDICT_RIGHT : VERDICT_UNKNOWN;
}

bool store_rehash(const struct store *s, const char *sha256, bool *damaged)
{
    autofree char *path = store_blob_path(s, sha256);
    autoerror struct error *why = NULL;
    struct stat st;
    *damaged = false;
    autoclose int lock = lock_blob(s, sha256, &why);
    if (lock < 0) {
        if (!interrupted())
            log_warning("%s cannot be verified: %s", path, error_text(why));
        return false;
    }
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno != ENOENT)
            log_warning("cannot read %s: %s", path, strerror(errno));
        return false;
    }
    enum verdict v = hash_blob(fd, path, sha256, &st);
    *damaged = v == VERDICT_DAMAGED;
    if (v == VERDICT_DAMAGED)
        set_aside(s, sha256, path);
    else if (v == VERDICT_RIGHT)
        stamp_write(s, sha256, &st, st.st_size > SMALL && fsync(fd) == 0);
    return v == VERDICT_RIGHT;
}

/* By its stamp alone. */
static bool is_stamped(const struct store *s, const char *sha256, bool *there)
{
    struct stat st;
    autofree char *path = store_blob_path(s, sha256);
    *there = lstat(path, &st) == 0 && S_ISREG(st.st_mode);
    return *there && stamp_holds(s, sha256, &st);
}

bool store_has(const struct store *s, const char *sha256)
{
    bool there, damaged;
    if (!digest_is_valid(DIGEST_SHA256, sha256))
        return false;
    return is_stamped(s, sha256, &there) || (there && store_rehash(s, sha256, &damaged));
}

/* --- where blobs are used -----------------------------------------------------------------------
 */

/* A reflink, or else a copy. */
static bool copy_blob(const char *from, const char *to, bool reflink, struct error **err)
{
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", from);
    autoclose int out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno == EEXIST ? ERROR_CONFLICT : ERROR_HOST, errno, "%s", to);
    bool ok;
    if (reflink)
        ok = ioctl(out, FICLONE, in) == 0 ||
             error_errno(err, ERROR_UNSUPPORTED, errno, "cannot reflink %s", from);
    else
        ok = file_copy_sparse(in, out, err) || error_wrap(err, "cannot copy %s", from);
    if (ok && fchmod(out, BLOB_MODE) < 0)
        ok = error_errno(err, ERROR_HOST, errno, "%s", to);
    if (!ok)
        unlink(to);
    return ok;
}

/* Only a blob is linked: another file may be written to, or be for its owner's eyes. */
static bool link_blob(const char *blob, const char *to)
{
    struct stat st;
    return stat(blob, &st) == 0 && (st.st_mode & 07777) == BLOB_MODE && link(blob, to) == 0;
}

bool store_link(const char *blob, const char *to, struct error **err)
{
    autoerror struct error *why = NULL;
    if (copy_blob(blob, to, true, &why))
        return true;
    if (error_kind(why) != ERROR_UNSUPPORTED) {
        *err = take_ptr(why);
        return false;
    }
    return link_blob(blob, to) || copy_blob(blob, to, false, err);
}

/* --- writing ------------------------------------------------------------------------------------
 */

bool blob_begin(struct store *s, bool with_sha512, struct new_blob *b, struct error **err)
{
    b->store = s;
    char *temporary = in_root(s, "tmp", "blob.XXXXXX");
    b->fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (b->fd < 0) {
        int e = errno;
        free(temporary);
        return error_errno(err, ERROR_HOST, e, "cannot write into the cache %s", store_root(s));
    }
    b->temporary = temporary;
    b->sha256 = digest_new(DIGEST_SHA256);
    b->sha512 = with_sha512 ? digest_new(DIGEST_SHA512) : NULL;
    return true;
}

static void blob_hash(struct new_blob *b, const void *bytes, size_t size)
{
    digest_add(b->sha256, bytes, size);
    if (b->sha512)
        digest_add(b->sha512, bytes, size);
    b->size += size;
}

bool blob_write(struct new_blob *b, const void *bytes, size_t size, struct error **err)
{
    if (!file_write_all(b->fd, bytes, size, err))
        return error_wrap(err, "the cache %s", store_root(b->store));
    blob_hash(b, bytes, size);
    if (b->size - b->flushed >= FLUSH_STEP) {
        (void)sync_file_range(b->fd, (off_t)b->flushed, (off_t)(b->size - b->flushed),
                              SYNC_FILE_RANGE_WRITE);
        b->flushed = b->size;
    }
    return true;
}

bool blob_copy(struct new_blob *b, int fd, struct error **err)
{
    enum { CHUNK = 1 << 18 };
    if (!file_copy_sparse(fd, b->fd, err))
        return error_wrap(err, "the cache %s", store_root(b->store));
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    for (;;) {
        ssize_t n = pread(b->fd, chunk, CHUNK, (off_t)b->size);
        if (interrupted())
            return interrupt_error(err);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "the cache %s", store_root(b->store));
        if (n == 0)
            return true;
        blob_hash(b, chunk, (size_t)n);
    }
}

void blob_digests(struct new_blob *b, char sha256[DIGEST_HEX_MAX], char sha512[DIGEST_HEX_MAX])
{
    digest_finish(b->sha256, sha256);
    if (sha512 && b->sha512)
        digest_finish(b->sha512, sha512);
}

/* Times that a later change cannot happen to leave as they are. */
static bool settle(const struct new_blob *b)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 1}};
    return futimens(b->fd, times) == 0;
}

/* Until it has its name it can be written to: a file that was partly fetched is opened again. The
 * folder is not synced: a name that a crash takes away is a blob to be fetched again. */
static bool give_name(struct new_blob *b, const char *sha256, bool on_disk, struct error **err)
{
    autofree char *path = store_blob_path(b->store, sha256);
    struct stat st;
    autoclose int lock = lock_blob(b->store, sha256, err);
    if (lock < 0)
        return false;
    if (rename(b->temporary, path) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot rename to %s", path);
    free(b->temporary);
    b->temporary = NULL;
    if (fchmod(b->fd, BLOB_MODE) < 0 || fstat(b->fd, &st) < 0 || close(take_fd(&b->fd)) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", path);
    if (on_disk) /* else on its first use: a file for each is what takes longest with small ones */
        stamp_write(b->store, sha256, &st, true);
    return true;
}

bool blob_commit_all(struct new_blob *const *blobs, const char *const *sha256, size_t count,
                     bool wait, struct error **err)
{
    for (size_t i = 0; i < count; i++)
        if (!settle(blobs[i]) || (wait && fsync(blobs[i]->fd) < 0))
            return error_errno(err, ERROR_HOST, errno, "cannot write into the cache %s",
                               store_root(blobs[i]->store));
    for (size_t i = 0; i < count; i++) {
        bool there;
        if (is_stamped(blobs[i]->store, sha256[i], &there))
            store_touch(blobs[i]->store, sha256[i]);
        else if (!give_name(blobs[i], sha256[i], wait, err))
            return false;
    }
    return true;
}

bool blob_commit(struct new_blob *b, const char *sha256, struct error **err)
{
    bool there;
    if (is_stamped(b->store, sha256, &there)) {
        store_touch(b->store, sha256);
        return true;
    }
    return blob_commit_all(&b, &sha256, 1, true, err);
}

void blob_abandon(struct new_blob *b)
{
    if (b->fd >= 0)
        close(take_fd(&b->fd));
    if (b->temporary)
        unlink(b->temporary);
    free(b->temporary);
    digest_free(b->sha256);
    digest_free(b->sha512);
    *b = NEW_BLOB;
}
