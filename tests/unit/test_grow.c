#include "disk_images.h"

#include "base/units.h"
#include "disk/grow.h"
#include "disk/partitions.h"

static void assert_reads(const char *raw, uint64_t root_free)
{
    struct disk *d = open_disk(raw, false);
    autofree char *text = NULL;
    assert_ok(d->writer->read(d, "/etc/hostname", 100, &text, NULL, &err));
    assert_string_equal(text, "old\n");
    assert_ok(d->writer->close(d, &err));
    /* A file that would not have fitted before. */
    autofree char *tar = NULL, *data = calloc(1, root_free);
    if (asprintf(&tar, "%s.tar", raw) < 0)
        abort();
    make_tar(tar,
             &(struct tar_item)ITEM("srv/big", AE_IFREG, 0644, .data = data, .size = root_free), 1);
    d = open_disk(raw, true);
    assert_ok(d->writer->lay(d, tar, &err));
    assert_ok(d->writer->close(d, &err));
}

static void test_gpt(void **state)
{
    (void)state;
    static const char *const blocks[] = {"1024", "4096"};
    for (size_t b = 0; b < COUNT(blocks); b++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *root = path_join(dir, "root"), *base = path_join(dir, "base"),
                      *raw = path_join(dir, "raw"), *first = NULL;
        make_root(root);
        make_gpt_disk(base, root, root,
                      b ? "metadata_csum,64bit,metadata_csum_seed,orphan_file" : "^metadata_csum",
                      blocks[b]);
        for (int run = 0; run < 3; run++) {
            run_ok("cp", "--sparse=always", base, raw);
            assert_ok(grow_disk(raw, NULL, 600 * MIB, EPOCH, &err));
            autofree char *sum = sha256_of(raw);
            if (first)
                assert_string_equal(first, sum);
            else
                first = take_ptr(sum);
        }
        autoarena struct arena *a = arena_new();
        struct partition_table t;
        assert_ok(partitions_read(a, raw, &t, &err));
        assert_int_equal(t.disk_size, 600 * MIB);
        assert_int_equal(t.count, 3);
        assert_int_equal(t.partitions[0].offset, GPT_ROOT_OFFSET);
        assert_true(t.partitions[0].size > 527 * MIB);
        assert_string_equal(t.partitions[0].partuuid, "44444444-4444-4444-8444-444444444441");
        assert_string_equal(t.partitions[0].uuid, "11111111-1111-4111-8111-111111111111");
        assert_int_equal(t.partitions[2].offset, GPT_BOOT_OFFSET);
        assert_int_equal(t.partitions[2].size, 64 * MIB);
        autofree char *said = NULL;
        assert_int_equal(run_status(&said, "sfdisk", "--verify", raw, NULL), 0);
        assert_non_null(strstr(said, "No errors detected"));
        judge_ext4(raw, GPT_ROOT_OFFSET);
        judge_ext4(raw, GPT_BOOT_OFFSET);
        assert_reads(raw, 300 * MIB);
        judge_ext4(raw, GPT_ROOT_OFFSET);
        struct stat st;
        assert_int_equal(stat(raw, &st), 0);
        assert_true(file_allocated(&st) < 400 * MIB);
        autofree char *left = NULL;
        run_status(&left, "ls", "-A", dir, NULL);
        assert_null(strstr(left, ".grow"));
    }
}

static void test_bare(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *root = path_join(dir, "root"), *base = path_join(dir, "base"),
                  *raw = path_join(dir, "raw"), *first = NULL;
    make_root(root);
    make_ext4(base, 0, "32m", root, "/", NULL, "1024");
    for (int run = 0; run < 2; run++) {
        run_ok("cp", "--sparse=always", base, raw);
        assert_ok(grow_disk(raw, NULL, 256 * MIB, EPOCH, &err));
        autofree char *sum = sha256_of(raw);
        if (first)
            assert_string_equal(first, sum);
        else
            first = take_ptr(sum);
    }
    judge_ext4(raw, 0);
    assert_reads(raw, 200 * MIB);
    assert_fails(grow_disk(raw, NULL, 128 * MIB, EPOCH, &err), ERROR_INPUT,
                 "more than the 128 MiB");
    assert_fails(grow_disk(raw, NULL, 256 * MIB + 1, EPOCH, &err), ERROR_INPUT, "512");
    autofree char *before = sha256_of(raw);
    assert_ok(grow_disk(raw, NULL, 256 * MIB, EPOCH, &err));
    autofree char *after = sha256_of(raw);
    assert_string_equal(before, after);
}

/* What the appliance must do stays untouched. */
static void test_unsupported(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *root = path_join(dir, "root"), *raw = path_join(dir, "raw"),
                  *gpt = path_join(dir, "gpt");
    make_root(root);
    make_ext4(raw, 0, "32m", root, "/", NULL, "1024");
    run_ok("debugfs", "-w", "-R", "feature needs_recovery", raw);
    autofree char *before = sha256_of(raw);
    assert_fails(grow_disk(raw, NULL, 64 * MIB, EPOCH, &err), ERROR_UNSUPPORTED, "recovery");
    autofree char *after = sha256_of(raw);
    assert_string_equal(before, after);
    make_gpt_disk(gpt, root, root, NULL, "1024");
    struct facts facts = {.mount_count = 1,
                          .mounts = {{"/", "ext4", "BOOT", "", 16, GPT_BOOT_OFFSET, 64 << 20}}};
    assert_fails(grow_disk(gpt, &facts, 256 * MIB, EPOCH, &err), ERROR_UNSUPPORTED,
                 "not the last partition");
    facts.mounts[0].offset = 4096;
    assert_fails(grow_disk(gpt, &facts, 256 * MIB, EPOCH, &err), ERROR_INPUT, "no partition");
    struct stat st;
    assert_int_equal(stat(gpt, &st), 0);
    assert_int_equal(st.st_size, 128 * MIB);
}

static void test_alpine(void **state)
{
    (void)state;
    const char *fixtures = getenv("INGOT_TEST_FIXTURES");
    if (!fixtures)
        skip();
    autotempdir char *dir = unit_temp_dir();
    autofree char *base = path_join(fixtures, "alpine/alpine-3.19.1-x86_64-bios-tiny.qcow2"),
                  *raw = path_join(dir, "raw");
    run_ok("qemu-img", "convert", "-f", "qcow2", "-O", "raw", base, raw);
    assert_ok(grow_disk(raw, NULL, 2 * GIB, EPOCH, &err));
    judge_ext4(raw, 0);
    struct stat st;
    assert_int_equal(stat(raw, &st), 0);
    assert_int_equal(st.st_size, 2 * GIB);
    assert_true(file_allocated(&st) < 128 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_alpine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
