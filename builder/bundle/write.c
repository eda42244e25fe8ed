#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/space.h"
#include "bundle/internal.h"
#include "signature/openpgp.h"
#include "signature/sshsig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK ((size_t)1 << 20)

struct writing {
    struct arena *a;
    struct bundle b; /* with sizes and digests */
    struct bundle_member *members;
    const bool *given; /* whose digest the caller gave */
    struct parts_out out;
    char *chunk;
    uint64_t done, total; /* of the payload */
};

static bool open_source(const struct bundle_member *m, int *fd, uint64_t *size, struct error **err)
{
    struct stat st;
    *fd = open(m->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read %s", m->source);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s is no regular file", m->source);
    (void)posix_fadvise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *size = (uint64_t)st.st_size;
    return true;
}

/* Sizes of all, digests of those that the caller does not know. */
static bool survey(struct writing *w, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    for (size_t i = 0; i < w->b.count; i++) {
        struct bundle_member *m = &w->members[i];
        autoclose int fd = -1;
        if (interrupted())
            return interrupt_error(err);
        if (!open_source(m, &fd, &m->size, err))
            return false;
        if (m->sha256)
            continue;
        if (!digest_fd(DIGEST_SHA256, fd, hex, &m->size, err))
            return error_wrap(err, "%s", m->source);
        m->sha256 = arena_strdup(w->a, hex);
    }
    return true;
}

static bool sign(const char *manifest, const char *key, char **text, size_t *size, bool *openpgp,
                 struct error **err)
{
    autotempdir char *folder = NULL;
    char fingerprint[OPENPGP_FINGERPRINT_MAX];
    const char *tmp = getenv("TMPDIR");
    if (!file_temp_dir(tmp && *tmp ? tmp : "/tmp", "ingot-sign-", &folder, err))
        return false;
    autofree char *data = path_join(folder, BUNDLE_MANIFEST);
    autofree char *signature = path_join(folder, "signature");
    if (!file_write(data, manifest, strlen(manifest), 0600, err))
        return false;
    *openpgp = openpgp_fingerprint(key, fingerprint);
    bool ok = *openpgp ? openpgp_sign(data, fingerprint, signature, err)
                       : sshsig_sign(data, key, signature, err);
    if (!ok)
        return error_wrap(err, "cannot sign the bundle");
    return file_read(signature, BUNDLE_MAX_SIGNATURE, text, size, err);
}

static bool put(struct writing *w, const struct buffer *b, struct error **err)
{
    return parts_write(&w->out, b->data, b->size, err);
}

static bool put_padding(struct writing *w, uint64_t size, struct error **err)
{
    static const char zeros[TAR_BLOCK];
    size_t rest = (size_t)(size % TAR_BLOCK);
    return rest == 0 || parts_write(&w->out, zeros, TAR_BLOCK - rest, err);
}

static bool put_text(struct writing *w, const char *path, const char *text, size_t size,
                     struct error **err)
{
    autobuffer struct buffer header = {0};
    header_add(&header, path, size, 0644, w->b.epoch);
    return put(w, &header, err) && parts_write(&w->out, text, size, err) &&
           put_padding(w, size, err);
}

/* hex: NULL where its size is another already. */
static bool changed(const struct writing *w, size_t i, const char *hex, struct error **err)
{
    const struct bundle_member *m = &w->members[i];
    if (w->given[i] && hex)
        return error_set(
            err, ERROR_TRUST,
            "%s has the SHA-256 %s, where %s is expected: it is damaged or was changed", m->source,
            hex, m->sha256);
    return error_set(err, ERROR_CHANGED, "%s was changed while the bundle was written", m->source);
}

