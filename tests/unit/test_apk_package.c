#include "resolve/apk_package.h"

#include "base/buffer.h"
#include "base/digest.h"
#include "base/path.h"
#include "resolve/apk.h"
#include "unit.h"

#include <zlib.h>

#define CHECKSUM_MAX 31
#define WHAT "the package tool (https://apk.example/tool-1.apk)"

/* --- packages made here -------------------------------------------------------------------------
 */

static void add_entry(struct buffer *tar, const char *name, char type, const char *text)
{
    char block[512] = {0};
    size_t n = strlen(text);
    snprintf(block, 100, "%s", name);
    snprintf(block + 124, 12, "%011o", (unsigned)n & 0x7fffffff);
    block[156] = type;
    buffer_add(tar, block, sizeof block);
    buffer_add(tar, text, n);
    static const char zeros[512];
    buffer_add(tar, zeros, (512 - n % 512) % 512);
}

static void add_member(struct buffer *out, const struct buffer *plain)
{
    unsigned char room[1 << 16];
    z_stream z = {.next_in = (unsigned char *)plain->data,
                  .avail_in = (unsigned)plain->size,
                  .next_out = room,
                  .avail_out = sizeof room};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buffer_add(out, room, sizeof room - z.avail_out);
    deflateEnd(&z);
}

static void add_tar(struct buffer *out, const char *name, char type, const char *text)
{
    autobuffer struct buffer tar = {0};
    add_entry(&tar, name, type, text);
    add_member(out, &tar);
}

/* Q1 and base64 of the SHA-1. */
static void name_checksum(const char *bytes, size_t size, char out[CHECKSUM_MAX])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    autodigest struct digest *d = digest_new_sha1();
    char hex[DIGEST_HEX_MAX];
    digest_add(d, bytes, size);
    digest_finish(d, hex);
    unsigned bits = 0, have = 0;
    size_t n = (size_t)snprintf(out, CHECKSUM_MAX, "Q1");
    for (const char *c = hex; *c; c++) {
        bits = (bits << 4 | (unsigned)(*c <= '9' ? *c - '0' : *c - 'a' + 10)) & 0xfff;
        have += 4;
        if (have >= 6)
            out[n++] = letters[bits >> (have -= 6) & 63];
    }
    out[n++] = letters[bits << (6 - have) & 63];
    snprintf(out + n, CHECKSUM_MAX - n, "=");
}

struct made {
    struct buffer all;
    size_t control, data; /* where these begin */
    char checksum[CHECKSUM_MAX];
};

static void free_made(struct made *m)
{
    buffer_free(&m->all);
}

/* info NULL: a .PKGINFO with the right datahash. */
static void make(struct made *m, bool with_signature, const char *info)
{
    autobuffer struct buffer data = {0}, text = {0}, tar = {0};
    char hex[DIGEST_HEX_MAX];
    *m = (struct made){0};
    add_tar(&data, "usr/bin/tool", '0', "the tool\n");
    digest_bytes(DIGEST_SHA256, data.data, data.size, hex);
    buffer_printf(&text, "# by hand\npkgname = tool\ndatahash = %s\n", hex);
    if (with_signature)
        add_tar(&m->all, ".SIGN.RSA.x.rsa.pub", '0', "nobody looks at this");
    m->control = m->all.size;
    add_entry(&tar, "./PaxHeaders/.PKGINFO", 'x', "30 mtime=1\n");
    add_entry(&tar, ".PKGINFO", '0', info ? info : text.data);
    add_entry(&tar, ".post-install", '0', "#!/bin/sh\n");
    add_member(&m->all, &tar);
    m->data = m->all.size;
    name_checksum(m->all.data + m->control, m->data - m->control, m->checksum);
    buffer_add(&m->all, data.data, data.size);
}

static bool check(const struct buffer *b, const char *checksum, struct error **err)
{
    autotempdir char *folder = unit_temp_dir();
    autofree char *file = path_join(folder, "x.apk");
    return file_write(file, b->data ? b->data : "", b->size, 0600, err) &&
           apk_package_check(file, checksum, WHAT, err);
}

