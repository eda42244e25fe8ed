#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "payload/payload.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>

#define EPOCH 1700000000

static const struct text_at allowed[] = {{.text = "/opt/a/suid-ok"}};
static const struct recipe recipe = {.name = {.text = "demo"}, .setuid = {allowed, 1}};

static const char *given_blob; /* what the blob function says */

static const char *blob(const struct plan_entry *e, void *data)
{
    (void)e, (void)data;
    return given_blob;
}

static bool write_plan(const struct plan_entry *entries, size_t count, const char *path,
                       char sha256[DIGEST_HEX_MAX], uint64_t *size, struct error **err)
{
    struct plan p = {.recipe = &recipe, .epoch = EPOCH, .entries = entries, .entry_count = count};
    return payload_write(&p, blob, NULL, path, sha256, size, err);
}

static char *run(const char *const *argv)
{
    struct process p = {.argv = argv, .timeout_seconds = 60};
    autoresult struct process_result r = {0};
    assert_ok(process_check(&p, ERROR_HOST, &r, &err));
    return buffer_take(&r.out);
}

static void digest_of(const char *text, char hex[DIGEST_HEX_MAX])
{
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
}

static void tar_is_deterministic(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "file");
    autofree char *first = path_join(dir, "first.tar"), *second = path_join(dir, "second.tar");
    static char zeros[70000];
    char hex[DIGEST_HEX_MAX], file_hex[DIGEST_HEX_MAX], a[DIGEST_HEX_MAX], b[DIGEST_HEX_MAX];
    uint64_t size, again;
    assert_ok(file_write(file, zeros, sizeof zeros, 0600, &err));
    digest_bytes(DIGEST_SHA256, zeros, sizeof zeros, file_hex);
    digest_of("hello\n", hex);
    static const char long_name[] =
        "/usr/share/a-very-long-folder-name-that-goes-on/and-another-one-that-goes-on-and-on/"
        "and-a-third-one-that-makes-it-longer-than-ustar-can-say/and-then-the-file-itself-at-last";
    const struct plan_entry entries[] = {
        {.kind = ENTRY_LINK, .path = "/etc/link", .target = "../usr/x", .mode = 0777},
        {.kind = ENTRY_FILE,
         .path = "/etc/motd",
         .content = "hello\n",
         .size = 6,
         .digest = hex,
         .mode = 0640,
         .uid = 1000,
         .gid = 70000},
        {.kind = ENTRY_ABSENT, .path = "/etc/not"},
        {.kind = ENTRY_FILE, .path = "/etc/nothing", .content = "", .digest = hex, .mode = 0644},
        {.kind = ENTRY_DIRECTORY, .path = "/root", .mode = 0755},
        {.kind = ENTRY_DIRECTORY, .path = "/srv/d", .mode = 01777, .force = true},
        {.kind = ENTRY_FILE,
         .path = "/usr/bin/\xc3\xa4",
         .source = file,
         .size = sizeof zeros,
         .digest = file_hex,
         .mode = 0755},
        {.kind = ENTRY_FILE, .path = long_name, .content = "hello\n", .size = 6, .mode = 0644},
    };
    assert_ok(write_plan(entries, COUNT(entries), first, a, &size, &err));
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
    assert_ok(write_plan(entries, COUNT(entries), second, b, &again, &err));
    assert_string_equal(a, b);
    assert_int_equal(size, again);
    struct stat st;
    assert_int_equal(stat(first, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_int_equal(st.st_mode & 07777, 0600);
    char on_disk[DIGEST_HEX_MAX];
    assert_ok(digest_file(DIGEST_SHA256, first, on_disk, NULL, &err));
    assert_string_equal(a, on_disk);

    /* Others read the same in it. */
    const char *const tar[] = {
        "tar", "--quoting-style=literal", "--utc", "--full-time", "-tvf", first, NULL};
    autofree char *list = run(tar);
    static const char *const lines[] = {
        "lrwxrwxrwx 0/0               0 2023-11-14 22:13:20 etc/link -> ../usr/x\n",
        "-rw-r----- 1000/70000        6 2023-11-14 22:13:20 etc/motd\n",
        "-rw-r--r-- 0/0               0 2023-11-14 22:13:20 etc/nothing\n",
        "drwxrwxrwt 0/0               0 2023-11-14 22:13:20 srv/d/\n",
        "-rwxr-xr-x 0/0           70000 2023-11-14 22:13:20 usr/bin/\xc3\xa4\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        if (!strstr(list, lines[i]))
            fail_msg("tar does not say %s in:\n%s", lines[i], list);
    assert_non_null(strstr(list, long_name + 1));
    assert_null(strstr(list, "etc/not\n"));
    assert_null(strstr(list, "root"));
    autofree char *bsdtar = process_find("bsdtar");
    if (bsdtar) {
        const char *const theirs[] = {"tar", "--quoting-style=literal", "-tf", first, NULL};
        const char *const ours[] = {bsdtar, "-tf", first, NULL};
        setenv("LC_ALL", "C.UTF-8", 1);
        autofree char *names = run(theirs), *same = run(ours);
        unsetenv("LC_ALL");
        assert_string_equal(names, same);
    }
}

static void unused_folders_are_left_out(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "p.tar");
    char sha256[DIGEST_HEX_MAX];
    uint64_t size;
    static const struct plan_entry entries[] = {
        {.kind = ENTRY_FILE, .path = "/etc/a/b", .content = "x", .size = 1, .mode = 0644}};
    assert_ok(write_plan(entries, 1, path, sha256, &size, &err));
    const char *const tar[] = {"tar", "-tf", path, NULL};
    autofree char *list = run(tar);
    assert_string_equal(list, "etc/a/b\n");
}

static void files_are_verified(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "file"), *path = path_join(dir, "p.tar");
    char hex[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX];
    uint64_t size;
    digest_of("abc", hex);
    assert_ok(file_write(file, "abd", 3, 0600, &err));
    struct plan_entry e = {
        .kind = ENTRY_FILE, .path = "/x", .source = file, .size = 3, .digest = hex, .mode = 0644};
    assert_fails(write_plan(&e, 1, path, sha256, &size, &err), ERROR_TRUST, hex);
    assert_int_equal(access(path, F_OK), -1);
    e.size = 4;
    assert_fails(write_plan(&e, 1, path, sha256, &size, &err), ERROR_TRUST, "another size");
    e.size = 3;
    e.digest = NULL;
    assert_fails(write_plan(&e, 1, path, sha256, &size, &err), ERROR_TRUST, "no digest");
    /* A blob: by its SHA-512 where that is what the recipe says. */
    char sha512[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA512, "abd", 3, sha512);
    struct verify v = {.kind = VERIFY_DIGEST, .digest_kind = DIGEST_SHA512, .digest = sha512};
    e.verify = &v;
    e.source = NULL;
    e.url = "https://example.org/x";
    given_blob = NULL;
    assert_fails(write_plan(&e, 1, path, sha256, &size, &err), ERROR_UNREACHABLE,
                 "not been fetched");
    given_blob = file;
    assert_ok(write_plan(&e, 1, path, sha256, &size, &err));
    sha512[0] = sha512[0] == '0' ? '1' : '0';
    assert_fails(write_plan(&e, 1, path, sha256, &size, &err), ERROR_TRUST, "sha512 expected");
    /* No temporary file is left. */
    const char *const ls[] = {"ls", "-A", dir, NULL};
    autofree char *list = run(ls);
    assert_string_equal(list, "file\np.tar\n");
}

