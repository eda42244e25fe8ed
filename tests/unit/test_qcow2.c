#include "disk_images.h"

#include "disk/delta.h"
#include "emit/qcow2.h"

#define SIZE (40ULL << 20)

struct files {
    char *dir, *old_raw, *new_raw, *old_qcow2, *out, *again;
};
static void files_free(struct files *f)
{
    cleanup_tempdir(&f->dir);
    free(f->old_raw);
    free(f->new_raw);
    free(f->old_qcow2);
    free(f->out);
    free(f->again);
}
#define autofiles cleanup(files_free)

static void scribble(const char *path, uint64_t offset, size_t size, unsigned seed, bool text)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    autofree unsigned char *bytes = malloc(size);
    assert_true(fd >= 0 && bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = text ? (unsigned char)('a' + rand_r(&seed) % 3) : (unsigned char)rand_r(&seed);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
}

/* Two disks of SIZE bytes (and `extra`) that differ in places of every kind. */
static struct files make_files(uint64_t extra)
{
    struct files f = {.dir = unit_temp_dir()};
    f.old_raw = path_join(f.dir, "old.raw");
    f.new_raw = path_join(f.dir, "new.raw");
    f.old_qcow2 = path_join(f.dir, "old qcow2");
    f.out = path_join(f.dir, "out 'x' \"y\"");
    f.again = path_join(f.dir, "again");
    scribble(f.old_raw, 0, 3 << 20, 1, true);
    scribble(f.old_raw, 10 << 20, 2 << 20, 2, false);
    assert_int_equal(truncate(f.old_raw, (off_t)(SIZE + extra)), 0);
    run_ok("cp", "--sparse=always", f.old_raw, f.new_raw);
    scribble(f.new_raw, 70000, 10, 3, true);                 /* a little, over data */
    scribble(f.new_raw, (1 << 20) - 5, 200000, 4, false);    /* over borders, does not compress */
    scribble(f.new_raw, 20 << 20, 3 << 20, 5, true);         /* where nothing was */
    scribble(f.new_raw, (SIZE + extra) - 700, 700, 6, true); /* the end */
    autoclose int fd = open(f.new_raw, O_RDWR | O_CLOEXEC);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 << 20, 1 << 20),
                     0); /* gone */
    return f;
}

static void test_whole(void **state)
{
    (void)state;
    static const char *const kinds[] = {"zstd", "zlib", "none"};
    autofiles struct files f = make_files(0);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        assert_ok(qcow2_from_raw(f.new_raw, f.out, kinds[i], &err));
        assert_ok(qcow2_from_raw(f.new_raw, f.again, kinds[i], &err));
        run_ok("cmp", f.out, f.again);
        run_ok("qemu-img", "compare", "-f", "raw", "-F", "qcow2", f.new_raw, f.out);
        run_ok("qemu-img", "check", "-f", "qcow2", f.out);
    }
    assert_fails(qcow2_from_raw(f.new_raw, f.out, "lz4", &err), ERROR_INTERNAL, "lz4");
    autofree char *gone = path_join(f.dir, "gone");
    assert_fails(qcow2_from_raw(gone, f.out, "zstd", &err), ERROR_INPUT, "gone");
    assert_ok(vmdk_from_raw(f.new_raw, f.again, &err));
    run_ok("qemu-img", "compare", "-f", "raw", "-F", "vmdk", f.new_raw, f.again);
}