static void test_made(void **state)
{
    (void)state;
    for (int with_signature = 0; with_signature < 2; with_signature++) {
        cleanup(free_made) struct made m;
        make(&m, with_signature, NULL);
        assert_true(apk_package_comparable(m.checksum));
        assert_ok(check(&m.all, m.checksum, &err));
    }
}

/* Every byte behind the signature counts: none can be another, and none can be missing or more. */
static void test_tampered(void **state)
{
    (void)state;
    cleanup(free_made) struct made m;
    make(&m, true, NULL);
    for (size_t i = m.control; i < m.all.size; i++) {
        m.all.data[i] ^= 4;
        if (i < m.data)
            assert_fails(check(&m.all, m.checksum, &err), ERROR_TRUST, "the package tool");
        else
            assert_fails(check(&m.all, m.checksum, &err), ERROR_TRUST, "SHA-256 of its data is");
        m.all.data[i] ^= 4;
    }
    for (size_t n = 0; n < m.all.size; n++) {
        const struct buffer part = {.data = m.all.data, .size = n};
        assert_fails(check(&part, m.checksum, &err), ERROR_TRUST, "the package tool");
    }
    buffer_add(&m.all, "", 1);
    assert_fails(check(&m.all, m.checksum, &err), ERROR_TRUST, "try again later");
    m.all.size--;
    assert_ok(check(&m.all, m.checksum, &err));
    add_tar(&m.all, "etc/shadow", '0', "root::\n");
    assert_fails(check(&m.all, m.checksum, &err), ERROR_TRUST, "SHA-256 of its data is");
}

static void test_other_packages(void **state)
{
    (void)state;
    cleanup(free_made) struct made m, other;
    make(&m, true, NULL);
    make(&other, true, "datahash = 0\n");
    assert_fails(check(&other.all, m.checksum, &err), ERROR_TRUST, "SHA-1 of its control is");
    assert_fails(check(&other.all, other.checksum, &err), ERROR_TRUST, "says no SHA-256");
    static const char adb[] = "ADB.something of apk 3";
    const struct buffer three = {.data = (char *)adb, .size = sizeof adb};
    assert_fails(check(&three, m.checksum, &err), ERROR_TRUST, "no gzip");
    assert_fails(apk_package_check("/nowhere/x.apk", m.checksum, WHAT, &err), ERROR_INPUT,
                 "/nowhere/x.apk");
    assert_fails(check(&m.all, "Q2x", &err), ERROR_TRUST, "no checksum of it, but 'Q2x'");
}

/* Nobody vouches for the first member: nothing may hide there. */
static void test_signatures(void **state)
{
    (void)state;
    cleanup(free_made) struct made m;
    make(&m, false, NULL);
    autobuffer struct buffer many = {0}, tar = {0}, hiding = {0}, bomb = {0}, big = {0};
    for (int i = 0; i < 20; i++) {
        add_tar(&many, ".SIGN.RSA.x.rsa.pub", '0', "s");
        if (i == 1) {
            autobuffer struct buffer two = {0};
            buffer_add(&two, many.data, many.size);
            buffer_add(&two, m.all.data, m.all.size);
            assert_ok(check(&two, m.checksum, &err));
        }
    }
    buffer_add(&many, m.all.data, m.all.size);
    assert_fails(check(&many, m.checksum, &err), ERROR_TRUST, "more signatures");
    add_entry(&tar, ".SIGN.RSA.x.rsa.pub", '0', "s");
    add_entry(&tar, "APKINDEX", '0', "P:evil\n");
    add_member(&hiding, &tar);
    buffer_add(&hiding, m.all.data, m.all.size);
    assert_fails(check(&hiding, m.checksum, &err), ERROR_TRUST, "among its signatures");
    big.data = calloc(1, (size_t)17 << 20);
    big.size = big.room = (size_t)17 << 20;
    assert_non_null(big.data);
    add_member(&bomb, &big);
    assert_fails(check(&bomb, m.checksum, &err), ERROR_TRUST, "larger than any");
}

