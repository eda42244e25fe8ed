#include "resolve/apk_package.h"

#include "base/buffer.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#define CONTROL_MAX ((size_t)(16 * MIB)) /* .PKGINFO and scripts: some hundred KiB at most */
#define INDEX_MAX ((size_t)(256 * MIB))  /* Alpine's largest has about ten MiB */
#define SIGNATURES_MAX 8                 /* members */
#define TAR_BLOCK 512
#define SHA1_SIZE 20
#define GZIP_ONLY (15 + 16) /* zlib's way to say it: the largest window, a gzip header */

/* --- checksums ----------------------------------------------------------------------------------
 */

static int base64_value(char c)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? (int)(at - letters) : -1;
}

/* `Q1` and 20 bytes, as 27 letters and a `=`, to hexadecimal. */
static bool read_checksum(const char *checksum, char hex[2 * SHA1_SIZE + 1])
{
    enum { LETTERS = 27 };
    if (strncmp(checksum, "Q1", 2) != 0 || strlen(checksum) != 2 + LETTERS + 1 ||
        checksum[2 + LETTERS] != '=')
        return false;
    unsigned bits = 0, have = 0, n = 0;
    for (size_t i = 0; i < LETTERS; i++) {
        int value = base64_value(checksum[2 + i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        snprintf(hex + (size_t)2 * n++, 3, "%02x", bits >> have & 0xff);
    }
    return true;
}

bool apk_package_comparable(const char *checksum)
{
    char hex[2 * SHA1_SIZE + 1];
    return checksum && read_checksum(checksum, hex);
}

/* --- bytes and gzip members ---------------------------------------------------------------------
 */

struct input {
    int fd;
    const char *what;
    enum error_kind kind; /* of what is wrong with the file */
    size_t at, end;
    bool over;
    unsigned char bytes[1 << 16];
};

/* Makes sure that there are some, except at the end. */
static bool refill(struct input *in, struct error **err)
{
    while (in->at == in->end && !in->over) {
        if (interrupted())
            return interrupt_error(err);
        ssize_t n = read(in->fd, in->bytes, sizeof in->bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_INPUT, errno, "cannot read %s", in->what);
        in->at = 0;
        in->end = (size_t)n;
        in->over = n == 0;
    }
    return true;
}

static bool bad(const struct input *in, struct error **err, const char *how)
{
    return error_set(err, in->kind, "%s %s", in->what, how);
}

/* Inflates what is there behind in->at, and says how many bytes that has taken. */
static bool inflate_some(struct input *in, z_stream *z, struct buffer *out, size_t max, bool *end,
                         struct error **err)
{
    unsigned char chunk[1 << 14];
    z->next_in = in->bytes + in->at;
    z->avail_in = (uInt)(in->end - in->at);
    do {
        z->next_out = chunk;
        z->avail_out = sizeof chunk;
        int status = inflate(z, Z_NO_FLUSH);
        if (status == Z_MEM_ERROR)
            abort();
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return bad(in, err, "is not what apk reads: a member is no gzip, or damaged");
        size_t n = sizeof chunk - z->avail_out;
        if (n > max - out->size)
            return bad(in, err, "has a member that is larger than any such has to be");
        buffer_add(out, chunk, n);
        *end = status == Z_STREAM_END;
    } while (!*end && z->avail_out == 0);
    return true;
}

/* The next member: inflated into *out, its compressed bytes into d (or NULL). */
static bool read_member(struct input *in, size_t max, struct buffer *out, struct digest *d,
                        struct error **err)
{
    z_stream z = {0};
    bool ok = true, end = false;
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
        abort();
    while (ok && !end) {
        ok = refill(in, err) && (!in->over || bad(in, err, "is cut off"));
        if (!ok)
            break;
        ok = inflate_some(in, &z, out, max, &end, err);
        size_t taken = in->end - in->at - z.avail_in;
        if (ok && d)
            digest_add(d, in->bytes + in->at, taken);
        in->at += taken;
    }
    inflateEnd(&z);
    return ok;
}

/* --- their tars ---------------------------------------------------------------------------------
 */

struct entry {
    char name[101];
    char type;
    const char *data;
    size_t size;
};

enum { TAR_NAME = 100, TAR_SIZE_AT = 124, TAR_SIZE_LENGTH = 12, TAR_TYPE_AT = 156 };

static bool read_size(const char *field, size_t *size)
{
    size_t i = 0;
    *size = 0;
    while (i < TAR_SIZE_LENGTH && field[i] == ' ')
        i++;
    for (; i < TAR_SIZE_LENGTH && field[i] >= '0' && field[i] <= '7'; i++)
        *size = *size * 8 + (size_t)(field[i] - '0');
    return i < TAR_SIZE_LENGTH ? field[i] == ' ' || field[i] == '\0' : true;
}

/* The entry at *at, which goes on to the next; *end at the end: of the bytes (a segment), or at a
 * block of zeros. False where the bytes are no tar. */
static bool next_entry(const char *tar, size_t size, size_t *at, struct entry *e, bool *end)
{
    static const char zeros[TAR_BLOCK];
    *end = *at == size;
    if (*end)
        return true;
    if (size - *at < TAR_BLOCK)
        return false;
    const char *block = tar + *at;
    *end = memcmp(block, zeros, TAR_BLOCK) == 0;
    if (*end)
        return true;
    size_t room = size - *at - TAR_BLOCK;
    memcpy(e->name, block, TAR_NAME);
    e->name[TAR_NAME] = '\0';
    e->type = block[TAR_TYPE_AT];
    e->data = block + TAR_BLOCK;
    if (!read_size(block + TAR_SIZE_AT, &e->size) || e->size > room)
        return false;
    size_t whole = (e->size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    *at += TAR_BLOCK + (whole < room ? whole : room);
    return true;
}

static bool is_file(const struct entry *e)
{
    return e->type == '0' || e->type == '\0';
}

static bool is_signature(const struct entry *e)
{
    return is_file(e) && text_starts_with(e->name, ".SIGN.");
}

/* Whether a member holds signatures. It must hold nothing else then: nobody vouches for it, so
 * nothing may stand there that a reader could take for something else. */
static bool holds_signatures(const struct input *in, const struct buffer *b, bool *yes,
                             struct error **err)
{
    size_t at = 0;
    struct entry e;
    bool end = false, good = true, only = true;
    *yes = false;
    while ((good = next_entry(b->data, b->size, &at, &e, &end)) && !end) {
        *yes = *yes || is_signature(&e);
        only = only && is_signature(&e);
        if (!*yes)
            return true;
    }
    return !*yes || (good && only) ||
           bad(in, err, "has something else among its signatures, where nobody vouches for it");
}

/* The bytes of a file in a tar. */
static bool find_file(const char *tar, size_t size, const char *name, struct entry *e)
{
    size_t at = 0;
    bool end = false;
    while (next_entry(tar, size, &at, e, &end) && !end)
        if (is_file(e) && strcmp(e->name, name) == 0)
            return true;
    return false;
}

bool apk_package_datahash(const void *tar, size_t size, char *hex, const char *what,
                          struct error **err)
{
    static const char key[] = "datahash = ";
    struct entry e;
    if (!find_file(tar, size, ".PKGINFO", &e))
        return error_set(err, ERROR_TRUST, "%s has no .PKGINFO", what);
    const char *line = e.data, *end = e.data + e.size;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((newline ? newline : end) - line);
        if (n == sizeof key - 1 + SHA256_HEX - 1 && memcmp(line, key, sizeof key - 1) == 0) {
            memcpy(hex, line + sizeof key - 1, SHA256_HEX - 1);
            hex[SHA256_HEX - 1] = '\0';
            if (digest_is_valid(DIGEST_SHA256, hex))
                return true;
        }
        line += n + 1;
    }
    return error_set(err, ERROR_TRUST,
                     "%s says no SHA-256 of its data (datahash in .PKGINFO), so that nothing "
                     "vouches for them: it must be built with a present abuild",
                     what);
}

/* --- files --------------------------------------------------------------------------------------
 */

/* The first member behind the signatures, its compressed bytes in d. */
static bool read_unsigned(struct input *in, size_t max, struct buffer *out, struct digest *d,
                          struct error **err)
{
    for (unsigned i = 0; i <= SIGNATURES_MAX; i++) {
        char ignored[DIGEST_HEX_MAX];
        bool signatures;
        if (!read_member(in, max, out, d, err) || !holds_signatures(in, out, &signatures, err))
            return false;
        if (!signatures)
            return true;
        buffer_free(out);
        if (d)
            digest_finish(d, ignored);
    }
    return bad(in, err, "has more signatures than are believed");
}

/* All that is still there. */
static bool digest_rest(struct input *in, char hex[DIGEST_HEX_MAX], struct error **err)
{
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    while (refill(in, err)) {
        if (in->over) {
            digest_finish(d, hex);
            return true;
        }
        digest_add(d, in->bytes + in->at, in->end - in->at);
        in->at = in->end;
    }
    return false;
}

static bool open_input(struct input **in, const char *file, const char *what, enum error_kind kind,
                       struct error **err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", file);
    *in = calloc(1, sizeof **in);
    if (!*in)
        abort();
    (*in)->fd = fd;
    (*in)->what = what;
    (*in)->kind = kind;
    return true;
}

static void close_input(struct input **in)
{
    if (*in)
        close((*in)->fd);
    free(*in);
}

static bool contradicts(const char *what, const char *part, const char *kind, const char *is,
                        const char *said, struct error **err)
{
    return error_set(err, ERROR_TRUST,
                     "%s is not the package that the signed package index lists: the %s of its %s "
                     "is %s, and must be %s; nothing of it was kept. Somebody on the way has "
                     "changed it, or the repository is just being changed: try again later, or "
                     "from another mirror",
                     what, kind, part, is, said);
}

bool apk_package_check(const char *file, const char *checksum, const char *what, struct error **err)
{
    cleanup(close_input) struct input *in = NULL;
    autobuffer struct buffer control = {0};
    autodigest struct digest *d = digest_new_sha1();
    char said[2 * SHA1_SIZE + 1], hex[DIGEST_HEX_MAX], datahash[SHA256_HEX];
    if (!read_checksum(checksum, said))
        return error_set(err, ERROR_TRUST,
                         "%s: the package index has no checksum of it, but '%.60s'", what,
                         checksum);
    if (!open_input(&in, file, what, ERROR_TRUST, err) ||
        !read_unsigned(in, CONTROL_MAX, &control, d, err))
        return false;
    digest_finish(d, hex);
    if (strcmp(hex, said) != 0)
        return contradicts(what, "control", "SHA-1", hex, said, err);
    if (!apk_package_datahash(control.data, control.size, datahash, what, err) ||
        !digest_rest(in, hex, err))
        return false;
    return strcasecmp(hex, datahash) == 0 ||
           contradicts(what, "data", "SHA-256", hex, datahash, err);
}

bool apk_package_index(const char *file, char **text, struct error **err)
{
    cleanup(close_input) struct input *in = NULL;
    autobuffer struct buffer tar = {0};
    struct entry e;
    if (!open_input(&in, file, "it", ERROR_INPUT, err) ||
        !read_unsigned(in, INDEX_MAX, &tar, NULL, err))
        return false;
    if (!find_file(tar.data, tar.size, "APKINDEX", &e))
        return bad(in, err, "has no APKINDEX");
    if (memchr(e.data, '\0', e.size))
        return bad(in, err, "has an APKINDEX that is no text");
    *text = strndup(e.data, e.size);
    if (!*text)
        abort();
    return true;
}
