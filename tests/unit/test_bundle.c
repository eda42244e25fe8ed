/* layer: bundle */
#include "bundle/bundle.h"

#include "base/buffer.h"
#include "base/path.h"
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

static void put_octal(unsigned char *at, int digits, unsigned long long value)
{
    for (at += digits; digits-- > 0; value >>= 3)
        *--at = (unsigned char)('0' + (value & 7));
}

static void put_member(struct buffer *b, const struct tar_member *m)
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

static void put_end(struct buffer *b)
{
    static const char zeros[2 * BLOCK];
    buffer_add(b, zeros, sizeof zeros);
}

static void put_plain(struct buffer *b, const char *name, const char *data)
{
    put_member(b, &(struct tar_member){.name = name, .data = data});
}

static void hash(const char *text, char hex[DIGEST_HEX_MAX])
{
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
}

#define A_TEXT "first\n"
#define B_TEXT "second file\n"

/* The manifest of t/a and t/b, with what stands in front of the members, and behind them. */
static char *good_manifest(void)
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

static void good_bundle(struct buffer *b)
{
    autofree char *manifest = good_manifest();
    put_plain(b, "manifest.json", manifest);
    put_plain(b, "t/a", A_TEXT);
    put_plain(b, "t/b", B_TEXT);
    put_end(b);
}

/* --- importing what should be refused -----------------------------------------------------------
 */

static size_t entries(const char *folder)
{
    size_t count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

static bool import(const char *file, const char *to, struct error **err)
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

static void refuse_file(const char *what, const char *file, const char *dir, enum error_kind kind,
                        const char *text)
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

static void refuse(const char *what, const void *bytes, size_t size, enum error_kind kind,
                   const char *text)
{
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "b.ingot");
    assert_ok(file_write(file, bytes, size, 0600, &err));
    refuse_file(what, file, dir, kind, text);
}

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD(kind, names)                                                                          \
    "{\"bundle\": 1, \"requires\": [], \"kind\": \"" kind "\", \"epoch\": 1704067200, "            \
    "\"names\": [" names "], \"members\": ["
#define ART HEAD("artifacts", "\"t\"")
#define SRC HEAD("sources", "\"t\"")
#define M(path) "{\"path\": \"" path "\", \"bytes\": 0, \"sha256\": \"" SHA "\"}"
#define X16(s) s s s s s s s s s s s s s s s s

