#include "disk_images.h"

#include "disk/partitions.h"

static void test_gpt(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *root = path_join(dir, "root"), *raw = path_join(dir, "raw");
    make_root(root);
    make_gpt_disk(raw, root, root, NULL, "1024");
    struct partition_table t;
    assert_ok(partitions_read(a, raw, &t, &err));
    assert_string_equal(t.type, "gpt");
    assert_int_equal(t.disk_size, 128 << 20);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.partitions[0].number, 1);
    assert_int_equal(t.partitions[0].offset, GPT_ROOT_OFFSET);
    assert_string_equal(t.partitions[0].file_system, "ext4");
    assert_string_equal(t.partitions[0].label, "cloudimg-rootfs");
    assert_string_equal(t.partitions[0].uuid, "11111111-1111-4111-8111-111111111111");
    assert_string_equal(t.partitions[0].partuuid, "44444444-4444-4444-8444-444444444441");
    assert_int_equal(t.partitions[1].number, 14);
    assert_string_equal(t.partitions[1].file_system, "");
    assert_string_equal(t.partitions[1].type, "21686148-6449-6e6f-744e-656564454649");
    assert_int_equal(t.partitions[2].number, 16);
    assert_int_equal(t.partitions[2].size, 64 << 20);
    /* Cut short: a partition leaves the disk. */
    assert_int_equal(truncate(raw, 100 << 20), 0);
    assert_fails(partitions_read(a, raw, &t, &err), ERROR_INPUT, "cut short");
}

static void test_dos_and_bare(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *root = path_join(dir, "root"), *raw = path_join(dir, "raw"),
                  *dos = path_join(dir, "dos");
    make_root(root);
    make_ext4(raw, 0, "32m", root, "/", NULL, "1024");
    struct partition_table t;
    assert_ok(partitions_read(a, raw, &t, &err));
    assert_string_equal(t.type, "");
    assert_int_equal(t.count, 1);
    assert_int_equal(t.partitions[0].number, 0);
    assert_int_equal(t.partitions[0].offset, 0);
    assert_int_equal(t.partitions[0].size, 32 << 20);
    assert_string_equal(t.partitions[0].label, "/");

    static const char table[] = "label: dos\nstart=2048, size=40960, type=83, bootable\n";
    const char *const argv[] = {"sfdisk", "-q", dos, NULL};
    struct process p = {.argv = argv, .input = table, .input_size = sizeof table - 1};
    assert_ok(file_write(dos, "", 0, 0600, &err));
    assert_int_equal(truncate(dos, 32 << 20), 0);
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
    make_ext4(dos, 1 << 20, "16m", root, "DATA", NULL, "1024");
    assert_ok(partitions_read(a, dos, &t, &err));
    assert_string_equal(t.type, "dos");
    assert_int_equal(t.count, 1);
    assert_string_equal(t.partitions[0].type, "0x83");
    assert_string_equal(t.partitions[0].label, "DATA");
}

static void test_nothing(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *raw = path_join(dir, "raw"), *gone = path_join(dir, "gone");
    struct partition_table t;
    assert_ok(file_write(raw, "x", 1, 0600, &err));
    assert_fails(partitions_read(a, raw, &t, &err), ERROR_INPUT, "too small");
    assert_int_equal(truncate(raw, 1 << 20), 0);
    assert_ok(partitions_read(a, raw, &t, &err));
    assert_int_equal(t.count, 0);
    assert_fails(partitions_read(a, gone, &t, &err), ERROR_INPUT, "cannot read the disk");
    assert_fails(partitions_read(a, dir, &t, &err), ERROR_INPUT, "not a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt),
        cmocka_unit_test(test_dos_and_bare),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
