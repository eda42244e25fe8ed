#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"
#include "base/progress.h"
#include "bundle/internal.h"
#include "signature/openpgp.h"
#include "signature/sshsig.h"

#include <string.h>

#define CHUNK ((size_t)1 << 20)

struct bundle_reader {
    struct arena *a;
    char *name;
    struct parts parts;
    struct bundle b;
    uint64_t start; /* where the members begin */
    char *chunk;
};

void bundle_close(struct bundle_reader *r)
{
    if (!r)
        return;
    parts_close(&r->parts);
    arena_free(r->a);
    free(r->name);
    free(r->chunk);
    free(r);
}

const struct bundle *bundle_manifest(const struct bundle_reader *r)
{
    return &r->b;
}

bool bundle_is_one(const char *path)
{
    autoparts struct parts p = {0};
    unsigned char block[TAR_BLOCK];
    uint64_t size;
    return parts_open(path, &p, NULL) && p.total >= TAR_BLOCK &&
           parts_read(&p, block, sizeof block, NULL) && header_peek(block, BUNDLE_MANIFEST, &size);
}

/* --- the first two members ----------------------------------------------------------------------
 */

static bool read_padding(struct bundle_reader *r, uint64_t size, const char *behind,
                         struct error **err)
{
    static const char zeros[TAR_BLOCK];
    char found[TAR_BLOCK];
    size_t rest = (size_t)(size % TAR_BLOCK);
    if (rest == 0)
        return true;
    if (!parts_read(&r->parts, found, TAR_BLOCK - rest, err))
        return false;
    return memcmp(found, zeros, TAR_BLOCK - rest) == 0 ||
           error_set(err, ERROR_INPUT, "something hides in the padding behind '%s'", behind);
}

/* A member whose size only its header says; `block` is that header, already read. */
static bool read_text(struct bundle_reader *r, const char *path, uint64_t size, const char **text,
                      struct error **err)
{
    if (size > r->parts.total)
        return error_set(err, ERROR_INPUT, "it is cut off in %s", path);
    char *to = arena_alloc(r->a, (size_t)size + 1);
    *text = to;
    return parts_read(&r->parts, to, (size_t)size, err) && read_padding(r, size, path, err);
}

/* The epoch stands in the header and in the manifest: both must say the same. */
static bool check_header(const struct bundle_reader *r, const unsigned char block[TAR_BLOCK],
                         const char *path, uint64_t size, struct error **err)
{
    autobuffer struct buffer expected = {0};
    header_add(&expected, path, size, 0644, r->b.epoch);
    return memcmp(block, expected.data, TAR_BLOCK) == 0 || header_explain(block, path, size, err);
}

static bool read_manifest(struct bundle_reader *r, struct error **err)
{
    unsigned char block[TAR_BLOCK];
    uint64_t size;
    if (r->parts.total < TAR_BLOCK)
        return error_set(err, ERROR_INPUT, "%s is no bundle: it has %ju bytes", r->name,
                         (uintmax_t)r->parts.total);
    if (!parts_read(&r->parts, block, sizeof block, err))
        return false;
    if (!header_peek(block, BUNDLE_MANIFEST, &size))
        return header_explain_first(block, r->name, err);
    if (size > BUNDLE_MAX_MANIFEST)
        return error_set(err, ERROR_INPUT, "%s: its manifest is too large", r->name);
    if (!read_text(r, BUNDLE_MANIFEST, size, &r->b.manifest, err) ||
        !manifest_parse(r->a, r->b.manifest, (size_t)size, &r->b, err) ||
        !check_header(r, block, BUNDLE_MANIFEST, size, err))
        return error_wrap(err, "%s is no good bundle", r->name);
    r->b.manifest_size = (size_t)size;
    digest_bytes(DIGEST_SHA256, r->b.manifest, (size_t)size, r->b.manifest_sha256);
    r->start = r->parts.at;
    return true;
}