static const struct {
    const char *what, *manifest;
    enum error_kind kind;
    const char *text;
} manifests[] = {
    {"absolute path", ART M("/etc/passwd") "]}", ERROR_INPUT, "is absolute"},
    {"dot dot", ART M("t/../../x") "]}", ERROR_INPUT, "component `..`"},
    {"leading dot dot", ART M("../t/x") "]}", ERROR_INPUT, "component `..`"},
    {"backslash", ART M("t/a\\\\b") "]}", ERROR_INPUT, "backslash"},
    {"newline", ART M("t/a\\nb") "]}", ERROR_INPUT, "control character"},
    {"C1 control", ART M("t/a\\u009bb") "]}", ERROR_INPUT, "control character"},
    {"bidi override", ART M("t/a\\u202egpj.exe") "]}", ERROR_INPUT, "control character"},
    {"NUL", ART M("t/a\\u0000b") "]}", ERROR_INPUT, "NUL"},
    {"not UTF-8", ART M("t/\xff") "]}", ERROR_INPUT, "unable to decode"},
    {"empty path", ART M("") "]}", ERROR_INPUT, "is empty"},
    {"empty component", ART M("t//a") "]}", ERROR_INPUT, "empty component"},
    {"trailing slash", ART M("t/a/") "]}", ERROR_INPUT, "empty component"},
    {"component dot", ART M("t/./a") "]}", ERROR_INPUT, "component `.`"},
    {"long component", ART M("t/" X16("0123456789abcdef")) "]}", ERROR_INPUT, "too long"},
    {"long path", ART M("t/" X16(X16("abc/")) "x") "]}", ERROR_INPUT, "too long"},
    {"deep path", ART M("t/" X16("a/") X16("a/") X16("a/") "x") "]}", ERROR_INPUT, "too deep"},
    {"twice", ART M("t/a") "," M("t/a") "]}", ERROR_INPUT, "twice"},
    {"unsorted", ART M("t/b") "," M("t/a") "]}", ERROR_INPUT, "not sorted"},
    {"below nothing", ART M("u/a") "]}", ERROR_INPUT, "below none"},
    {"the manifest itself", ART M("manifest.json") "]}", ERROR_INPUT, "the manifest's own"},
    {"file below a file", ART M("t/a") "," M("t/a/b") "]}", ERROR_INPUT, "which is no folder"},
    {"file below a file, not beside it", ART M("t/a") "," M("t/a-b") "," M("t/a/b") "]}",
     ERROR_INPUT, "which is no folder"},
    {"name dot dot", HEAD("artifacts", "\"..\"") M("../a") "]}", ERROR_INPUT, "is no name"},
    {"name with slash", HEAD("artifacts", "\"a/b\"") M("a/b/c") "]}", ERROR_INPUT, "is no name"},
    {"name hidden", HEAD("artifacts", "\".x\"") M(".x/c") "]}", ERROR_INPUT, "is no name"},
    {"name twice", HEAD("artifacts", "\"t\", \"t\"") M("t/c") "]}", ERROR_INPUT, "twice"},
    {"no names", HEAD("artifacts", "") M("t/a") "]}", ERROR_INPUT, "names no artifact"},
    {"no members", ART "]}", ERROR_INPUT, "no members"},
    {"set-uid",
     ART "{\"path\": \"t/a\", \"bytes\": 0, \"mode\": \"4755\", \"sha256\": \"" SHA "\"}]}",
     ERROR_INPUT, "mode"},
    {"mode as a number",
     ART "{\"path\": \"t/a\", \"bytes\": 0, \"mode\": 493, \"sha256\": \"" SHA "\"}]}", ERROR_INPUT,
     "mode"},
    {"no digest", ART "{\"path\": \"t/a\", \"bytes\": 0}]}", ERROR_INPUT, "malformed"},
    {"MD5",
     ART "{\"path\": \"t/a\", \"bytes\": 0, \"sha256\": \"d41d8cd98f00b204e9800998ecf8427e\"}]}",
     ERROR_INPUT, "no SHA-256"},
    {"empty digest", ART "{\"path\": \"t/a\", \"bytes\": 0, \"sha256\": \"\"}]}", ERROR_INPUT,
     "no SHA-256"},
    {"negative size", ART "{\"path\": \"t/a\", \"bytes\": -1, \"sha256\": \"" SHA "\"}]}",
     ERROR_INPUT, "malformed"},
    {"size as a text", ART "{\"path\": \"t/a\", \"bytes\": \"0\", \"sha256\": \"" SHA "\"}]}",
     ERROR_INPUT, "malformed"},
    {"sizes beyond all bounds",
     ART "{\"path\": \"t/a\", \"bytes\": 9223372036854775807, \"sha256\": \"" SHA "\"},"
         "{\"path\": \"t/b\", \"bytes\": 9223372036854775807, \"sha256\": \"" SHA "\"}]}",
     ERROR_INPUT, "beyond all bounds"},
    {"newer", "{\"bundle\": 2, \"requires\": []}", ERROR_UNSUPPORTED, "version 2"},
    {"requires", "{\"bundle\": 1, \"requires\": [\"zstd\"]}", ERROR_UNSUPPORTED, "'zstd'"},
    {"unknown kind", HEAD("others", "\"t\"") M("t/a") "]}", ERROR_UNSUPPORTED, "kind"},
    {"no bundle", "{\"name\": \"x\"}", ERROR_INPUT, "does not say"},
    {"no object", "[]", ERROR_INPUT, "malformed"},
    {"no JSON", "hello", ERROR_INPUT, "manifest.json"},
    {"JSON cut", ART, ERROR_INPUT, "manifest.json"},
    {"a key twice", "{\"bundle\": 2, \"bundle\": 1}", ERROR_INPUT, "manifest.json"},
    {"text behind", ART M("t/a") "]} x", ERROR_INPUT, "manifest.json"},
    {"epoch before all time",
     "{\"bundle\": 1, \"requires\": [], \"kind\": \"artifacts\", \"epoch\": -1, \"names\": "
     "[\"t\"], \"members\": [" M("t/a") "]}",
     ERROR_INPUT, "epoch"},
    {"blob of another name",
     SRC "{\"path\": \"blobs/sha256/1"
         "123456789abcdef0123456789abcdef"
         "0123456789abcdef0123456789abcdef\", \"bytes\": 0, \"sha256\": \"" SHA "\"}]}",
     ERROR_INPUT, "another digest than its name"},
    {"blob of no name", SRC M("blobs/sha256/x") "]}", ERROR_INPUT, "neither a blob"},
    {"neither blob nor recipe", SRC M("etc/passwd") "]}", ERROR_INPUT, "neither a blob"},
    {"link in artifacts", ART M("t/a") "], \"links\": [{\"path\": \"t/l\", \"target\": \"a\"}]}",
     ERROR_INPUT, "not below recipe/"},
    {"link out", SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/l\", \"target\": \"..\"}]}",
     ERROR_INPUT, "leads out"},
    {"link far out",
     SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/b/l\", \"target\": \"../../x\"}]}",
     ERROR_INPUT, "leads out"},
    {"link with hidden dots",
     SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/l\", \"target\": \"b/../../x\"}]}",
     ERROR_INPUT, "component `..`"},
    {"absolute link",
     SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/l\", \"target\": \"/etc\"}]}",
     ERROR_INPUT, "is absolute"},
    {"empty link", SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/l\", \"target\": \"\"}]}",
     ERROR_INPUT, "is empty"},
    {"link over a file",
     SRC M("recipe/a") "], \"links\": [{\"path\": \"recipe/a\", \"target\": \"b\"}]}", ERROR_INPUT,
     "a file and a link"},
    {"file below a link",
     SRC M("recipe/l/a") "], \"links\": [{\"path\": \"recipe/l\", \"target\": \"b\"}]}",
     ERROR_INPUT, "which is no folder"},
    {"folder over a file", SRC M("recipe/a") "], \"folders\": [\"recipe/a\"]}", ERROR_INPUT,
     "something else"},
    {"folder outside", SRC M("recipe/a") "], \"folders\": [\"x\"]}", ERROR_INPUT, "not below"},
};