/* --- archives -----------------------------------------------------------------------------------
 */

struct member {
    const char *name;
    mode_t type; /* AE_IF…; 0: a file */
    mode_t mode; /* 0: 0644 */
    const char *text, *symlink, *hardlink;
};

static void write_archive(const char *path, int format, int filter, const struct member *members,
                          size_t count)
{
    /* For names in UTF-8; what is tested runs in the C locale, as the program does. */
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format(a, format), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &members[i];
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, m->name);
        archive_entry_set_filetype(e, m->type ? m->type : AE_IFREG);
        archive_entry_set_perm(e, m->mode ? m->mode : 0644);
        archive_entry_set_uid(e, 1001);
        archive_entry_set_size(e, m->text ? (la_int64_t)strlen(m->text) : 0);
        if (m->symlink)
            archive_entry_set_symlink(e, m->symlink);
        if (m->hardlink)
            archive_entry_set_hardlink(e, m->hardlink);
        if (m->type == AE_IFCHR || m->type == AE_IFBLK)
            archive_entry_set_rdev(e, 0x0103);
        assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
        if (m->text)
            assert_int_equal(archive_write_data(a, m->text, strlen(m->text)), strlen(m->text));
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    assert_non_null(setlocale(LC_CTYPE, "C"));
}

/* Unpacks an archive to /opt/a beside `others`. */
static bool unpack(const char *archive, const char *unpack_format, const char *const *members,
                   const struct plan_entry *others, size_t other_count, const char *out,
                   struct error **err)
{
    char hex[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX];
    uint64_t size;
    if (!digest_file(DIGEST_SHA256, archive, hex, NULL, err))
        return false;
    struct plan_entry entries[8] = {{.kind = ENTRY_ARCHIVE,
                                     .path = "/opt/a",
                                     .url = "https://example.org/a.tgz",
                                     .digest = hex,
                                     .unpack = unpack_format,
                                     .members = members}};
    for (size_t i = 0; i < other_count; i++) /* all of them sort behind /opt/a */
        entries[1 + i] = others[i];
    given_blob = archive;
    return write_plan(entries, 1 + other_count, out, sha256, &size, err);
}

