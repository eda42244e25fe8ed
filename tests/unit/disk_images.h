/* Small disks for the tests of disk, bake and emit: made by mke2fs and sfdisk, judged by e2fsck and
 * debugfs, and tars made by libarchive. */
#ifndef INGOT_TESTS_DISK_IMAGES_H
#define INGOT_TESTS_DISK_IMAGES_H

#include "unit.h"

#include "base/digest.h"
#include "base/path.h"
#include "base/process.h"
#include "disk/writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdarg.h>

#define EPOCH 1700000000
#define GPT_ROOT_OFFSET (72ULL << 20)
#define GPT_BOOT_OFFSET (6ULL << 20)

/* Runs a program (up to NULL) and gives its exit status; *out (may be NULL) is what it said. */
static inline int run_status(char **out, const char *program, ...)
{
    const char *argv[40] = {program};
    va_list ap;
    va_start(ap, program);
    for (size_t i = 1; i < 39 && (argv[i] = va_arg(ap, const char *)); i++)
        ;
    va_end(ap);
    const char *const env[] = {"LC_ALL=C", "E2FSPROGS_FAKE_TIME=1600000000", "DEBUGFS_PAGER=cat",
                               NULL};
    struct process p = {.argv = argv, .env = env, .merge_stderr = true, .timeout_seconds = 120};
    autoresult struct process_result r = {0};
    assert_ok(process_run(&p, &r, &err));
    assert_int_equal(r.signal, 0);
    if (out)
        *out = buffer_take(&r.out);
    return r.status;
}
#define run_ok(...)                                                                                \
    do {                                                                                           \
        autofree char *said_ = NULL;                                                               \
        int status_ = run_status(&said_, __VA_ARGS__, NULL);                                       \
        if (status_ != 0)                                                                          \
            fail_msg("status %d: %s", status_, said_);                                             \
    } while (0)

static inline void put_file(const char *root, const char *name, const char *text)
{
    autofree char *path = path_join(root, name);
    autofree char *dir = path_dirname(path);
    assert_ok(file_make_dirs(dir, 0755, &err));
    assert_ok(file_write(path, text, strlen(text), 0644, &err));
}

static inline void put_link(const char *root, const char *name, const char *target)
{
    autofree char *path = path_join(root, name);
    autofree char *dir = path_dirname(path);
    assert_ok(file_make_dirs(dir, 0755, &err));
    assert_int_equal(symlink(target, path), 0);
}

static inline void put_folder(const char *root, const char *name)
{
    autofree char *path = path_join(root, name);
    assert_ok(file_make_dirs(path, 0755, &err));
}

/* A root of a guest with a merged /usr, as small as can be. */
static inline void make_root(const char *root)
{
    put_file(root, "usr/lib/os-release",
             "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"
             "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
    put_link(root, "etc/os-release", "../usr/lib/os-release");
    put_link(root, "lib", "usr/lib");
    put_link(root, "bin", "usr/bin");
    put_file(root, "usr/bin/sh", "#!\n");
    put_file(root, "etc/hostname", "old\n");
    put_file(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put_folder(root, "etc/empty");
    put_folder(root, "boot");
    put_folder(root, "var/lib/cloud/instances/i-1/sem");
    put_file(root, "var/lib/cloud/instances/i-1/sem/config", "x");
    put_link(root, "etc/out", "../../..");
    put_link(root, "etc/loop", "loop2");
    put_link(root, "etc/loop2", "loop");
    put_link(root, "etc/absolute", "/usr/lib");
    put_link(root, "etc/nowhere", "no/such/thing");
}

/* mke2fs on path at offset, with the tree in it; size like "48m". The options are words, or NULL.
 */
static inline void make_ext4(const char *path, uint64_t offset, const char *size, const char *tree,
                             const char *label, const char *features, const char *block)
{
    autofree char *extended = NULL;
    if (asprintf(&extended,
                 "offset=%llu,hash_seed=38255ddb-c682-489b-aa2d-1e3a5b252f6b,"
                 "lazy_itable_init=1,root_owner=0:0",
                 (unsigned long long)offset) < 0)
        abort();
    run_ok("mke2fs", "-q", "-F", "-t", "ext4", "-I", "256", "-b", block, "-O",
           features ? features : "metadata_csum,64bit", "-E", extended, "-U",
           offset == GPT_BOOT_OFFSET ? "22222222-2222-4222-8222-222222222222"
                                     : "11111111-1111-4111-8111-111111111111",
           "-L", label, "-d", tree, path, size);
}

/* Ubuntu's layout: p1 root behind p14 bios_grub, p16 BOOT; 128 MiB. */
static inline void make_gpt_disk(const char *path, const char *root, const char *boot,
                                 const char *features, const char *block)
{
    static const char table[] =
        "label: gpt\nlabel-id: 33333333-3333-4333-8333-333333333333\n"
        "1 : start=147456, type=L, uuid=44444444-4444-4444-8444-444444444441\n"
        "14 : start=2048, size=8192, "
        "type=21686148-6449-6E6F-744E-656564454649, "
        "uuid=44444444-4444-4444-8444-44444444444e\n"
        "16 : start=12288, size=131072, type=L, "
        "uuid=44444444-4444-4444-8444-444444444410\n";
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 128 << 20) == 0);
    const char *const argv[] = {"sfdisk", "-q", path, NULL};
    struct process p = {.argv = argv, .input = table, .input_size = sizeof table - 1};
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
    make_ext4(path, GPT_ROOT_OFFSET, "55m", root, "cloudimg-rootfs", features, block);
    make_ext4(path, GPT_BOOT_OFFSET, "64m", boot, "BOOT", features, block);
}

