/* layer: bundle */
/* Bundles that nobody should take. */
#include "bundle_tars.h"

#define HEAD(kind, names)                                                                          \
    "{\"bundle\": 1, \"requires\": [], \"kind\": \"" kind "\", \"epoch\": 1704067200, "            \
    "\"names\": [" names "], \"members\": ["
#define ART HEAD("artifacts", "\"t\"")
#define SRC HEAD("sources", "\"t\"")
#define M(path) "{\"path\": \"" path "\", \"bytes\": 0, \"sha256\": \"" SHA "\"}"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_manifests), cmocka_unit_test(refuses_too_many),
        cmocka_unit_test(refuses_members),   cmocka_unit_test(refuses_other_orders),
        cmocka_unit_test(refuses_damage),    cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_parts),
    };
    return cmocka_run_group_tests_name("bundle_refused", tests, NULL, NULL);
}
