#include "payload/payload.h"
#include "payload/tar.h"
#include "payload/unpack.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>

#define CHUNK ((size_t)1 << 18)

struct composing {
    const struct plan *plan;
    const char *(*blob)(const struct plan_entry *e, void *data);
    void *data;
    struct tar_out *out;
    char *chunk;
    uint64_t done, total; /* bytes of files, for progress */
};

/* --- host files ---------------------------------------------------------------------------------
 */

struct host_file {
    const char *path;
    int fd;
    uint64_t size;
    enum digest_kind kind;
    const char *digest; /* that it must have */
};

static void close_host_file(struct host_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
}

static bool open_host_file(struct composing *c, const struct plan_entry *e, struct host_file *f,
                           struct error **err)
{
    f->path = e->url ? c->blob(e, c->data) : e->source;
    if (!f->path)
        return error_set(err, ERROR_UNREACHABLE, "%s: %s has not been fetched", e->path, e->url);
    f->kind = DIGEST_SHA256;
    f->digest = e->digest;
    if (!f->digest && e->verify && e->verify->kind == VERIFY_DIGEST) {
        f->kind = e->verify->digest_kind;
        f->digest = e->verify->digest;
    }
    if (!f->digest)
        return error_set(err, ERROR_TRUST, "%s: there is no digest to verify %s by", e->path,
                         f->path);
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", f->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is not a file", f->path);
    f->size = (uint64_t)st.st_size;
    return true;
}

static bool has_changed(const struct host_file *f, const char *got, struct error **err)
{
    return error_set(err, ERROR_TRUST,
                     "%s: is not what it was when the plan was made: %s expected %s, got %s",
                     f->path, digest_name(f->kind), f->digest, got);
}

static bool check_digest(const struct host_file *f, const char *hex, struct error **err)
{
    return strcmp(hex, f->digest) == 0 || has_changed(f, hex, err);
}

/* --- entries ------------------------------------------------------------------------------------
 */

static bool write_inline(struct composing *c, const struct plan_entry *e, struct error **err)
{
    c->done += e->size;
    return tar_out_file(c->out, e->path, e->mode, e->uid, e->gid, e->size, err) &&
           (!e->size || tar_out_data(c->out, e->content, e->size, err));
}

/* The file is verified while it is streamed: what has been written of a wrong one goes with the
 * unfinished tar. */
static bool write_file(struct composing *c, const struct plan_entry *e, struct error **err)
{
    cleanup(close_host_file) struct host_file f = {.fd = -1};
    if (!open_host_file(c, e, &f, err))
        return false;
    if (e->source && f.size != e->size)
        return has_changed(&f, "another size", err);
    if (!tar_out_file(c->out, e->path, e->mode, e->uid, e->gid, f.size, err))
        return false;
    autodigest struct digest *d = digest_new(f.kind);
    uint64_t at = 0;
    while (at < f.size) {
        if (interrupted())
            return interrupt_error(err);
        size_t want = f.size - at < CHUNK ? (size_t)(f.size - at) : CHUNK;
        ssize_t n = pread(f.fd, c->chunk, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_INPUT, errno, "%s", f.path);
        if (n == 0)
            return has_changed(&f, "a shorter file", err);
        digest_add(d, c->chunk, (size_t)n);
        if (!tar_out_data(c->out, c->chunk, (size_t)n, err))
            return false;
        at += (uint64_t)n;
        c->done += (uint64_t)n;
        progress_update(c->done, c->total);
    }
    char hex[DIGEST_HEX_MAX];
    digest_finish(d, hex);
    return check_digest(&f, hex, err);
}

static bool write_archive(struct composing *c, const struct plan_entry *e, struct error **err)
{
    cleanup(close_host_file) struct host_file f = {.fd = -1};
    char hex[DIGEST_HEX_MAX];
    if (!open_host_file(c, e, &f, err))
        return false;
    /* Before a parser sees it. */
    if (!digest_fd(f.kind, f.fd, hex, NULL, err))
        return error_wrap(err, "%s", f.path);
    if (!check_digest(&f, hex, err))
        return false;
    return unpack_archive(c->plan, e, f.fd, e->url ? e->url : f.path, c->out, err);
}

static bool write_entry(struct composing *c, const struct plan_entry *e, struct error **err)
{
    switch (e->kind) {
    case ENTRY_DIRECTORY:
        if (!e->force && folder_has_own_mode(e->path))
            return true;
        return tar_out_folder(c->out, e->path, e->mode, e->uid, e->gid, err);
    case ENTRY_FILE:
        return e->content ? write_inline(c, e, err) : write_file(c, e, err);
    case ENTRY_LINK:
        return tar_out_link(c->out, e->path, e->target, err);
    case ENTRY_ARCHIVE:
        return write_archive(c, e, err);
    case ENTRY_ABSENT:
        return true;
    }
    return error_set(err, ERROR_INTERNAL, "%s: an entry of no kind", e->path);
}

/* --- the tar ------------------------------------------------------------------------------------
 */

/* libarchive converts names by the thread's locale: they are UTF-8 whatever the user's is. */
static void restore_locale(locale_t *utf8)
{
    uselocale(LC_GLOBAL_LOCALE);
    if (*utf8)
        freelocale(*utf8);
}

bool payload_write(const struct plan *p,
                   const char *(*blob)(const struct plan_entry *e, void *data), void *data,
                   const char *path, char sha256[DIGEST_HEX_MAX], uint64_t *size,
                   struct error **err)
{
    cleanup(restore_locale) locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        uselocale(utf8);
    autonew struct new_file f = NEW_FILE;
    autotar_out struct tar_out *out = NULL;
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    if (!file_create(&f, path, 0600, err) || !tar_out_open(f.fd, p->epoch, &out, err))
        return false;
    struct composing c = {.plan = p, .blob = blob, .data = data, .out = out, .chunk = chunk};
    for (size_t i = 0; i < p->entry_count; i++)
        c.total += p->entries[i].kind == ENTRY_FILE ? p->entries[i].size : 0;
    for (size_t i = 0; i < p->entry_count; i++)
        if (!write_entry(&c, &p->entries[i], err))
            return false;
    if (!tar_out_close(out, sha256, size, err))
        return false;
    /* Not synced to the disk: it is made again from the plan where it is lost. */
    if (rename(f.temporary, path) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot rename to %s", path);
    free(f.temporary);
    f.temporary = NULL;
    return true;
}
