#include "unit.h"

#include "bake/bootstrap_disk.h"
#include "bake/bootstrap_grub.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "disk/writer.h"

#include <fcntl.h>

static const struct bootstrap_platform *platform(const char *architecture)
{
    const struct bootstrap_platform *p = NULL;
    assert_ok(bootstrap_platform_find(architecture, &p, &err));
    return p;
}

static void test_uuid(void **state)
{
    (void)state;
    char one[UUID_TEXT], same[UUID_TEXT], other[UUID_TEXT];
    bootstrap_uuid("seed", "disk", one);
    bootstrap_uuid("seed", "disk", same);
    assert_string_equal(one, same);
    assert_int_equal(strlen(one), 36);
    assert_int_equal(one[14], '8'); /* RFC 9562, version 8 */
    assert_non_null(strchr("89ab", one[19]));
    bootstrap_uuid("seed", "BOOT", other);
    assert_string_not_equal(one, other);
    bootstrap_uuid("seedd", "isk", other);
    assert_string_not_equal(one, other);
}

static void test_size(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    const struct tar_totals small = {.bytes = 350 * mib, .members = 13000};
    const struct tar_totals large = {.bytes = 3000 * mib, .members = 90000};
    assert_int_equal(bootstrap_root_sectors(&small), 2048 * mib / SECTOR);
    uint64_t sectors = bootstrap_root_sectors(&large);
    assert_true(sectors * SECTOR > 4500 * mib);
    assert_int_equal(sectors * SECTOR % (256 * mib), 0);
}

struct wanted {
    const char *number;
    json_int_t start, size;
    const char *type;
};

/* sfdisk reads back what it was told, and finds nothing wrong. */
static void judge_table(const char *architecture, const struct wanted *wanted, size_t count)
{
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "disk.raw");
    const uint64_t root = 4194304;
    assert_ok(bootstrap_disk_partition(raw, "seed", platform(architecture), root, &err));
    const char *verify[] = {"sfdisk", "--verify", raw, NULL};
    const char *dump[] = {"sfdisk", "--json", raw, NULL};
    const struct process check = {.argv = verify, .timeout_seconds = 60};
    const struct process read = {.argv = dump, .timeout_seconds = 60};
    autoresult struct process_result r = {0}, said = {0};
    assert_ok(process_check(&check, ERROR_HOST, &r, &err));
    assert_ok(process_check(&read, ERROR_HOST, &said, &err));
    autojson json_t *j = NULL;
    assert_ok(json_parse(said.out.data, said.out.size, "sfdisk", &j, &err));
    json_t *table = json_object_get(j, "partitiontable");
    assert_string_equal(json_string_or(table, "label", ""), "gpt");
    json_t *partitions = json_object_get(table, "partitions");
    assert_int_equal(json_array_size(partitions), count);
    json_int_t end = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *p = json_array_get(partitions, i);
        autofree char *node = NULL;
        assert_true(asprintf(&node, "%s%s", raw, wanted[i].number) > 0);
        assert_string_equal(json_string_or(p, "node", ""), node);
        assert_int_equal(json_integer_value(json_object_get(p, "start")), wanted[i].start);
        assert_int_equal(json_integer_value(json_object_get(p, "size")), wanted[i].size);
        assert_string_equal(json_string_or(p, "type", ""), wanted[i].type);
        if (wanted[i].start > end)
            end = wanted[i].start;
    }
    assert_int_equal(end, wanted[0].start); /* the root is the last, so that it can grow */
}

