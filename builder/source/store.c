#include "source/store.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define RECORD_MAX ((size_t)64 << 10)

struct store {
    char *root;
    char *blobs;
};

static char *format_path(const char *a, const char *b, const char *c)
{
    char *s = NULL;
    if (asprintf(&s, "%s/%s%s", a, b, c) < 0)
        abort();
    return s;
}

/* The folder that the environment names; NULL where it names none. The XDG specification has
 * relative paths ignored. */
static char *wanted_root(void)
{
    const char *given = getenv("INGOT_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (given && *given)
        return path_join(NULL, given);
    if (xdg && *xdg == '/')
        return path_join(xdg, "ingot");
    if (home && *home == '/')
        return path_join(home, ".cache/ingot");
    return NULL;
}

bool store_open(struct store **out, struct error **err)
{
    autofree char *root = wanted_root();
    if (!root)
        return error_set(err, ERROR_HOST,
                         "no folder for the cache: set INGOT_CACHE, or HOME to an absolute path");
    if (!file_make_dirs(root, 0700, err))
        return error_wrap(err, "the cache (INGOT_CACHE names another folder)");
    autostore struct store *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->root = path_absolute(".", root);
    s->blobs = path_join(s->root, "blobs/sha256");
    static const char *const folders[] = {"blobs/sha256", "sources", "locks", "tmp"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        autofree char *path = NULL;
        if (!store_folder(s, folders[i], &path, err))
            return error_wrap(err, "the cache (INGOT_CACHE names another folder)");
    }
    *out = take_ptr(s);
    return true;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    free(s->root);
    free(s->blobs);
    free(s);
}

const char *store_root(const struct store *s)
{
    return s->root;
}

bool store_folder(struct store *s, const char *name, char **path, struct error **err)
{
    *path = path_join(s->root, name);
    if (file_make_dirs(*path, 0700, err))
        return true;
    free(*path);
    *path = NULL;
    return false;
}

char *store_blob_path(const struct store *s, const char *sha256)
{
    return path_join(s->blobs, sha256);
}

bool store_has(const struct store *s, const char *sha256)
{
    if (!digest_is_valid(DIGEST_SHA256, sha256))
        return false;
    autofree char *path = store_blob_path(s, sha256);
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* --- writing ------------------------------------------------------------------------------------
 */

bool blob_begin(struct store *s, bool with_sha512, struct new_blob *b, struct error **err)
{
    b->store = s;
    char *temporary = format_path(s->root, "tmp/", "blob.XXXXXX");
    b->fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (b->fd < 0) {
        int e = errno;
        free(temporary);
        return error_errno(err, ERROR_HOST, e, "cannot write into the cache %s", s->root);
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
        return error_wrap(err, "the cache %s", b->store->root);
    blob_hash(b, bytes, size);
    return true;
}

bool blob_copy(struct new_blob *b, int fd, struct error **err)
{
    enum { CHUNK = 1 << 18 };
    if (!file_copy_sparse(fd, b->fd, err))
        return error_wrap(err, "the cache %s", b->store->root);
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
            return error_errno(err, ERROR_HOST, errno, "the cache %s", b->store->root);
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

bool blob_commit(struct new_blob *b, const char *sha256, struct error **err)
{
    autofree char *path = store_blob_path(b->store, sha256);
    if (fsync(b->fd) < 0 || close(take_fd(&b->fd)) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write into the cache %s",
                           b->store->root);
    if (rename(b->temporary, path) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot rename to %s", path);
    free(b->temporary);
    b->temporary = NULL;
    return file_sync(b->store->blobs, err);
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

/* root/FOLDER/SHA256 of text + suffix. */
static char *named_by_digest(const struct store *s, const char *folder, const char *text,
                             const char *suffix)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    autofree char *name = format_path(folder, hex, suffix);
    return path_join(s->root, name);
}

int store_lock(struct store *s, const char *text, const char *waiting, struct error **err)
{
    autofree char *path = named_by_digest(s, "locks", text, "");
    return file_lock(path, true, true, waiting, err);
}

int store_use(struct store *s, bool alone, struct error **err)
{
    autofree char *path = path_join(s->root, "locks/use");
    autoerror struct error *why = NULL;
    int fd = file_lock(path, alone, !alone, "the cache is being cleaned up: waiting for it", &why);
    if (fd >= 0)
        return fd;
    if (alone && error_kind(why) == ERROR_CONFLICT)
        error_set(err, ERROR_CONFLICT,
                  "a build is using the cache %s: clean it up when nothing is built", s->root);
    else
        error_set(err, error_kind(why), "%s", error_text(why));
    return -1;
}

/* --- what is remembered of a source --------------------------------------------------------------
 */

json_t *store_recall(const struct store *s, const char *text)
{
    autofree char *path = named_by_digest(s, "sources", text, ".json");
    autoerror struct error *why = NULL;
    json_t *j = NULL;
    if (access(path, F_OK) != 0)
        return NULL;
    if (!json_read_file(path, RECORD_MAX, &j, &why)) {
        log_debug("a record of the cache is not used: %s", error_text(why));
        return NULL;
    }
    return j;
}

void store_remember(struct store *s, const char *text, const json_t *record)
{
    autofree char *path = named_by_digest(s, "sources", text, ".json");
    autoerror struct error *why = NULL;
    if (!json_write_file(path, record, 0600, &why))
        log_debug("a source is not remembered: %s", error_text(why));
}
