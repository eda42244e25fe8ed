/* layer: disk */
#include "disk_images.h"

#include "base/space.h"
#include "disk/image.h"

struct files {
    char *dir, *raw, *qcow2, *out;
};
static void files_free(struct files *f)
{
    cleanup_tempdir(&f->dir);
    free(f->raw);
    free(f->qcow2);
    free(f->out);
}

/* A raw disk of 8 MiB with some data, and its qcow2. */
static struct files make_files(const char *options)
{
    struct files f = {.dir = unit_temp_dir()};
    f.raw = path_join(f.dir, "raw");
    f.qcow2 = path_join(f.dir, "qcow2");
    f.out = path_join(f.dir, "out");
    autofree char *data = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (char)(i * 2654435761u >> 11);
    assert_ok(file_write(f.raw, data, 1 << 20, 0600, &err));
    assert_int_equal(truncate(f.raw, 8 << 20), 0);
    run_ok("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options, f.raw, f.qcow2);
    return f;
}
#define autofiles cleanup(files_free)

/* Overwrites bytes of the qcow2. */
static void patch(const struct files *f, off_t at, const void *bytes, size_t size)
{
    autoclose int fd = open(f->qcow2, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, size, at), (ssize_t)size);
}

static void test_to_raw(void **state)
{
    (void)state;
    static const char *const options[] = {"compat=1.1", "compat=0.10", "compression_type=zstd",
                                          "cluster_size=4096", "extended_l2=on"};
    for (size_t i = 0; i < COUNT(options); i++) {
        autofiles struct files f = make_files(options[i]);
        struct image_info info;
        assert_ok(image_info(f.qcow2, "qcow2", &info, &err));
        assert_string_equal(info.format, "qcow2");
        assert_string_equal(info.compression, i == 2 ? "zstd" : "zlib");
        assert_int_equal(info.virtual_size, 8 << 20);
        assert_true(info.allocated >= 1 << 20 && info.allocated <= 2 << 20);
        assert_ok(image_to_raw(f.qcow2, NULL, f.out, &err));
        run_ok("cmp", f.raw, f.out);
        struct stat st;
        assert_int_equal(stat(f.out, &st), 0);
        assert_true(file_allocated(&st) <= 2 << 20);
    }
    autofiles struct files f = make_files("compat=1.1");
    assert_ok(image_to_raw(f.raw, "raw", f.out, &err));
    run_ok("cmp", f.raw, f.out);
}

static void assert_refused(const struct files *f, const char *says)
{
    struct image_info info;
    assert_fails(image_info(f->qcow2, "qcow2", &info, &err), ERROR_INPUT, says);
    assert_fails(image_info(f->qcow2, NULL, &info, &err), ERROR_INPUT, says);
    assert_fails(image_to_raw(f->qcow2, "qcow2", f->out, &err), ERROR_INPUT, says);
    assert_int_equal(access(f->out, F_OK), -1);
}

static void test_refused(void **state)
{
    (void)state;
    {
        autofiles struct files f = make_files("compat=1.1");
        unlink(f.qcow2);
        run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f.raw, f.qcow2);
        assert_refused(&f, "backing file");
    }
    {
        autofiles struct files f = make_files("compat=1.1");
        autofree char *option = NULL;
        unlink(f.qcow2);
        if (asprintf(&option, "data_file=%s/data", f.dir) < 0)
            abort();
        run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", option, f.qcow2, "8M");
        assert_refused(&f, "another file");
        /* Without the bit that says so, the name is enough. */
        patch(&f, 72, "\0\0\0\0\0\0\0\0", 8);
        assert_refused(&f, "another file");
    }
    const struct {
        off_t at;
        const char *bytes;
        size_t size;
        const char *says;
    } patches[] = {
        {4, "\0\0\0\7", 4, "unknown version"},
        {16, "\0\0\0\1", 4, "backing file"},
        {24, "\0\x7f\0\0\0\0\0\0", 8, "16 TiB"},
        {24, "\0\0\0\0\0\0\0\1", 8, "no disk"},
        {32, "\0\0\0\2", 4, "encrypted"},
        {79, "\2", 1, "corrupt"},
        {72, "\x80", 1, "not known"},
        {104, "\7", 1, ""},
        {40, "\0\0\0\0\x7f\0\0\0", 8, "damaged"}, /* the L1 table is elsewhere */
    };
    for (size_t i = 0; i < COUNT(patches); i++) {
        autofiles struct files f = make_files("compression_type=zstd");
        patch(&f, patches[i].at, patches[i].bytes, patches[i].size);
        assert_refused(&f, patches[i].says);
    }
    autofiles struct files f = make_files("compat=1.1");
    struct image_info info;
    assert_fails(image_info(f.qcow2, "raw", &info, &err), ERROR_INPUT, "said to be raw");
    assert_fails(image_info(f.raw, "qcow2", &info, &err), ERROR_INPUT, "is none");
    assert_fails(image_info(f.raw, "vdi", &info, &err), ERROR_INPUT, "not known");
    assert_fails(image_info(f.dir, NULL, &info, &err), ERROR_INPUT, "");
    assert_int_equal(truncate(f.qcow2, 700000), 0);
    assert_refused(&f, "damaged or cut short");
    assert_int_equal(truncate(f.qcow2, 90), 0);
    assert_refused(&f, "cut short");
    put_file(f.dir, "qcow2", "\x1f\x8b and so on");
    assert_fails(image_info(f.qcow2, NULL, &info, &err), ERROR_INPUT, "gzip");
    put_file(f.dir, "qcow2", "<!DOCTYPE html>");
    assert_fails(image_info(f.qcow2, NULL, &info, &err), ERROR_INPUT, "web page");
}

static void test_space(void **state)
{
    (void)state;
    autofiles struct files f = make_files("compat=1.1");
    uint64_t bytes;
    assert_ok(space_of_copy(f.raw, &bytes, &err));
    assert_true(bytes >= 1 << 20 && bytes < 2 << 20);
    assert_ok(space_check(f.out, bytes, "it", &err));
    assert_fails(space_check(f.out, 1ULL << 60, "the disk", &err), ERROR_SPACE, "the disk needs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_raw),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