static char *list_tar(const char *path)
{
    const char *const tar[] = {"tar", "--quoting-style=literal", "-tvf", path, NULL};
    return run(tar);
}

static const struct member good_members[] = {
    {"./", AE_IFDIR, 0700, NULL, NULL, NULL},
    {"./bin/", AE_IFDIR, 0700, NULL, NULL, NULL},
    {"./bin/tool", 0, 0755, "tool", NULL, NULL},
    {"bin/alias", AE_IFLNK, 0777, NULL, "tool", NULL},
    {"lib/up", AE_IFLNK, 0777, NULL, "../bin/tool", NULL},
    {"lib/inside", AE_IFLNK, 0777, NULL, "/opt/a/bin/tool", NULL},
    {"empty/", AE_IFDIR, 0777, NULL, NULL, NULL},
    {"\xc3\xa4", 0, 0600, "x", NULL, NULL},
    {"suid-ok", 0, 04755, "s", NULL, NULL},
};

static void good_archives(void **state)
{
    (void)state;
    static const struct {
        int format, filter;
        const char *unpack;
    } kinds[] = {
        {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, "tar"},
        {ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_GZIP, "tar"},
        {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_XZ, "tar"},
        {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_ZSTD, "tar"},
        {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_BZIP2, "tar"},
        {ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, "zip"},
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
        write_archive(archive, kinds[i].format, kinds[i].filter, good_members, COUNT(good_members));
        assert_ok(unpack(archive, kinds[i].unpack, NULL, NULL, 0, out, &err));
        autofree char *list = list_tar(out);
        static const char *const parts[] = {"-rwxr-xr-x 0/0 ",
                                            "opt/a/bin/tool\n",
                                            "opt/a/bin/alias -> tool\n",
                                            "-rwsr-xr-x 0/0 ",
                                            "opt/a/lib/up -> ../bin/tool\n",
                                            "opt/a/empty/\n",
                                            "opt/a/\xc3\xa4\n",
                                            "opt/a/lib/inside -> /opt/a/bin/tool\n"};
        for (size_t k = 0; k < COUNT(parts); k++)
            if (!strstr(list, parts[k]))
                fail_msg("kind %zu: tar does not say %s in:\n%s", i, parts[k], list);
        assert_null(strstr(list, "opt/a/bin/\n"));
        assert_null(strstr(list, "1001"));
    }
}

static void members_are_selected(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
    write_archive(archive, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP, good_members,
                  COUNT(good_members));
    static const char *const members[] = {"./lib/", "bin/tool", NULL};
    assert_ok(unpack(archive, "tar", members, NULL, 0, out, &err));
    const char *const tar[] = {"tar", "-tf", out, NULL};
    autofree char *list = run(tar);
    assert_string_equal(list, "opt/a/bin/tool\nopt/a/lib/up\nopt/a/lib/inside\n");
    static const char *const absent[] = {"bin/tool", "bin/no", NULL};
    assert_fails(unpack(archive, "tar", absent, NULL, 0, out, &err), ERROR_INPUT,
                 "has no member 'bin/no'");
}

