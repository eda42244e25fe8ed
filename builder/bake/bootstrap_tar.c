#include "bake/bootstrap_tar.h"

#include "base/file.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

enum { BLOCK = 512, CHUNK = 1 << 20, MAX_EXTENDED = 1 << 20 };

/* ustar header, POSIX.1-2017 pax(1) */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type, linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static unsigned checksum(const struct header *h)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= offsetof(struct header, checksum) && i < offsetof(struct header, type) ? ' '
                                                                                           : p[i];
    return sum;
}

/* Octal digits and a NUL. */
static void put_octal(char *field, size_t size, uint64_t value)
{
    field[--size] = '\0';
    while (size) {
        field[--size] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void add_member(struct buffer *tar, const char *path, unsigned mode, const void *content,
                       size_t size, const char *link, int64_t epoch)
{
    size_t length = strlen(path);
    struct header h = {0};
    if (length >= sizeof h.name || (link && strlen(link) >= sizeof h.linkname))
        abort();
    memcpy(h.name, path, length);
    if (link)
        memcpy(h.linkname, link, strlen(link));
    put_octal(h.mode, sizeof h.mode, mode & 07777);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, size);
    put_octal(h.mtime, sizeof h.mtime, (uint64_t)epoch);
    h.type = link ? '2' : path[length - 1] == '/' ? '5' : '0';
    memcpy(h.magic, "ustar", sizeof h.magic);
    memcpy(h.version, "00", sizeof h.version);
    put_octal(h.checksum, sizeof h.checksum - 1, checksum(&h));
    h.checksum[7] = ' ';
    buffer_add(tar, &h, sizeof h);
    if (!size)
        return;
    static const char zeros[BLOCK];
    buffer_add(tar, content, size);
    buffer_add(tar, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

void tar_add(struct buffer *tar, const char *path, unsigned mode, const char *content,
             const char *link, int64_t epoch)
{
    add_member(tar, path, mode, content, content && !link ? strlen(content) : 0, link, epoch);
}

void tar_add_bytes(struct buffer *tar, const char *path, unsigned mode, const void *bytes,
                   size_t size, int64_t epoch)
{
    add_member(tar, path, mode, bytes, size, NULL, epoch);
}

void tar_end(struct buffer *tar)
{
    static const char zeros[2 * BLOCK];
    buffer_add(tar, zeros, sizeof zeros);
}

/* Octal, or GNU's base 256 for what does not fit. */
static bool number(const char *field, size_t size, uint64_t *value)
{
    *value = 0;
    if ((unsigned char)field[0] == 0x80) {
        for (size_t i = size - 8; i < size; i++)
            *value = *value << 8 | (unsigned char)field[i];
        return true;
    }
    size_t i = 0;
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == size || field[i] == ' ' || field[i] == '\0';
}

struct copy {
    int in, out;
    char *chunk;
};

/* True with *got false at a clean end of the file. */
static bool read_block(struct copy *c, void *block, bool *got, struct error **err)
{
    size_t have = 0;
    while (have < BLOCK) {
        ssize_t n = read(c->in, (char *)block + have, BLOCK - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read the tar archive");
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *got = have == BLOCK;
    return have == 0 || *got || error_set(err, ERROR_INPUT, "the tar archive ends early");
}

/* Takes `size` bytes and what pads them: to the output, or into `keep`, or nowhere. */
static bool take(struct copy *c, uint64_t size, bool drop, struct buffer *keep, struct error **err)
{
    uint64_t left = (size + BLOCK - 1) / BLOCK * BLOCK;
    while (left) {
        if (interrupted())
            return interrupt_error(err);
        ssize_t n = read(c->in, c->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read the tar archive");
        if (n == 0)
            return error_set(err, ERROR_INPUT, "the tar archive ends early");
        if (keep)
            buffer_add(keep, c->chunk, (size_t)n);
        else if (!drop && !file_write_all(c->out, c->chunk, (size_t)n, err))
            return false;
        left -= (uint64_t)n;
    }
    return true;
}

static bool matches(const struct header *h, const char *const *patterns)
{
    char path[sizeof h->prefix + sizeof h->name + 2];
    int n = h->prefix[0] && memcmp(h->magic, "ustar", 6) == 0
                ? snprintf(path, sizeof path, "%.155s/%.100s", h->prefix, h->name)
                : snprintf(path, sizeof path, "%.100s", h->name);
    const char *p = path;
    while (p[0] == '.' && p[1] == '/')
        p += 2;
    if (n > 0 && path[n - 1] == '/')
        path[n - 1] = '\0';
    for (size_t i = 0; patterns && patterns[i]; i++)
        if (fnmatch(patterns[i], p, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
            return true;
    return false;
}

/* Extended headers belong to the member behind them; those of GNU tar (L, K) too. */
static bool is_extension(char type)
{
    return type == 'x' || type == 'L' || type == 'K';
}

static bool copy_members(struct copy *c, const char *const *patterns, struct tar_totals *totals,
                         struct error **err)
{
    autobuffer struct buffer extension = {0};
    struct header h;
    bool got = false;
    for (;;) {
        if (!read_block(c, &h, &got, err))
            return false;
        static const struct header end;
        if (!got || memcmp(&h, &end, sizeof h) == 0)
            break;
        uint64_t size = 0, sum = 0;
        if (!number(h.checksum, sizeof h.checksum, &sum) || sum != checksum(&h) ||
            !number(h.size, sizeof h.size, &size))
            return error_set(err, ERROR_INPUT, "the tar archive is damaged");
        if (h.type == '1' || h.type == '2')
            size = 0;
        if (is_extension(h.type)) {
            if (size > MAX_EXTENDED || extension.size > MAX_EXTENDED)
                return error_set(err, ERROR_INPUT, "the tar archive has too long a header");
            buffer_add(&extension, &h, sizeof h);
            if (!take(c, size, false, &extension, err))
                return false;
            continue;
        }
        bool drop = matches(&h, patterns);
        if (!drop && (!file_write_all(c->out, extension.data, extension.size, err) ||
                      !file_write_all(c->out, &h, sizeof h, err)))
            return false;
        buffer_free(&extension);
        if (!take(c, size, drop, NULL, err))
            return false;
        totals->members += !drop;
        totals->bytes += drop ? 0 : (size + 4095) / 4096 * 4096;
    }
    return true;
}

bool tar_copy_without(int in, int out, const char *const *patterns, const struct buffer *more,
                      struct tar_totals *totals, struct error **err)
{
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    struct copy c = {in, out, chunk};
    *totals = (struct tar_totals){0};
    static const char zeros[2 * BLOCK];
    return copy_members(&c, patterns, totals, err) &&
           file_write_all(out, more->data, more->size, err) &&
           file_write_all(out, zeros, sizeof zeros, err);
}