static void test_rebuild(void **state)
{
    (void)state;
    static const char *const kinds[] = {"zstd", "zlib", "none"};
    static const uint64_t extras[] = {0, 512 * 7};
    for (size_t e = 0; e < COUNT(extras); e++) {
        autofiles struct files f = make_files(extras[e]);
        for (size_t i = 0; i < COUNT(kinds); i++) {
            struct stat rebuilt, whole;
            assert_ok(qcow2_from_raw(f.old_raw, f.old_qcow2, kinds[i], &err));
            autofree char *before = sha256_of(f.old_qcow2);
            assert_ok(qcow2_rebuild(f.old_raw, f.old_qcow2, f.new_raw, f.out, kinds[i], &err));
            assert_ok(qcow2_rebuild(f.old_raw, f.old_qcow2, f.new_raw, f.again, kinds[i], &err));
            run_ok("cmp", f.out, f.again);
            run_ok("qemu-img", "compare", "-f", "raw", "-F", "qcow2", f.new_raw, f.out);
            run_ok("qemu-img", "check", "-f", "qcow2", f.out);
            autofree char *after = sha256_of(f.old_qcow2);
            assert_string_equal(before, after);
            assert_ok(qcow2_from_raw(f.new_raw, f.again, kinds[i], &err));
            assert_int_equal(stat(f.out, &rebuilt), 0);
            assert_int_equal(stat(f.again, &whole), 0);
            assert_true(file_allocated(&rebuilt) <
                        file_allocated(&whole) + file_allocated(&whole) / 10 + 262144);
            /* Nothing changed: the same file. */
            assert_ok(qcow2_rebuild(f.old_raw, f.old_qcow2, f.old_raw, f.out, kinds[i], &err));
            run_ok("cmp", f.old_qcow2, f.out);
        }
        autofree char *command = NULL;
        run_status(&command, "ls", "-A", f.dir, NULL);
        assert_null(strstr(command, ".clusters"));
    }
}

static void test_rebuild_fails(void **state)
{
    (void)state;
    autofiles struct files f = make_files(0);
    put_file(f.dir, "old qcow2", "this is no qcow2");
    assert_fails(qcow2_rebuild(f.old_raw, f.old_qcow2, f.new_raw, f.out, "zstd", &err), ERROR_HOST,
                 "cannot renew");
    assert_int_equal(access(f.out, F_OK), -1);
    /* Another size: made whole. */
    assert_ok(qcow2_from_raw(f.old_raw, f.old_qcow2, "zstd", &err));
    assert_int_equal(truncate(f.new_raw, SIZE + 65536), 0);
    assert_ok(qcow2_rebuild(f.old_raw, f.old_qcow2, f.new_raw, f.out, "zstd", &err));
    run_ok("qemu-img", "compare", "-f", "raw", "-F", "qcow2", f.new_raw, f.out);
}

static void test_delta(void **state)
{
    (void)state;
    autofiles struct files f = make_files(0);
    autoclose int old_fd = open(f.old_raw, O_RDONLY), new_fd = open(f.new_raw, O_RDONLY);
    autofree struct changed_cluster *c = NULL;
    size_t n;
    assert_ok(delta_find((struct delta_side){old_fd, 0}, (struct delta_side){new_fd, 0}, SIZE, &c,
                         &n, &err));
    /* 1 + 5 (a border and 200,000 bytes) + 16 gone + 48 + 1 */
    assert_int_equal(n, 1 + 5 + 16 + 48 + 1);
    assert_int_equal(c[0].offset, 65536);
    for (size_t i = 1; i < n; i++)
        assert_true(c[i].offset > c[i - 1].offset);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(c[i].zero, c[i].offset >= 10 << 20 && c[i].offset < 11 << 20);
    autofree struct changed_cluster *none = NULL;
    assert_ok(delta_find((struct delta_side){old_fd, 0}, (struct delta_side){old_fd, 0}, SIZE,
                         &none, &n, &err));
    assert_int_equal(n, 0);
    /* Parts of files at different places. */
    autofree struct changed_cluster *part = NULL;
    assert_ok(delta_find((struct delta_side){old_fd, 30 << 20},
                         (struct delta_side){new_fd, (20 << 20) + 4096}, 10 << 20, &part, &n,
                         &err));
    assert_int_equal(n, 48);
    assert_int_equal(part[0].offset, 0);
    assert_int_equal(part[47].offset, 47 * DELTA_CLUSTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_rebuild),
        cmocka_unit_test(test_rebuild_fails),
        cmocka_unit_test(test_delta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