static void test_comparable(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "Q1",
                                      "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0",
                                      "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0==",
                                      "Q1xR5tc62pjGrEEgQI2mDh/zOCHs00",
                                      "Q1xR5tc62pjGrEEgQI2mDh*zOCHs0=",
                                      "X1xR5tc62pjGrEEgQI2mDh/zOCHs0=",
                                      "Q2xR5tc62pjGrEEgQI2mDh/zOCHs0=",
                                      "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0=AAAAAAAAAAAAAAAA"};
    assert_true(apk_package_comparable("Q1xR5tc62pjGrEEgQI2mDh/zOCHs0="));
    assert_false(apk_package_comparable(NULL));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(apk_package_comparable(bad[i]));
}

static void test_datahash(void **state)
{
    (void)state;
    char hex[65];
    autobuffer struct buffer tar = {0};
    add_entry(&tar, ".PKGINFO", '0', "xdatahash = a\ndatahash = 12\npkgname = x");
    assert_fails(apk_package_datahash(tar.data, tar.size, hex, WHAT, &err), ERROR_TRUST,
                 "says no SHA-256");
    for (size_t n = 0; n < tar.size; n += 64)
        assert_fails(apk_package_datahash(tar.data, n, hex, WHAT, &err), ERROR_TRUST, "tool");
    memcpy(tar.data + 124, "77777777777", 11);
    assert_fails(apk_package_datahash(tar.data, tar.size, hex, WHAT, &err), ERROR_TRUST,
                 "has no .PKGINFO");
}

static void test_index(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autotempdir char *folder = unit_temp_dir();
    autofree char *file = path_join(folder, "APKINDEX.tar.gz");
    autobuffer struct buffer whole = {0}, tar = {0}, hiding = {0}, forged = {0};
    struct apk_index index;
    add_tar(&whole, ".SIGN.RSA.x.rsa.pub", '0', "s");
    add_entry(&tar, "DESCRIPTION", '0', "mine");
    add_entry(&tar, "APKINDEX", '0', "C:Q1xR5tc62pjGrEEgQI2mDh/zOCHs0=\nP:x\nV:1\nS:7\n\n");
    add_member(&whole, &tar);
    assert_ok(file_write(file, whole.data, whole.size, 0600, &err));
    assert_ok(apk_read_index(a, file, &index, &err));
    assert_int_equal(index.count, 1);
    assert_string_equal(index.entries[0].checksum, "Q1xR5tc62pjGrEEgQI2mDh/zOCHs0=");
    /* What apk takes for a signature of a key it does not know is not an index here. */
    add_entry(&hiding, ".SIGN.RSA.x.rsa.pub", '0', "s");
    add_entry(&hiding, "APKINDEX", '0', "P:evil\nV:1\n");
    add_member(&forged, &hiding);
    buffer_add(&forged, whole.data, whole.size);
    assert_ok(file_write(file, forged.data, forged.size, 0600, &err));
    assert_fails(apk_read_index(a, file, &index, &err), ERROR_INPUT, "among its signatures");
}

/* Alpine's own packages and index. */
static void test_real(void **state)
{
    (void)state;
    const char *fixtures = getenv("INGOT_TEST_FIXTURES");
    if (!fixtures)
        skip();
    autoarena struct arena *a = arena_new();
    autofree char *folder = path_join(fixtures, "alpine/apks/x86_64");
    autofree char *path = path_join(folder, "APKINDEX.tar.gz");
    struct apk_index index;
    const char *before = NULL;
    assert_ok(apk_read_index(a, path, &index, &err));
    for (size_t i = 0; i < index.count; i++) {
        const struct apk_entry *e = &index.entries[i];
        const char *file = arena_printf(a, "%s/%s-%s.apk", folder, e->name, e->version);
        assert_true(apk_package_comparable(e->checksum));
        assert_ok(apk_package_check(file, e->checksum, e->name, &err));
        if (before)
            assert_fails(apk_package_check(file, before, e->name, &err), ERROR_TRUST, e->name);
        before = e->checksum;
    }
    assert_int_equal(index.count, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made),       cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_other_packages),
        cmocka_unit_test(test_comparable), cmocka_unit_test(test_datahash),
        cmocka_unit_test(test_index),      cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