static void test_table(void **state)
{
    (void)state;
    static const struct wanted all[] = {
        {"1", 2099200, 4194304, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"},
        {"14", 2048, 8192, "21686148-6449-6E6F-744E-656564454649"},
        {"15", 10240, 217088, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"},
        {"16", 227328, 1869824, "BC13C2FF-59E6-4262-A352-B275FD6F7172"},
    };
    const struct wanted without_bios[] = {all[0], all[2], all[3]};
    judge_table("amd64", all, COUNT(all));
    judge_table("arm64", without_bios, COUNT(without_bios));
}

static void test_grub_boot(void **state)
{
    (void)state;
    unsigned char boot[GRUB_SECTOR], disk[GRUB_SECTOR];
    memset(boot, 0x11, sizeof boot);
    memset(disk, 0x22, sizeof disk);
    boot[510] = 0x55, boot[511] = 0xaa;
    assert_ok(grub_patch_boot(boot, disk, 0x0102030405ULL, &err));
    const unsigned char lba[] = {0x05, 0x04, 0x03, 0x02, 0x01, 0, 0, 0};
    assert_memory_equal(boot + 0x5c, lba, sizeof lba);
    assert_int_equal(boot[0x66], 0x90);
    assert_int_equal(boot[0x67], 0x90);
    assert_int_equal(boot[0x68], 0x11);
    assert_int_equal(boot[0], 0x11);
    assert_int_equal(boot[0x1b7], 0x11);
    assert_int_equal(boot[0x1b8], 0x22); /* disk signature and partitions stay */
    assert_int_equal(boot[0x1fd], 0x22);
    assert_int_equal(boot[510], 0x55);
    boot[511] = 0;
    assert_fails(grub_patch_boot(boot, disk, 1, &err), ERROR_HOST, "not a boot sector");
}

static void test_grub_core(void **state)
{
    (void)state;
    unsigned char core[3 * GRUB_SECTOR + 1];
    memset(core, 0x11, sizeof core);
    assert_ok(grub_patch_core(core, sizeof core, 2048, 8192, &err));
    const unsigned char list[] = {0x01, 0x08, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 0x08};
    assert_memory_equal(core + 0x1f4, list, sizeof list);
    assert_int_equal(core[0x1f3], 0x11);
    assert_int_equal(core[0x200], 0x11);
    assert_fails(grub_patch_core(core, sizeof core, 2048, 3, &err), ERROR_HOST, "does not fit");
    assert_fails(grub_patch_core(core, 512, 2048, 8192, &err), ERROR_HOST, "does not fit");
}

static void make_disk(const char *raw, const char *dir, const char *architecture)
{
    autofree char *tar = path_join(dir, "tree.tar"), *work = path_join(dir, "work");
    autobuffer struct buffer b = {0};
    tar_add(&b, "boot/", 0755, NULL, NULL, 1700000000);
    tar_add(&b, "boot/efi/", 0755, NULL, NULL, 1700000000);
    tar_add(&b, "boot/vmlinuz", 0644, "kernel", NULL, 1700000000);
    tar_add(&b, "etc/", 0755, NULL, NULL, 1700000000);
    tar_add(&b, "etc/os-release", 0644, "ID=debian\n", NULL, 1700000000);
    tar_add(&b, "etc/fstab", 0644, "LABEL=cloudimg-rootfs / ext4\nLABEL=BOOT /boot ext4\n", NULL,
            1700000000);
    tar_end(&b);
    assert_ok(file_write(tar, b.data, b.size, 0600, &err));
    assert_ok(file_remove_tree(work, &err));
    assert_ok(file_make_dirs(work, 0700, &err));
    const struct bootstrap_disk d = {.raw = raw,
                                     .work = work,
                                     .tar = tar,
                                     .totals = {.bytes = 1 << 20, .members = 6},
                                     .seed = "seed",
                                     .epoch = 1700000000,
                                     .platform = platform(architecture)};
    assert_ok(bootstrap_disk_make(&d, &err));
}

static void judge_part(const char *raw, const char *dir, uint64_t start, uint64_t sectors,
                       const char *const *judge)
{
    autofree char *part = path_join(dir, "part");
    autofree char *block = malloc(SECTOR * 2048);
    assert_non_null(block);
    static const char zeros[SECTOR * 2048];
    autoclose int from = open(raw, O_RDONLY | O_CLOEXEC);
    autoclose int to = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(ftruncate(to, (off_t)(sectors * SECTOR)), 0);
    for (uint64_t at = 0; at < sectors * SECTOR; at += sizeof zeros) {
        ssize_t n = pread(from, block, sizeof zeros, (off_t)(start * SECTOR + at));
        assert_true(n > 0);
        uint64_t left = sectors * SECTOR - at;
        if (memcmp(block, zeros, sizeof zeros) != 0)
            assert_true(
                pwrite(to, block, left < (uint64_t)n ? (size_t)left : (size_t)n, (off_t)at) > 0);
    }
    const struct process p = {.argv = judge, .cwd = dir, .timeout_seconds = 60};
    assert_ok(process_check(&p, ERROR_HOST, NULL, &err));
}

/* The whole disk around a tree of three files: judged by e2fsck and fsck.vfat, read back through
 * the writer, the same bytes twice. */
static void judge_disk(const char *architecture)
{
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = path_join(dir, "disk.raw"), *again = path_join(dir, "again.raw");
    autofree char *file = path_join("::/EFI/BOOT", platform(architecture)->uefi_file);
    make_disk(raw, dir, architecture);
    const char *e2fsck[] = {"e2fsck", "-fn", "part", NULL};
    const char *vfat[] = {"fsck.vfat", "-n", "part", NULL};
    const char *efi[] = {"mdir", "-i", "part", file, NULL};
    judge_part(raw, dir, 2099200, 4194304, e2fsck);
    judge_part(raw, dir, 227328, 1869824, e2fsck);
    judge_part(raw, dir, 10240, 217088, vfat);
    judge_part(raw, dir, 10240, 217088, efi);

    const struct disk_options o = {.raw = raw};
    autodisk struct disk *disk = NULL;
    autofree char *text = NULL;
    size_t size = 0;
    assert_ok(disk_ext4.open(&o, &disk, &err));
    assert_ok(disk->writer->read(disk, "/boot/vmlinuz", 100, &text, &size, &err));
    assert_string_equal(text, "kernel");

    make_disk(again, dir, architecture);
    char one[DIGEST_HEX_MAX], two[DIGEST_HEX_MAX];
    assert_ok(digest_file(DIGEST_SHA256, raw, one, NULL, &err));
    assert_ok(digest_file(DIGEST_SHA256, again, two, NULL, &err));
    assert_string_equal(one, two);
    struct stat st;
    assert_int_equal(stat(raw, &st), 0);
    assert_true(file_allocated(&st) < 16 << 20);

    /* Code in the first sector only where there is a BIOS. */
    unsigned char first[GRUB_SECTOR];
    autoclose int fd = open(raw, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, first, sizeof first), sizeof first);
    assert_int_equal(first[0] != 0, platform(architecture)->bios.format != NULL);
}

static bool is_installed(const struct grub_target *t)
{
    autofree char *folder = t->format ? path_join("/usr/lib/grub", t->format) : NULL;
    return !folder || access(folder, R_OK) == 0;
}

/* grub-mkimage makes an image for any architecture whose modules are there: the host's own, and the
 * other's if somebody has put them there. */
static void test_disk(void **state)
{
    (void)state;
    static const char *const architectures[] = {"amd64", "arm64"};
    bool own = false;
    for (size_t i = 0; i < COUNT(architectures); i++) {
        const struct bootstrap_platform *p = platform(architectures[i]);
        if (!is_installed(&p->bios) || !is_installed(&p->uefi)) {
            print_message("GRUB for %s is not installed\n", p->architecture);
            continue;
        }
        judge_disk(p->architecture);
        own = own || p == bootstrap_platform_host();
    }
    if (!own)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid),      cmocka_unit_test(test_size),
        cmocka_unit_test(test_table),     cmocka_unit_test(test_grub_boot),
        cmocka_unit_test(test_grub_core), cmocka_unit_test(test_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