static void the_plan_stands_over_archives(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
    write_archive(archive, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, good_members,
                  COUNT(good_members));
    static const struct plan_entry file = {
        .kind = ENTRY_FILE, .path = "/opt/a/bin/tool", .content = "mine", .size = 4, .mode = 0600};
    assert_ok(unpack(archive, "tar", NULL, &file, 1, out, &err));
    const char *const cat[] = {"tar", "-xOf", out, "opt/a/bin/tool", NULL};
    autofree char *text = run(cat);
    assert_string_equal(text, "mine");
    static const struct plan_entry bad[] = {
        {.kind = ENTRY_FILE, .path = "/opt/a/bin", .content = "x", .size = 1, .origin = "files"},
        {.kind = ENTRY_LINK, .path = "/opt/a/bin", .target = "x", .origin = "files"},
        {.kind = ENTRY_DIRECTORY, .path = "/opt/a/bin/tool", .origin = "directories"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(unpack(archive, "tar", NULL, &bad[i], 1, out, &err), ERROR_INPUT,
                     bad[i].origin);
}

static void hostile_archives(void **state)
{
    (void)state;
    static const struct {
        struct member members[3];
        const char *part;
    } bad[] = {
        {{{.name = "../x", .text = "x"}}, "leads outside"},
        {{{.name = "a/../../x", .text = "x"}}, "leads outside"},
        {{{.name = "a/..", .type = AE_IFDIR}}, "leads outside"},
        {{{.name = "/etc/passwd", .text = "x"}}, "leads outside"},
        {{{.name = "//x", .text = "x"}}, "leads outside"},
        {{{.name = "a\nb", .text = "x"}}, "control characters"},
        {{{.name = "a\033[2Jb", .text = "x"}}, "control characters"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "/etc"}}, "outside of /opt/a"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = ".."}}, "outside of /opt/a"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "/opt/a/../../etc"}}, "outside of /opt/a"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "/opt/abc"}}, "outside of /opt/a"},
        {{{.name = "d/l", .type = AE_IFLNK, .symlink = "../../x"}}, "outside of /opt/a"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "a/../../x"}}, "outside of /opt/a"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "a\nb"}}, "no path"},
        {{{.name = "l", .type = AE_IFLNK, .symlink = "d"}, {.name = "l/x", .text = "x"}},
         "below a link"},
        {{{.name = "f", .text = "x"}, {.name = "f/x", .text = "x"}}, "below a link or file"},
        {{{.name = "f/x", .text = "x"}, {.name = "f", .text = "x"}}, "need a folder"},
        {{{.name = "f", .text = "x"}, {.name = "f", .type = AE_IFDIR}}, "is a file or link"},
        {{{.name = "f", .hardlink = "nothing"}}, "is no file in front of it"},
        {{{.name = "f", .hardlink = "../../etc/shadow"}}, "leads outside"},
        {{{.name = "f", .hardlink = "/etc/shadow"}}, "leads outside"},
        {{{.name = "c", .type = AE_IFCHR}}, "device"},
        {{{.name = "b", .type = AE_IFBLK}}, "device"},
        {{{.name = "p", .type = AE_IFIFO}}, "pipe"},
        {{{.name = "s", .mode = 04755, .text = "x"}}, "set-uid"},
        {{{.name = "s", .mode = 02755, .text = "x"}}, "set-gid"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
        size_t n = bad[i].members[1].name ? 2 : 1;
        write_archive(archive, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_GZIP,
                      bad[i].members, n);
        assert_fails(unpack(archive, "tar", NULL, NULL, 0, out, &err), ERROR_INPUT, bad[i].part);
        assert_int_equal(access(out, F_OK), -1);
    }
}

static void damaged_archives(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
    static const char *const texts[] = {"", "not an archive at all, only some text\n", "\x1f\x8b"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_ok(file_write(archive, texts[i], strlen(texts[i]), 0600, &err));
        assert_fails(unpack(archive, "tar", NULL, NULL, 0, out, &err), ERROR_INPUT, "a.tgz");
        assert_fails(unpack(archive, "zip", NULL, NULL, 0, out, &err), ERROR_INPUT, "a.tgz");
    }
    /* Cut off in the middle of a file. */
    static char text[300001];
    memset(text, 'x', sizeof text - 1);
    static const struct member large = {.name = "large", .text = text};
    write_archive(archive, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, &large, 1);
    assert_int_equal(truncate(archive, 100000), 0);
    assert_fails(unpack(archive, "tar", NULL, NULL, 0, out, &err), ERROR_INPUT, "damaged");
}

/* A gzip of zeros says that it is 1 TiB large: refused by its header, before anything is written.
 */
static void bombs(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *archive = path_join(dir, "a"), *out = path_join(dir, "p.tar");
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, archive), ARCHIVE_OK);
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "bomb");
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)1 << 40);
    archive_entry_sparse_add_entry(e, 0, 1);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, "x", 1), 1);
    archive_entry_free(e);
    archive_write_free(a);
    assert_fails(unpack(archive, "tar", NULL, NULL, 0, out, &err), ERROR_INPUT, "bomb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_is_deterministic),
        cmocka_unit_test(unused_folders_are_left_out),
        cmocka_unit_test(files_are_verified),
        cmocka_unit_test(good_archives),
        cmocka_unit_test(members_are_selected),
        cmocka_unit_test(the_plan_stands_over_archives),
        cmocka_unit_test(hostile_archives),
        cmocka_unit_test(damaged_archives),
        cmocka_unit_test(bombs),
    };
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