/* e2fsck -fn finds nothing, at an offset too. */
static inline void judge_ext4(const char *path, uint64_t offset)
{
    autofree char *name = NULL;
    if (asprintf(&name, "%s?offset=%llu", path, (unsigned long long)offset) < 0)
        abort();
    run_ok("e2fsck", "-fn", name);
}

static inline char *debugfs_says(const char *path, uint64_t offset, const char *command)
{
    autofree char *name = NULL;
    char *out = NULL;
    if (asprintf(&name, "%s?offset=%llu", path, (unsigned long long)offset) < 0)
        abort();
    run_status(&out, "debugfs", "-R", command, name, NULL);
    return out;
}

/* Tars. */
static inline struct archive *tar_start(const char *path)
{
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
    /* Names as bytes: in the C locale libarchive can write no others. */
    assert_int_equal(archive_write_set_options(a, "hdrcharset=BINARY"), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    return a;
}

static inline void tar_end(struct archive *a)
{
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* Written with ITEM (path, type, mode, .link = …). */
struct tar_item {
    const char *path;
    unsigned type; /* AE_IFREG …; 0: hard link */
    unsigned mode;
    const char *link;
    const void *data;
    size_t size;
    const char *xattr, *xattr_value;
    unsigned uid, gid;
};

#define ITEM(p, t, m, ...)                                                                         \
    {                                                                                              \
        .path = (p), .type = (t), .mode = (m), __VA_ARGS__                                         \
    }

static inline void tar_put(struct archive *a, const struct tar_item *i)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, i->path);
    archive_entry_set_filetype(e, i->type ? i->type : AE_IFREG);
    archive_entry_set_perm(e, i->mode ? i->mode : 0644);
    archive_entry_set_uid(e, i->uid);
    archive_entry_set_gid(e, i->gid);
    archive_entry_set_mtime(e, 1650000000, 0);
    archive_entry_set_size(e, (int64_t)i->size);
    if (i->link && i->type)
        archive_entry_set_symlink(e, i->link);
    else if (i->link)
        archive_entry_set_hardlink(e, i->link);
    if (i->xattr)
        archive_entry_xattr_add_entry(e, i->xattr, i->xattr_value, strlen(i->xattr_value));
    assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
    if (i->size)
        assert_int_equal(archive_write_data(a, i->data, i->size), (la_ssize_t)i->size);
    archive_entry_free(e);
}

static inline void make_tar(const char *path, const struct tar_item *items, size_t count)
{
    struct archive *a = tar_start(path);
    for (size_t i = 0; i < count; i++)
        tar_put(a, &items[i]);
    tar_end(a);
}

static inline struct disk *open_disk(const char *raw, bool writable)
{
    struct disk_options o = {.raw = raw, .writable = writable, .epoch = EPOCH};
    struct disk *d = NULL;
    assert_ok(disk_ext4.open(&o, &d, &err));
    return d;
}

static inline void close_disk(struct disk *d)
{
    assert_ok(d->writer->close(d, &err));
}

static inline char *sha256_of(const char *path)
{
    char hex[DIGEST_HEX_MAX];
    assert_ok(digest_file(DIGEST_SHA256, path, hex, NULL, &err));
    return strdup(hex);
}

#endif