static void refuses_manifests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(manifests); i++) {
        autobuffer struct buffer b = {0};
        put_plain(&b, "manifest.json", manifests[i].manifest);
        put_end(&b);
        refuse(manifests[i].what, b.data, b.size, manifests[i].kind, manifests[i].text);
    }
}

static void refuses_too_many(void **state)
{
    (void)state;
    autobuffer struct buffer text = {0}, b = {0};
    buffer_puts(&text, ART);
    for (int i = 0; i <= BUNDLE_MAX_MEMBERS; i++)
        buffer_printf(&text, "%s{\"path\": \"t/%06d\", \"bytes\": 0, \"sha256\": \"" SHA "\"}",
                      i ? "," : "", i);
    buffer_puts(&text, "]}");
    put_plain(&b, "manifest.json", text.data);
    put_end(&b);
    refuse("too many members", b.data, b.size, ERROR_INPUT, "more than 100000");
    autobuffer struct buffer crowd = {0}, c = {0};
    buffer_puts(&crowd, "{\"bundle\": 1, \"requires\": [");
    for (int i = 0; i < 1000000; i++)
        buffer_puts(&crowd, "[],");
    buffer_puts(&crowd, "[]]}");
    put_plain(&c, "manifest.json", crowd.data);
    put_end(&c);
    refuse("too many values", c.data, c.size, ERROR_INPUT, "than 100000 members need");
}

/* --- the tar around a good manifest -------------------------------------------------------------
 */

/* What stands where t/a should. The length of the whole is right, so that only the header can say
 * what is wrong. */