static bool read_signature(struct bundle_reader *r, struct error **err)
{
    unsigned char block[TAR_BLOCK];
    uint64_t size;
    if (!parts_read(&r->parts, block, sizeof block, err))
        return false;
    bool ssh = header_peek(block, BUNDLE_SSH_SIGNATURE, &size);
    if (!ssh && !header_peek(block, BUNDLE_PGP_SIGNATURE, &size))
        return true;
    const char *path = ssh ? BUNDLE_SSH_SIGNATURE : BUNDLE_PGP_SIGNATURE;
    if (size == 0 || size > BUNDLE_MAX_SIGNATURE)
        return error_set(err, ERROR_INPUT, "its signature has %ju bytes", (uintmax_t)size);
    if (!check_header(r, block, path, size, err) || !read_text(r, path, size, &r->b.signature, err))
        return false;
    r->b.signature_size = (size_t)size;
    r->b.openpgp = !ssh;
    r->start = r->parts.at;
    return true;
}

static bool check_length(struct bundle_reader *r, struct error **err)
{
    uint64_t expected = r->start + 2 * TAR_BLOCK;
    for (size_t i = 0; i < r->b.count; i++) {
        r->b.payload += r->b.members[i].size;
        expected += header_span(r->b.members[i].path, r->b.members[i].size);
    }
    uint64_t has = r->parts.total;
    r->b.file_size = has;
    r->b.parts = (unsigned)r->parts.count;
    if (has == expected)
        return true;
    if (has > expected)
        return error_set(err, ERROR_INPUT,
                         "%s is no good bundle: %ju bytes where its manifest comes to %ju: "
                         "something stands behind its end or between its members",
                         r->name, (uintmax_t)has, (uintmax_t)expected);
    return error_set(err, r->parts.split ? ERROR_UNREACHABLE : ERROR_INPUT,
                     "%s is cut off: %ju bytes of %ju are there%s", r->name, (uintmax_t)has,
                     (uintmax_t)expected,
                     r->parts.split ? "; a part is missing behind the last one, or is not whole"
                                    : "; copy it again");
}

bool bundle_open(const char *path, struct bundle_reader **out, struct error **err)
{
    autobundle struct bundle_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->name = strdup(path)) || !(r->chunk = malloc(CHUNK)))
        abort();
    r->a = arena_new();
    if (!parts_open(r->name, &r->parts, err) || !read_manifest(r, err))
        return false;
    if (r->parts.total >= r->start + TAR_BLOCK && !read_signature(r, err))
        return error_wrap(err, "%s is no good bundle", r->name);
    if (!check_length(r, err))
        return false;
    *out = take_ptr(r);
    return true;
}

/* --- the signature ------------------------------------------------------------------------------
 */

static bool check_kind(const struct bundle_reader *r, const char *fingerprint, struct error **err)
{
    if (!r->b.signature)
        return error_set(err, ERROR_TRUST,
                         "%s is not signed, but a key was given that must have signed it", r->name);
    if (r->b.openpgp && !fingerprint)
        return error_set(err, ERROR_USAGE,
                         "%s is signed with OpenPGP: --fingerprint names the key of --key that "
                         "must have signed it",
                         r->name);
    return r->b.openpgp || !fingerprint ||
           error_set(err, ERROR_USAGE,
                     "%s is signed by OpenSSH, whose keys have no --fingerprint here: give --key "
                     "alone",
                     r->name);
}

bool bundle_check_signature(struct bundle_reader *r, const char *key, const char *fingerprint,
                            struct error **err)
{
    autotempdir char *folder = NULL;
    const char *tmp = getenv("TMPDIR");
    if (!check_kind(r, fingerprint, err) ||
        !file_temp_dir(tmp && *tmp ? tmp : "/tmp", "ingot-verify-", &folder, err))
        return false;
    autofree char *data = path_join(folder, BUNDLE_MANIFEST);
    autofree char *signature = path_join(folder, "signature");
    if (!file_write(data, r->b.manifest, r->b.manifest_size, 0600, err) ||
        !file_write(signature, r->b.signature, r->b.signature_size, 0600, err))
        return false;
    const struct openpgp_check check = {.data = data,
                                        .signature = signature,
                                        .key = key,
                                        .fingerprint = fingerprint,
                                        .what = r->name};
    bool ok = r->b.openpgp ? openpgp_verify(&check, err) : sshsig_verify(data, key, signature, err);
    return ok || error_wrap(err, "the signature of %s", r->name);
}

