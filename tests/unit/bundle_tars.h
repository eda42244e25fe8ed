/* Bundles made by hand, and importing them. */
#ifndef INGOT_TEST_BUNDLE_TARS_H
#define INGOT_TEST_BUNDLE_TARS_H

#include "base/buffer.h"
#include "base/path.h"
#include "bundle/bundle.h"
#include "bundle/import.h"
#include "unit.h"

#include <dirent.h>
#include <sys/stat.h>

#define EPOCH 1704067200
#define BLOCK 512

/* --- tars made by hand --------------------------------------------------------------------------
 */

struct tar_member {
    const char *name;
    char type;            /* 0: '0' */
    const char *data;     /* NULL: none */
    const char *size;     /* the size field as it is to stand there, or NULL: right */
    const char *linkname; /* or NULL */
    const char *prefix;
    unsigned mode, uid; /* mode 0: 0644 */
    long long mtime;    /* 0: EPOCH */
    bool bad_checksum, old_format;
};

static inline void put_octal(unsigned char *at, int digits, unsigned long long value)
{
    for (at += digits; digits-- > 0; value >>= 3)
        *--at = (unsigned char)('0' + (value & 7));
}

static inline void put_member(struct buffer *b, const struct tar_member *m)
{
    unsigned char h[BLOCK] = {0};
    size_t size = m->data ? strlen(m->data) : 0;
    memcpy(h, m->name, strlen(m->name));
    put_octal(h + 100, 7, m->mode ? m->mode : 0644);
    put_octal(h + 108, 7, m->uid);
    put_octal(h + 116, 7, 0);
    put_octal(h + 124, 11, size);
    if (m->size)
        memcpy(h + 124, m->size, 12);
    put_octal(h + 136, 11, (unsigned long long)(m->mtime ? m->mtime : EPOCH));
    h[156] = (unsigned char)(m->type ? m->type : '0');
    if (m->linkname)
        memcpy(h + 157, m->linkname, strlen(m->linkname));
    if (!m->old_format)
        memcpy(h + 257, "ustar\00000", 8);
    if (m->prefix)
        memcpy(h + 345, m->prefix, strlen(m->prefix));
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++)
        sum += h[i];
    put_octal(h + 148, 6, sum + (m->bad_checksum ? 1 : 0));
    h[155] = ' ';
    buffer_add(b, h, sizeof h);
    if (size)
        buffer_add(b, m->data, size);
    while (b->size % BLOCK)
        buffer_add(b, "", 1);
}

static inline void put_end(struct buffer *b)
{
    static const char zeros[2 * BLOCK];
    buffer_add(b, zeros, sizeof zeros);
}

static inline void put_plain(struct buffer *b, const char *name, const char *data)
{
    put_member(b, &(struct tar_member){.name = name, .data = data});
}

static inline void hash(const char *text, char hex[DIGEST_HEX_MAX])
{
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
}

#define A_TEXT "first\n"
#define B_TEXT "second file\n"

/* The manifest of t/a and t/b, with what stands in front of the members, and behind them. */
static inline char *good_manifest(void)
{
    char a[DIGEST_HEX_MAX], b[DIGEST_HEX_MAX], *text = NULL;
    hash(A_TEXT, a);
    hash(B_TEXT, b);
    if (asprintf(&text,
                 "{\"bundle\": 1, \"requires\": [], \"kind\": \"artifacts\", \"epoch\": %d, "
                 "\"names\": [\"t\"], \"members\": [{\"path\": \"t/a\", \"bytes\": 6, \"sha256\": "
                 "\"%s\"}, {\"path\": \"t/b\", \"bytes\": 12, \"sha256\": \"%s\"}]}",
                 EPOCH, a, b) < 0)
        abort();
    return text;
}

static inline void good_bundle(struct buffer *b)
{
    autofree char *manifest = good_manifest();
    put_plain(b, "manifest.json", manifest);
    put_plain(b, "t/a", A_TEXT);
    put_plain(b, "t/b", B_TEXT);
    put_end(b);
}

/* --- importing what should be refused -----------------------------------------------------------
 */

static inline size_t entries(const char *folder)
{
    size_t count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

static inline bool import(const char *file, const char *to, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    if (!bundle_open(file, &r, err))
        return false;
    const struct bundle *b = bundle_manifest(r);
    static const char *const recipe[] = {"recipe", NULL};
    const char *const *tops = b->kind == BUNDLE_SOURCES ? recipe : b->names;
    const struct bundle_import o = {.folder = to, .tops = tops, .names = tops};
    return bundle_import(r, &o, NULL, err);
}

static inline void refuse_file(const char *what, const char *file, const char *dir,
                               enum error_kind kind, const char *text)
{
    autofree char *to = path_join(dir, "to");
    autoerror struct error *err = NULL;
    size_t before = entries(dir);
    assert_int_equal(mkdir(to, 0700), 0);
    if (import(file, to, &err))
        fail_msg("%s: was imported", what);
    if (!strstr(error_text(err), text) || error_kind(err) != kind)
        fail_msg("%s: \"%s\" (%s) instead of \"%s\" (%s)", what, error_text(err),
                 error_kinds[error_kind(err)].name, text, error_kinds[kind].name);
    if (entries(to) != 0)
        fail_msg("%s: something stays behind", what);
    assert_int_equal(rmdir(to), 0);
    if (entries(dir) != before)
        fail_msg("%s: something was written outside", what);
}

static inline void refuse(const char *what, const void *bytes, size_t size, enum error_kind kind,
                          const char *text)
{
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "b.ingot");
    assert_ok(file_write(file, bytes, size, 0600, &err));
    refuse_file(what, file, dir, kind, text);
}

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define X16(s) s s s s s s s s s s s s s s s s

#endif