static const struct {
    const char *what;
    struct tar_member member;
    const char *text;
} members[] = {
    {"hard link",
     {.name = "t/a", .type = '1', .data = A_TEXT, .linkname = "manifest.json"},
     "a hard link"},
    {"symbolic link",
     {.name = "t/a", .type = '2', .data = A_TEXT, .linkname = "/etc/passwd"},
     "a symbolic link"},
    {"character device", {.name = "t/a", .type = '3', .data = A_TEXT}, "a character device"},
    {"block device", {.name = "t/a", .type = '4', .data = A_TEXT}, "a block device"},
    {"folder", {.name = "t/a", .type = '5', .data = A_TEXT}, "a folder"},
    {"pipe", {.name = "t/a", .type = '6', .data = A_TEXT}, "a named pipe"},
    {"contiguous", {.name = "t/a", .type = '7', .data = A_TEXT}, "a contiguous file"},
    {"old type", {.name = "t/a", .type = '\x01', .data = A_TEXT}, "unknown type"},
    {"global pax", {.name = "t/a", .type = 'g', .data = A_TEXT}, "a global pax header"},
    {"pax", {.name = "t/a", .type = 'x', .data = "14 path=/tmp/x\n"}, "a pax header"},
    {"long name", {.name = "././@LongLink", .type = 'L', .data = "../../etc/x"}, "a GNU long name"},
    {"long link", {.name = "././@LongLink", .type = 'K', .data = "../../etc/x"}, "a GNU long link"},
    {"sparse", {.name = "t/a", .type = 'S', .data = A_TEXT}, "a GNU sparse file"},
    {"volume", {.name = "t/a", .type = 'V', .data = A_TEXT}, "a GNU volume label"},
    {"other name",
     {.name = "t/c", .type = 0, .data = A_TEXT},
     "'t/c' stands where the manifest has 't/a'"},
    {"name outside", {.name = "../../x", .type = 0, .data = A_TEXT}, "'../../x' stands where"},
    {"prefix outside",
     {.name = "a", .type = 0, .data = A_TEXT, .prefix = "/etc"},
     "'/etc/a' stands where"},
    {"lying size",
     {.name = "t/a", .type = 0, .data = A_TEXT, .size = "00000000003"},
     "has 3 bytes"},
    {"huge size",
     {.name = "t/a", .type = 0, .data = A_TEXT, .size = "77777777777"},
     "has 8589934591 bytes"},
    {"base-256 size",
     {.name = "t/a", .type = 0, .data = A_TEXT, .size = "\x80\0\0\0\0\0\0\0\0\0\0\x06"},
     "not as ingot"},
    {"no size", {.name = "t/a", .type = 0, .data = A_TEXT, .size = "           "}, "not as ingot"},
    {"checksum", {.name = "t/a", .type = 0, .data = A_TEXT, .bad_checksum = true}, "not as ingot"},
    {"owner", {.name = "t/a", .type = 0, .data = A_TEXT, .uid = 1000}, "not as ingot"},
    {"set-uid", {.name = "t/a", .type = 0, .data = A_TEXT, .mode = 04755}, "not as ingot"},
    {"time", {.name = "t/a", .type = 0, .data = A_TEXT, .mtime = 1}, "not as ingot"},
    {"link target in a file",
     {.name = "t/a", .type = 0, .data = A_TEXT, .linkname = "/etc"},
     "not as ingot"},
    {"no ustar",
     {.name = "t/a", .type = 0, .data = A_TEXT, .old_format = true},
     "no header of a tar"},
};

static void refuses_members(void **state)
{
    (void)state;
    autofree char *manifest = good_manifest();
    for (size_t i = 0; i < COUNT(members); i++) {
        autobuffer struct buffer b = {0};
        put_plain(&b, "manifest.json", manifest);
        put_member(&b, &members[i].member);
        put_plain(&b, "t/b", B_TEXT);
        put_end(&b);
        refuse(members[i].what, b.data, b.size, ERROR_INPUT, members[i].text);
    }
}