/* --- the members --------------------------------------------------------------------------------
 */

static bool match_header(struct bundle_reader *r, const struct bundle_member *m, struct error **err)
{
    autobuffer struct buffer expected = {0};
    header_add(&expected, m->path, m->size, m->mode, r->b.epoch);
    autofree unsigned char *found = malloc(expected.size);
    if (!found)
        abort();
    if (!parts_read(&r->parts, found, expected.size, err))
        return false;
    for (size_t at = 0; at < expected.size; at += TAR_BLOCK)
        if (memcmp(found + at, expected.data + at, TAR_BLOCK) != 0)
            return header_explain(found + at, m->path, m->size, err);
    return true;
}

static bool read_bytes(struct bundle_reader *r, const struct bundle_member *m,
                       const struct bundle_sink *s, uint64_t before, struct error **err)
{
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    char hex[DIGEST_HEX_MAX];
    for (uint64_t left = m->size; left;) {
        size_t n = left < CHUNK ? (size_t)left : CHUNK;
        if (interrupted())
            return interrupt_error(err);
        if (!parts_read(&r->parts, r->chunk, n, err))
            return false;
        digest_add(d, r->chunk, n);
        if (s->on_bytes && !s->on_bytes(s->data, r->chunk, n, err))
            return false;
        left -= n;
        progress_update(before + m->size - left, r->b.payload);
    }
    digest_finish(d, hex);
    if (strcmp(hex, m->sha256) != 0)
        return error_set(err, ERROR_TRUST,
                         "'%s' has the SHA-256 %s where the manifest says %s: it is damaged or was "
                         "changed%s",
                         m->path, hex, m->sha256,
                         r->parts.split ? "; the parts may be in another order" : "");
    return read_padding(r, m->size, m->path, err) && (!s->on_done || s->on_done(s->data, m, err));
}

static bool read_members(struct bundle_reader *r, const struct bundle_sink *s, struct error **err)
{
    static const char zeros[2 * TAR_BLOCK];
    char end[2 * TAR_BLOCK];
    uint64_t before = 0;
    r->parts.at = r->start;
    for (size_t i = 0; i < r->b.count; i++) {
        const struct bundle_member *m = &r->b.members[i];
        bool take = true;
        if (!match_header(r, m, err) || (s->on_member && !s->on_member(s->data, m, &take, err)))
            return false;
        if (!take)
            r->parts.at += (m->size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        else if (!read_bytes(r, m, s, before, err))
            return false;
        before += m->size;
    }
    if (!parts_read(&r->parts, end, sizeof end, err))
        return false;
    return memcmp(end, zeros, sizeof end) == 0 ||
           error_set(err, ERROR_INPUT, "something stands where the archive should end");
}

bool bundle_read(struct bundle_reader *r, const struct bundle_sink *sink, struct error **err)
{
    return read_members(r, sink, err) || error_wrap(err, "%s is no good bundle", r->name);
}

/* --- one member ---------------------------------------------------------------------------------
 */

struct text_sink {
    const struct bundle_member *wanted;
    struct buffer text;
};

static bool keep_text(void *data, const void *bytes, size_t size, struct error **err)
{
    (void)err;
    buffer_add(&((struct text_sink *)data)->text, bytes, size);
    return true;
}

bool bundle_text(struct bundle_reader *r, const char *path, size_t max_bytes, char **text,
                 struct error **err)
{
    struct text_sink t = {.wanted = bundle_find(&r->b, path)};
    const struct bundle_sink s = {.on_bytes = keep_text, .data = &t};
    if (!t.wanted || t.wanted->size > max_bytes)
        return error_set(err, ERROR_INPUT, t.wanted ? "%s: '%s' is too large" : "%s has no '%s'",
                         r->name, path);
    r->parts.at = r->start;
    for (const struct bundle_member *m = r->b.members; m < t.wanted; m++)
        r->parts.at += header_span(m->path, m->size);
    if (!match_header(r, t.wanted, err) || !read_bytes(r, t.wanted, &s, 0, err)) {
        buffer_free(&t.text);
        return error_wrap(err, "%s is no good bundle", r->name);
    }
    buffer_add(&t.text, "", 0);
    *text = buffer_take(&t.text);
    return true;
}
