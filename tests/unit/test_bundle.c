/* layer: bundle */
#include "bundle_tars.h"

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
        cmocka_unit_test(goes_round),
        cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(goes_on),
    };
    return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