static void refuses_other_orders(void **state)
{
    (void)state;
    autofree char *manifest = good_manifest();
    autobuffer struct buffer swapped = {0}, missing = {0}, between = {0}, late = {0}, twice = {0},
                             double_signature = {0}, empty_signature = {0}, stale = {0};
    put_plain(&swapped, "manifest.json", manifest);
    put_plain(&swapped, "t/b", B_TEXT);
    put_plain(&swapped, "t/a", A_TEXT);
    put_end(&swapped);
    refuse("swapped", swapped.data, swapped.size, ERROR_INPUT, "'t/b' stands where");
    put_plain(&missing, "manifest.json", manifest);
    put_plain(&missing, "t/a", A_TEXT);
    put_end(&missing);
    refuse("missing", missing.data, missing.size, ERROR_INPUT, "is cut off");
    put_plain(&between, "manifest.json", manifest);
    put_plain(&between, "t/a", A_TEXT);
    put_plain(&between, "t/aa", "hidden");
    put_plain(&between, "t/b", B_TEXT);
    put_end(&between);
    refuse("one more", between.data, between.size, ERROR_INPUT, "between its members");
    put_plain(&late, "t/a", A_TEXT);
    put_plain(&late, "manifest.json", manifest);
    put_plain(&late, "t/b", B_TEXT);
    put_end(&late);
    refuse("manifest second", late.data, late.size, ERROR_INPUT, "its first member is 't/a'");
    put_plain(&twice, "manifest.json", manifest);
    put_plain(&twice, "manifest.json", manifest);
    put_plain(&twice, "t/a", A_TEXT);
    put_plain(&twice, "t/b", B_TEXT);
    put_end(&twice);
    refuse("manifest twice", twice.data, twice.size, ERROR_INPUT, "between its members");
    put_plain(&double_signature, "manifest.json", manifest);
    put_plain(&double_signature, "manifest.json.asc", "x");
    put_plain(&double_signature, "manifest.json.sig", "x");
    put_plain(&double_signature, "t/a", A_TEXT);
    put_plain(&double_signature, "t/b", B_TEXT);
    put_end(&double_signature);
    refuse("two signatures", double_signature.data, double_signature.size, ERROR_INPUT,
           "between its members");
    put_plain(&empty_signature, "manifest.json", manifest);
    put_plain(&empty_signature, "manifest.json.asc", "");
    put_plain(&empty_signature, "t/a", A_TEXT);
    put_plain(&empty_signature, "t/b", B_TEXT);
    put_end(&empty_signature);
    refuse("empty signature", empty_signature.data, empty_signature.size, ERROR_INPUT,
           "its signature has 0 bytes");
    put_member(&stale, &(struct tar_member){.name = "manifest.json", .data = manifest, .mtime = 1});
    put_plain(&stale, "t/a", A_TEXT);
    put_plain(&stale, "t/b", B_TEXT);
    put_end(&stale);
    refuse("manifest of another time", stale.data, stale.size, ERROR_INPUT, "not as ingot");
}

static void refuses_damage(void **state)
{
    (void)state;
    autobuffer struct buffer b = {0};
    good_bundle(&b);
    size_t end = b.size;
    autofree char *copy = malloc(end + BLOCK);
    static const struct {
        const char *what;
        int cut;           /* bytes less at the end */
        size_t behind_end; /* from the end: a byte is turned there; 0: none */
        enum error_kind kind;
        const char *text;
    } damages[] = {
        {"no end", 2 * BLOCK, 0, ERROR_INPUT, "cut off"},
        {"half an end", BLOCK, 0, ERROR_INPUT, "cut off"},
        {"one byte short", 1, 0, ERROR_INPUT, "cut off"},
        {"cut in a member", 2 * BLOCK + 505, 0, ERROR_INPUT, "cut off"},
        {"cut in the manifest", 7 * BLOCK - 100, 0, ERROR_INPUT, "cut off"},
        {"trailing zeros", -BLOCK, 0, ERROR_INPUT, "behind its end"},
        {"one byte more", -1, 0, ERROR_INPUT, "behind its end"},
        {"end not zero", 0, 1, ERROR_INPUT, "should end"},
        {"data in the padding", 0, 2 * BLOCK + 1, ERROR_INPUT, "in the padding"},
        {"payload changed", 0, 3 * BLOCK - 3, ERROR_TRUST, "'t/b' has the SHA-256"},
        {"first payload changed", 0, 5 * BLOCK - 3, ERROR_TRUST, "'t/a' has the SHA-256"},
    };
    assert_non_null(copy);
    for (size_t i = 0; i < COUNT(damages); i++) {
        memset(copy, 0, end + BLOCK);
        memcpy(copy, b.data, end);
        if (damages[i].behind_end)
            copy[end - damages[i].behind_end] ^= 1;
        refuse(damages[i].what, copy, (size_t)((long)end - damages[i].cut), damages[i].kind,
               damages[i].text);
    }
}

