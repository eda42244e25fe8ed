#include "base/digest.h"

#include "base/interrupt.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const struct {
    const char *name;
    size_t length;
    const EVP_MD *(*md)(void);
} kinds[] = {
    [DIGEST_SHA256] = {"sha256", 64, EVP_sha256},
    [DIGEST_SHA512] = {"sha512", 128, EVP_sha512},
};

struct digest {
    const EVP_MD *md;
    EVP_MD_CTX *ctx;
};

const char *digest_name(enum digest_kind kind)
{
    return kinds[kind].name;
}

size_t digest_hex_length(enum digest_kind kind)
{
    return kinds[kind].length;
}

bool digest_is_valid(enum digest_kind kind, const char *hex)
{
    if (strlen(hex) != kinds[kind].length)
        return false;
    for (; *hex; hex++)
        if (!isxdigit((unsigned char)*hex))
            return false;
    return true;
}

static struct digest *new_of(const EVP_MD *md)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->md = md;
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || !EVP_DigestInit_ex(d->ctx, md, NULL))
        abort();
    return d;
}

struct digest *digest_new(enum digest_kind kind)
{
    return new_of(kinds[kind].md());
}

struct digest *digest_new_sha1(void)
{
    return new_of(EVP_sha1());
}

void digest_add(struct digest *d, const void *bytes, size_t size)
{
    if (!EVP_DigestUpdate(d->ctx, bytes, size))
        abort();
}

static void to_hex(const unsigned char *raw, unsigned n, char *hex)
{
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + (size_t)2 * i, 3, "%02x", raw[i]);
}

void digest_finish(struct digest *d, char hex[DIGEST_HEX_MAX])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_DigestFinal_ex(d->ctx, raw, &n) || !EVP_DigestInit_ex(d->ctx, d->md, NULL))
        abort();
    to_hex(raw, n, hex);
}

void digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                 char hex[DIGEST_HEX_MAX])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_size, bytes, size, raw, &n))
        abort();
    to_hex(raw, n, hex);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

void digest_bytes(enum digest_kind kind, const void *bytes, size_t size, char hex[DIGEST_HEX_MAX])
{
    autodigest struct digest *d = digest_new(kind);
    digest_add(d, bytes, size);
    digest_finish(d, hex);
}

bool digest_fd(enum digest_kind kind, int fd, char hex[DIGEST_HEX_MAX], uint64_t *size,
               struct error **err)
{
    enum { CHUNK = 1 << 18 };
    autodigest struct digest *d = digest_new(kind);
    autofree char *chunk = malloc(CHUNK);
    uint64_t at = 0;
    if (!chunk)
        abort();
    for (;;) {
        ssize_t n = pread(fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR && !interrupted())
            continue;
        if (n < 0)
            return error_errno(err, ERROR_INPUT, errno, "cannot read");
        if (interrupted())
            return interrupt_error(err);
        if (n == 0)
            break;
        digest_add(d, chunk, (size_t)n);
        at += (uint64_t)n;
    }
    digest_finish(d, hex);
    if (size)
        *size = at;
    return true;
}

bool digest_file(enum digest_kind kind, const char *path, char hex[DIGEST_HEX_MAX], uint64_t *size,
                 struct error **err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!digest_fd(kind, fd, hex, size, err))
        return error_wrap(err, "%s", path);
    return true;
}