static bool put_member(struct writing *w, size_t i, struct error **err)
{
    const struct bundle_member *m = &w->members[i];
    autobuffer struct buffer header = {0};
    autoclose int fd = -1;
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    char hex[DIGEST_HEX_MAX];
    uint64_t size;
    header_add(&header, m->path, m->size, m->mode, w->b.epoch);
    if (!open_source(m, &fd, &size, err) || !put(w, &header, err))
        return false;
    if (size != m->size)
        return changed(w, i, NULL, err);
    for (uint64_t left = m->size; left;) {
        ssize_t n = read(fd, w->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (interrupted())
            return interrupt_error(err);
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read %s", m->source);
        if (n == 0)
            return changed(w, i, NULL, err);
        digest_add(d, w->chunk, (size_t)n);
        if (!parts_write(&w->out, w->chunk, (size_t)n, err))
            return false;
        left -= (uint64_t)n;
        w->done += (uint64_t)n;
        progress_update(w->done, w->total);
    }
    digest_finish(d, hex);
    return strcmp(hex, m->sha256) == 0 ? put_padding(w, m->size, err) : changed(w, i, hex, err);
}

static bool write_all(struct writing *w, const char *manifest, const char *signature,
                      size_t signature_size, bool openpgp, struct error **err)
{
    static const char end[2 * TAR_BLOCK];
    if (!put_text(w, BUNDLE_MANIFEST, manifest, strlen(manifest), err))
        return false;
    if (signature && !put_text(w, openpgp ? BUNDLE_PGP_SIGNATURE : BUNDLE_SSH_SIGNATURE, signature,
                               signature_size, err))
        return false;
    for (size_t i = 0; i < w->b.count; i++)
        if (!put_member(w, i, err))
            return false;
    return parts_write(&w->out, end, sizeof end, err) && parts_commit(&w->out, err);
}

static uint64_t whole_size(const struct bundle *b, size_t manifest, const char *signature,
                           size_t signature_size)
{
    uint64_t total = header_span(BUNDLE_MANIFEST, manifest) + 2 * TAR_BLOCK;
    if (signature)
        total += header_span(BUNDLE_SSH_SIGNATURE, signature_size);
    for (size_t i = 0; i < b->count; i++)
        total += header_span(b->members[i].path, b->members[i].size);
    return total;
}

static void cleanup_writing(struct writing *w)
{
    parts_abandon(&w->out);
    arena_free(w->a);
    free(w->chunk);
}

static void copy_members(struct writing *w, const struct bundle *b)
{
    bool *given = arena_alloc(w->a, (b->count + 1) * sizeof *given);
    w->b = *b;
    w->members = arena_alloc(w->a, (b->count + 1) * sizeof *w->members);
    if (b->count)
        memcpy(w->members, b->members, b->count * sizeof *w->members);
    for (size_t i = 0; i < b->count; i++) {
        given[i] = b->members[i].sha256 != NULL;
        if (!w->members[i].mode)
            w->members[i].mode = 0644;
    }
    w->b.members = w->members;
    w->given = given;
}

bool bundle_write(const struct bundle *b, const struct bundle_write_options *o, const char *path,
                  struct bundle_written *written, struct error **err)
{
    cleanup(cleanup_writing) struct writing w = {.a = arena_new(), .chunk = malloc(CHUNK)};
    autofree char *signature = NULL;
    size_t signature_size = 0;
    bool openpgp = false;
    if (!w.chunk)
        abort();
    copy_members(&w, b);
    if (o->split && o->split < BUNDLE_MIN_SPLIT)
        return error_set(err, ERROR_USAGE, "parts have at least 64 KiB");
    if (!manifest_check(&w.b, err))
        return error_wrap(err, "no bundle can be made of this");
    if (!parts_begin(&w.out, path, o->split, err) || !survey(&w, err))
        return false;
    autofree char *manifest = manifest_text(&w.b);
    if (strlen(manifest) > BUNDLE_MAX_MANIFEST)
        return error_set(err, ERROR_INPUT, "there are too many members for one bundle");
    if (o->sign_key && !sign(manifest, o->sign_key, &signature, &signature_size, &openpgp, err))
        return false;
    uint64_t size = whole_size(&w.b, strlen(manifest), signature, signature_size);
    if (o->split && (size - 1) / o->split >= BUNDLE_MAX_PARTS)
        return error_set(err, ERROR_USAGE,
                         "%ju bytes are more than %d parts of %ju: a larger --split makes fewer",
                         (uintmax_t)size, BUNDLE_MAX_PARTS, (uintmax_t)o->split);
    if (!space_check(path, size, "the bundle", err))
        return false;
    for (size_t i = 0; i < w.b.count; i++)
        w.total += w.b.members[i].size;
    progress_step("write %s", path);
    if (!write_all(&w, manifest, signature, signature_size, openpgp, err))
        return error_wrap(err, "cannot write %s", path);
    if (written) {
        *written =
            (struct bundle_written){.size = size, .parts = o->split ? (unsigned)w.out.count : 0};
        digest_bytes(DIGEST_SHA256, manifest, strlen(manifest), written->manifest_sha256);
    }
    return true;
}