static void refuses_other_files(void **state)
{
    (void)state;
    static const char zeros[10240];
    static const struct {
        const char *what, *bytes;
        size_t size;
        const char *text;
    } files[] = {
        {"gzip", "\x1f\x8b\x08", 3, "gzip"},
        {"zip", "PK\x03\x04", 4, "a zip file"},
        {"zstd", "\x28\xb5\x2f\xfd", 4, "zstd"},
        {"xz",
         "\xfd"
         "7zXZ",
         6, "xz"},
        {"bzip2", "BZh9", 4, "bzip2"},
        {"7z", "7z\xbc\xaf\x27\x1c", 6, "7-Zip"},
        {"cpio", "070701", 6, "cpio"},
        {"ar", "!<arch>\n", 8, "an ar archive"},
        {"qcow2", "QFI\xfb", 4, "a qcow2 disk"},
        {"text", "hello world", 11, "does not begin as a tar"},
        {"zeros", "", 0, "does not begin as a tar"},
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        char block[2048] = {0};
        memcpy(block, files[i].bytes, files[i].size);
        refuse(files[i].what, block, sizeof block, ERROR_INPUT, files[i].text);
    }
    refuse("empty", "", 0, ERROR_INPUT, "has 0 bytes");
    refuse("short", zeros, 100, ERROR_INPUT, "has 100 bytes");
    autobuffer struct buffer link = {0}, large = {0};
    put_member(&link, &(struct tar_member){
                          .name = "manifest.json", .type = '2', .linkname = "/etc/passwd"});
    put_end(&link);
    refuse("manifest as a link", link.data, link.size, ERROR_INPUT, "a symbolic link");
    put_member(&large,
               &(struct tar_member){.name = "manifest.json", .data = "{}", .size = "00400000000"});
    put_end(&large);
    refuse("manifest too large", large.data, large.size, ERROR_INPUT, "too large");
    autobuffer struct buffer lying = {0};
    put_member(&lying,
               &(struct tar_member){.name = "manifest.json", .data = "{}", .size = "00000100000"});
    put_end(&lying);
    refuse("manifest longer than the file", lying.data, lying.size, ERROR_INPUT, "cut off");
}

/* --- parts --------------------------------------------------------------------------------------
 */

static void write_part(const char *dir, int number, const char *bytes, size_t size)
{
    autofree char *path = NULL;
    assert_true(asprintf(&path, "%s/b.%03d", dir, number) > 0);
    assert_ok(file_write(path, bytes, size, 0600, &err));
}

static void refuses_parts(void **state)
{
    (void)state;
    autobuffer struct buffer b = {0};
    good_bundle(&b);
    static const struct {
        const char *what;
        int order[8]; /* which kilobyte is part n; 0: none; negative: half of it */
        enum error_kind kind;
        const char *text;
    } cases[] = {
        {"no second", {1, 0, 3, 4}, ERROR_UNREACHABLE, "b.002 is missing"},
        {"no first", {0, 2, 3, 4}, ERROR_UNREACHABLE, "b.001 is missing"},
        {"no last", {1, 2, 3}, ERROR_UNREACHABLE, "a part is missing"},
        {"first two swapped", {2, 1, 3, 4}, ERROR_INPUT, "its first member is 't/a'"},
        {"last two swapped", {1, 3, 2, 4}, ERROR_INPUT, ""},
        {"one twice", {1, 2, 2, 3, 4}, ERROR_INPUT, "between its members"},
        {"one more", {1, 2, 3, 4, 4}, ERROR_INPUT, "behind its end"},
        {"a short one", {1, -2, 3, 4}, ERROR_INPUT, "all but the last are of one size"},
        {"a short last one", {1, 2, 3, -4}, ERROR_UNREACHABLE, "cut off"},
    };
    assert_int_equal(b.size, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *file = path_join(dir, "b");
        for (int n = 0; n < 8; n++) {
            int part = cases[i].order[n];
            if (part)
                write_part(dir, n + 1, b.data + 1024 * (abs(part) - 1), part < 0 ? 512 : 1024);
        }
        refuse_file(cases[i].what, file, dir, cases[i].kind, cases[i].text);
    }
    autotempdir char *dir = unit_temp_dir();
    for (int n = 1; n <= 4; n++)
        write_part(dir, n, b.data + 1024 * (n - 1), 1024);
    autofree char *second = path_join(dir, "b.002"), *first = path_join(dir, "b.001");
    refuse_file("the second named", second, dir, ERROR_USAGE, "name the first");
    autofree char *to = path_join(dir, "good");
    assert_ok(import(first, to, &err));
}

