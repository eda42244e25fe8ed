#include "source/partial.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NOTES_MAX ((size_t)16 << 10)
/* The JSON is written when so much is there: less is not worth resuming after a kill. */
#define WORTH_NOTING (256 * KIB)

static void replace(char **text, const char *value)
{
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        abort();
    free(*text);
    *text = copy;
}

static void forget(struct partial *p)
{
    replace(&p->origin, NULL);
    replace(&p->validator, NULL);
    p->whole = p->had = 0;
    if (p->noted)
        unlink(p->notes);
    p->noted = false;
}

static void read_notes(struct partial *p, off_t size)
{
    autojson json_t *j = NULL;
    if (access(p->notes, F_OK) != 0 || !json_read_file(p->notes, NOTES_MAX, &j, NULL))
        return;
    const char *origin = json_string_or(j, "origin", NULL);
    json_int_t whole = json_integer_value(json_object_get(j, "size"));
    p->noted = true;
    if (!origin || !digest_is_valid(DIGEST_SHA256, origin) || whole < 0 || (whole && size > whole))
        return;
    p->had = (uint64_t)size;
    p->whole = (uint64_t)whole;
    replace(&p->origin, origin);
    replace(&p->validator, json_string_or(j, "validator", NULL));
}

static void write_notes(struct partial *p)
{
    autojson json_t *j = json_object();
    autoerror struct error *why = NULL;
    json_set_string(j, "origin", p->origin);
    json_set_string(j, "validator", p->validator);
    json_set_integer(j, "size", (json_int_t)p->whole);
    /* Lost with the power, they only cost what had come. */
    autofree char *text = json_pretty(j);
    p->noted = file_write_unsynced(p->notes, text, strlen(text), 0600, &why);
    if (!p->noted)
        log_debug("a partial file will not be resumed: %s", error_text(why));
}

static void start_hashes(struct partial *p, bool with_sha512)
{
    digest_free(p->blob.sha256);
    digest_free(p->blob.sha512);
    p->blob.sha256 = digest_new(DIGEST_SHA256);
    p->blob.sha512 = with_sha512 ? digest_new(DIGEST_SHA512) : NULL;
    p->blob.size = p->blob.flushed = 0;
}