/* --- what is good -------------------------------------------------------------------------------
 */

static void write_text(const char *dir, const char *name, const char *text)
{
    autofree char *path = path_join(dir, name);
    autofree char *above = path_dirname(path);
    assert_ok(file_make_dirs(above, 0755, &err));
    assert_ok(file_write(path, text, strlen(text), 0644, &err));
}

static void assert_text(const char *dir, const char *name, const char *text)
{
    autofree char *path = path_join(dir, name), *found = NULL;
    size_t size;
    assert_ok(file_read(path, 1 << 20, &found, &size, &err));
    assert_string_equal(found, text);
}

static void takes_a_good_one(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autobuffer struct buffer b = {0};
    autofree char *file = path_join(dir, "b"), *to = path_join(dir, "to");
    good_bundle(&b);
    assert_ok(file_write(file, b.data, b.size, 0600, &err));
    assert_true(bundle_is_one(file));
    assert_ok(import(file, to, &err));
    assert_text(to, "t/a", A_TEXT);
    assert_text(to, "t/b", B_TEXT);
    assert_int_equal(entries(to), 1);
    /* Again: nothing to do. Changed: not touched. */
    assert_ok(import(file, to, &err));
    write_text(to, "t/b", "changed");
    assert_fails(import(file, to, &err), ERROR_CONFLICT, "'t/b' differs");
    assert_text(to, "t/b", "changed");
    assert_int_equal(entries(to), 1);
}

#define LONG X16("0123456789")

/* Names beyond ustar's, modes, links, folders, an empty file: out and in again, twice the same
 * bytes, split or not. */
static void goes_round(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *a = path_join(dir, "src/a"), *e = path_join(dir, "src/e"),
                  *file = path_join(dir, "b"), *again = path_join(dir, "c"),
                  *split = path_join(dir, "s"), *to = path_join(dir, "to"),
                  *to2 = path_join(dir, "to2");
    autobuffer struct buffer large = {0};
    for (int i = 0; i < 60000; i++)
        buffer_printf(&large, "%d\n", i);
    write_text(dir, "src/a", large.data);
    write_text(dir, "src/e", "");
    struct bundle_member list[] = {
        {.path = "recipe/x.yaml", .source = a},
        {.path = "recipe/" LONG "/" LONG, .source = a, .mode = 0755},
        {.path = "recipe/empty", .source = e, .mode = 0600},
        {.path = "recipe/\xc3\xbcml\xc3\xa4ut", .source = a},
        {.path = "recipe/" LONG "/b", .source = a},
    };
    static const char *const names[] = {"x", NULL}, *const folders[] = {"recipe/o/void", NULL};
    static const struct bundle_link links[] = {
        {"recipe/l", "x.yaml"}, {"recipe/o/m", "/dev/null"}, {"recipe/o/n", "../x.yaml"}};
    struct bundle b = {.kind = BUNDLE_SOURCES,
                       .epoch = EPOCH,
                       .names = names,
                       .folders = folders,
                       .links = links,
                       .link_count = COUNT(links)};
    struct bundle_write_options o = {0};
    struct bundle_written written;
    b.count = COUNT(list);
    assert_ok(bundle_sort(list, &b.count, &err));
    b.members = list;
    assert_ok(bundle_write(&b, &o, file, &written, &err));
    assert_int_equal(written.parts, 0);
    assert_ok(bundle_write(&b, &o, again, NULL, &err));
    char one[DIGEST_HEX_MAX], two[DIGEST_HEX_MAX];
    uint64_t size;
    assert_ok(digest_file(DIGEST_SHA256, file, one, &size, &err));
    assert_int_equal(size, written.size);
    assert_ok(digest_file(DIGEST_SHA256, again, two, &size, &err));
    assert_string_equal(one, two);
    assert_fails(bundle_write(&b, &o, file, NULL, &err), ERROR_CONFLICT, "is there already");

    o.split = 256 << 10;
    assert_ok(bundle_write(&b, &o, split, &written, &err));
    assert_int_equal(written.parts, (size + o.split - 1) / o.split);
    assert_fails(bundle_write(&b, &o, split, NULL, &err), ERROR_CONFLICT, "is there already");
    autofree char *first = path_join(dir, "s.001");
    assert_ok(import(first, to, &err));
    assert_ok(import(file, to2, &err));
    assert_text(to, "recipe/" LONG "/" LONG, large.data);
    assert_text(to2, "recipe/" LONG "/" LONG, large.data);
    assert_text(to, "recipe/\xc3\xbcml\xc3\xa4ut", large.data);
    assert_text(to, "recipe/empty", "");
    assert_text(to, "recipe/o/n", large.data);
    struct stat st;
    autofree char *void_folder = path_join(to, "recipe/o/void"),
                  *executable = path_join(to, "recipe/" LONG "/" LONG),
                  *private = path_join(to, "recipe/empty");
    assert_int_equal(stat(void_folder, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(stat(executable, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(private, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    autobundle struct bundle_reader *r = NULL;
    autofree char *text = NULL;
    assert_ok(bundle_open(split, &r, &err));
    assert_int_equal(bundle_manifest(r)->count, COUNT(list));
    assert_string_equal(bundle_manifest(r)->manifest_sha256, written.manifest_sha256);
    assert_ok(bundle_text(r, "recipe/x.yaml", 1 << 20, &text, &err));
    assert_string_equal(text, large.data);
    assert_fails(bundle_text(r, "recipe/none", 1 << 20, &text, &err), ERROR_INPUT, "has no");
}

static void refuses_to_write(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *a = path_join(dir, "a"), *file = path_join(dir, "b"),
                  *part = path_join(dir, "b.003");
    static const char *const names[] = {"t", NULL};
    const struct bundle_write_options o = {0};
    struct bundle_member m = {.path = "t/a", .source = a};
    struct bundle b = {.names = names, .epoch = EPOCH, .members = &m, .count = 1};
    write_text(dir, "a", "text");
    m.sha256 = SHA;
    assert_fails(bundle_write(&b, &o, file, NULL, &err), ERROR_TRUST, "is expected");
    const struct bundle_write_options small = {.split = BUNDLE_MIN_SPLIT};
    autofree char *huge = path_join(dir, "huge");
    m.source = huge;
    write_text(dir, "huge", "");
    assert_int_equal(truncate(huge, (off_t)(BUNDLE_MAX_PARTS * BUNDLE_MIN_SPLIT)), 0);
    assert_fails(bundle_write(&b, &small, file, NULL, &err), ERROR_USAGE, "a larger --split");
    unlink(huge);
    m.source = a;
    m.sha256 = NULL;
    m.path = "../a";
    assert_fails(bundle_write(&b, &o, file, NULL, &err), ERROR_INPUT, "`..`");
    m.path = "t/a";
    m.source = dir;
    assert_fails(bundle_write(&b, &o, file, NULL, &err), ERROR_INPUT, "no regular file");
    m.source = a;
    write_text(dir, "b.003", "a part of something");
    assert_fails(bundle_write(&b, &o, file, NULL, &err), ERROR_CONFLICT, "b.003 is there");
    unlink(part);
    assert_fails(bundle_write(&b, &o, part, NULL, &err), ERROR_USAGE, "three digits");
    assert_int_equal(entries(dir), 1);
}

/* What an interrupted import has left is used; what is damaged in it is not. */
static void goes_on(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autobuffer struct buffer b = {0};
    autofree char *file = path_join(dir, "b"), *to = path_join(dir, "to"), *stage = NULL;
    good_bundle(&b);
    assert_ok(file_write(file, b.data, b.size, 0600, &err));
    autobundle struct bundle_reader *r = NULL;
    assert_ok(bundle_open(file, &r, &err));
    assert_true(
        asprintf(&stage, "%s/.ingot-bundle-%.16s", to, bundle_manifest(r)->manifest_sha256) > 0);
    write_text(stage, "t/a", A_TEXT);
    write_text(stage, "t/b", "secon");
    assert_ok(import(file, to, &err));
    assert_text(to, "t/a", A_TEXT);
    assert_text(to, "t/b", B_TEXT);
    assert_int_equal(entries(to), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_good_one),
        cmocka_unit_test(refuses_manifests),
        cmocka_unit_test(refuses_too_many),
        cmocka_unit_test(refuses_members),
        cmocka_unit_test(refuses_other_orders),
        cmocka_unit_test(refuses_damage),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_parts),
        cmocka_unit_test(goes_round),
        cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