static int open_file(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool partial_open(struct store *s, const char *name, bool with_sha512, bool resume,
                  struct partial *p, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    struct stat st;
    autofree char *folder = path_join(store_root(s), PARTIAL_FOLDER);
    *p = (struct partial){.blob = NEW_BLOB};
    digest_bytes(DIGEST_SHA256, name, strlen(name), hex);
    p->blob.store = s;
    p->blob.temporary = path_join(folder, hex);
    if (asprintf(&p->notes, "%s.json", p->blob.temporary) < 0)
        abort();
    p->blob.fd = open_file(p->blob.temporary);
    if (p->blob.fd < 0 && errno == ENOENT) { /* the first one in this store */
        autofree char *made = NULL;
        if (store_folder(s, PARTIAL_FOLDER, &made, NULL))
            p->blob.fd = open_file(p->blob.temporary);
    }
    if (p->blob.fd < 0 || fstat(p->blob.fd, &st) < 0) {
        error_errno(err, ERROR_HOST, errno, "cannot write into the cache: %s", p->blob.temporary);
        replace(&p->blob.temporary, NULL); /* not ours to remove */
        partial_drop(p);
        return false;
    }
    start_hashes(p, with_sha512);
    p->empty = st.st_size == 0;
    if (p->empty)
        unlink(p->notes); /* of a file that became a blob before its notes were gone */
    else
        read_notes(p, st.st_size);
    if (resume && p->had)
        return true;
    if (!partial_restart(p, err)) {
        partial_drop(p);
        return false;
    }
    return true;
}

uint64_t partial_size(const struct store *s, const char *name)
{
    char hex[DIGEST_HEX_MAX];
    struct stat st;
    digest_bytes(DIGEST_SHA256, name, strlen(name), hex);
    autofree char *file = path_join(PARTIAL_FOLDER, hex), *path = path_join(store_root(s), file);
    return stat(path, &st) == 0 ? file_allocated(&st) : 0;
}

bool partial_hash(struct partial *p, uint64_t bytes, bool *all, struct error **err)
{
    enum { CHUNK = 1 << 18 };
    static _Thread_local char chunk[CHUNK];
    struct new_blob *b = &p->blob;
    for (uint64_t done = 0; done < bytes && b->size < p->had;) {
        uint64_t left = p->had - b->size;
        ssize_t n = pread(b->fd, chunk, left < CHUNK ? (size_t)left : CHUNK, (off_t)b->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, ERROR_HOST, n ? errno : EIO, "cannot read %s", b->temporary);
        digest_add(b->sha256, chunk, (size_t)n);
        if (b->sha512)
            digest_add(b->sha512, chunk, (size_t)n);
        b->size += (uint64_t)n;
        done += (uint64_t)n;
    }
    *all = b->size >= p->had;
    return true;
}

bool partial_restart(struct partial *p, struct error **err)
{
    bool with_sha512 = p->blob.sha512 != NULL;
    if (!p->empty && ftruncate(p->blob.fd, 0) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot empty %s", p->blob.temporary);
    p->empty = true;
    forget(p);
    if (p->blob.size)
        start_hashes(p, with_sha512);
    return true;
}

bool partial_copy(struct partial *p, int fd, struct error **err)
{
    struct stat st;
    int flags = fcntl(p->blob.fd, F_GETFL);
    if (!partial_restart(p, err))
        return false;
    p->empty = false;
    /* A copy by ranges is refused by files that are only appended to. */
    if (flags < 0 || fcntl(p->blob.fd, F_SETFL, flags & ~O_APPEND) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", p->blob.temporary);
    if (!file_copy_sparse(fd, p->blob.fd, err) || fstat(p->blob.fd, &st) < 0)
        return error_wrap(err, "%s", p->blob.temporary);
    if (fcntl(p->blob.fd, F_SETFL, flags) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", p->blob.temporary);
    p->had = p->whole = (uint64_t)st.st_size;
    return true;
}

void partial_note(struct partial *p, const char *url, const char *validator, uint64_t whole)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, url, strlen(url), hex);
    replace(&p->origin, hex);
    replace(&p->validator, validator);
    p->whole = whole;
    if (p->noted)
        write_notes(p);
}

bool partial_is_of(const struct partial *p, const char *url)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, url, strlen(url), hex);
    return p->origin && p->validator && strcmp(p->origin, hex) == 0;
}

bool partial_write(struct partial *p, const void *bytes, size_t size, struct error **err)
{
    p->empty = false;
    if (!blob_write(&p->blob, bytes, size, err))
        return false;
    if (!p->noted && p->origin && p->blob.size >= WORTH_NOTING)
        write_notes(p);
    return true;
}

static void close_all(struct partial *p)
{
    blob_abandon(&p->blob);
    free(p->notes);
    free(p->origin);
    free(p->validator);
    *p = (struct partial){.blob = NEW_BLOB};
}

void partial_keep(struct partial *p)
{
    if (p->blob.fd < 0 || !(p->blob.size || p->had) || !p->origin) {
        partial_drop(p);
        return;
    }
    if (!p->noted)
        write_notes(p);
    replace(&p->blob.temporary, NULL); /* it stays */
    close_all(p);
}

void partial_drop(struct partial *p)
{
    if (p->noted)
        unlink(p->notes);
    close_all(p);
}

/* The notes go last: until then, a process that is killed leaves something to resume. */
bool partial_commit(struct partial *const *p, const char *const *sha256, size_t count,
                    struct error **err)
{
    autofree struct new_blob **blobs = calloc(count + 1, sizeof *blobs);
    if (!blobs)
        abort();
    for (size_t i = 0; i < count; i++)
        blobs[i] = &p[i]->blob;
    if (!blob_commit_all(blobs, sha256, count, count == 1, err))
        return false;
    for (size_t i = 0; i < count; i++)
        partial_drop(p[i]);
    return true;
}
