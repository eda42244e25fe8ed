/* layer: disk */
#include "disk_images.h"

#include "disk/mounts.h"
#include "disk/partitions.h"

/* Through JSON and back, every field. */
static void round_trip(struct arena *a, const struct facts *f)
{
    autojson json_t *j = facts_to_json(f);
    const struct facts *g = NULL;
    assert_ok(facts_from_json(a, j, &g, &err));
    autojson json_t *again = facts_to_json(g);
    assert_true(json_equal(j, again));
    assert_int_equal(g->mount_count, f->mount_count);
    assert_int_equal(g->virtual_size, f->virtual_size);
    for (size_t i = 0; i < g->mount_count; i++)
        assert_int_equal(g->mounts[i].offset, f->mounts[i].offset);
}

static const struct facts *facts_of(struct arena *a, const char *raw)
{
    struct disk_options o = {.raw = raw, .epoch = EPOCH};
    autodisk struct disk *d = NULL;
    const struct facts *f = NULL;
    assert_ok(disk_ext4.open(&o, &d, &err));
    assert_ok(disk_read_facts(d, &o, a, &f, &err));
    return f;
}

static void test_debian(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *root = path_join(dir, "root"), *boot = path_join(dir, "bootfs"),
                  *raw = path_join(dir, "raw");
    make_root(root);
    put_folder(boot, "grub");
    put_file(root, "usr/lib/systemd/systemd", "");
    put_file(root, "usr/bin/cloud-init", "");
    put_file(root, "var/lib/dpkg/status",
             "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\n"
             "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\n\n"
             "Package: adduser\nStatus: install ok installed\nArchitecture: all\n\n"
             "Package: held\nStatus: hold ok installed\nArchitecture: amd64\n"
             "Conffiles:\n /etc/x 0123\n\n"
             "Package: zlib1g\nStatus: install ok installed\nArchitecture: i386\n");
    put_file(root, "etc/fstab",
             "LABEL=cloudimg-rootfs\t/\t ext4\tdiscard 0 1\nUUID=\"22222222-2222-4222-8222-"
             "222222222222\" /boot ext4 defaults 0 2\nLABEL=UEFI /boot/efi vfat umask=0077 0 1\n"
             "/dev/sda9 /data ext4 defaults 0 0\nLABEL=elsewhere /srv ext4 defaults 0 0\n"
             "LABEL=BOOT none swap sw 0 0\n");
    make_gpt_disk(raw, root, boot, NULL, "4096");
    const struct facts *f = facts_of(a, raw);
    assert_string_equal(f->os, "debian");
    assert_string_equal(f->os_version, "12");
    assert_string_equal(f->codename, "bookworm");
    assert_string_equal(f->pretty_name, "Debian GNU/Linux 12 (bookworm)");
    assert_string_equal(f->architecture, "amd64");
    assert_int_equal(f->init, INIT_SYSTEMD);
    assert_int_equal(f->packages, PACKAGES_APT);
    assert_true(f->usr_merged);
    assert_false(f->has_agent);
    assert_string_equal(f->seed, "cloud-init");
    assert_int_equal(f->virtual_size, 128 << 20);
    assert_string_equal(f->partition_table, "gpt");
    assert_int_equal(f->mount_count, 2);
    assert_string_equal(f->mounts[0].mountpoint, "/");
    assert_int_equal(f->mounts[0].offset, GPT_ROOT_OFFSET);
    assert_int_equal(f->mounts[0].partition, 1);
    assert_string_equal(f->mounts[0].label, "cloudimg-rootfs");
    assert_string_equal(f->mounts[1].mountpoint, "/boot");
    assert_int_equal(f->mounts[1].offset, GPT_BOOT_OFFSET);
    assert_int_equal(f->mounts[1].partition, 16);
    assert_string_equal(f->installed[0], "adduser");
    assert_string_equal(f->installed[1], "held");
    assert_string_equal(f->installed[2], "zlib1g");
    assert_null(f->installed[3]);
    assert_true(facts_has_package(f, "zlib1g"));
    assert_true(facts_has_package(f, "adduser"));
    assert_false(facts_has_package(f, "gone"));
    assert_int_equal(strlen(f->package_database_digest), 64);
    round_trip(a, f);
}

static void test_hostile_text(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *root = path_join(dir, "root"), *raw = path_join(dir, "raw");
    put_file(root, "etc/os-release",
             "ID=good\nID='bad; rm -rf /'\nVERSION_ID=\nPRETTY_NAME=\"a \\\"b\\\" \033[31mc\"\n"
             "VERSION_CODENAME\nNOTHING=1\n");
    /* s390x is big-endian: the machine is in the second byte. */
    put_folder(root, "bin");
    autofree char *sh = path_join(root, "bin/sh");
    static const char elf[24] = "\177ELF\2\2\1\0\0\0\0\0\0\0\0\0\0\2\0\26";
    assert_ok(file_write(sh, elf, sizeof elf, 0755, &err));
    put_file(root, "etc/fstab", "/dev/root / ext4\nLABEL=/ relative ext4\nLABEL=\n\n#x\nUUID=\n");
    make_ext4(raw, 0, "32m", root, "/", NULL, "4096");
    const struct facts *f = facts_of(a, raw);
    assert_string_equal(f->os, "good");
    assert_string_equal(f->os_version, "");
    assert_string_equal(f->pretty_name, "a \"b\"  [31mc");
    assert_string_equal(f->codename, "");
    assert_string_equal(f->architecture, "s390x");
    assert_int_equal(f->init, INIT_UNKNOWN);
    assert_int_equal(f->packages, PACKAGES_NONE);
    assert_string_equal(f->seed, "none");
    assert_string_equal(f->partition_table, "");
    assert_int_equal(f->mount_count, 1);
    assert_int_equal(f->mounts[0].partition, 0);
    assert_null(f->installed[0]);
    round_trip(a, f);
}

static void test_alpine(void **state)
{
    (void)state;
    const char *fixtures = getenv("INGOT_TEST_FIXTURES");
    if (!fixtures)
        skip();
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *a = arena_new();
    autofree char *base = path_join(fixtures, "alpine/alpine-3.19.1-x86_64-bios-tiny.qcow2"),
                  *raw = path_join(dir, "raw");
    run_ok("qemu-img", "convert", "-f", "qcow2", "-O", "raw", base, raw);
    const struct facts *f = facts_of(a, raw);
    assert_string_equal(f->os, "alpine");
    assert_string_equal(f->os_version, "3.19.1");
    assert_string_equal(f->architecture, "amd64");
    assert_int_equal(f->init, INIT_OPENRC);
    assert_int_equal(f->packages, PACKAGES_APK);
    assert_string_equal(f->seed, "tiny-cloud");
    assert_false(f->usr_merged);
    assert_true(facts_has_package(f, "openssh-server"));
    assert_int_equal(f->mount_count, 1);
    assert_int_equal(f->mounts[0].offset, 0);
    assert_string_equal(f->mounts[0].label, "/");
    round_trip(a, f);
}

static void test_mounts(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct partition parts[] = {
        {.number = 1,
         .file_system = "ext4",
         .label = "one",
         .uuid = "aa",
         .name = "n1",
         .partuuid = "P1",
         .offset = 100,
         .size = 10},
        {.number = 2,
         .file_system = "ext4",
         .label = "a b",
         .uuid = "bb",
         .name = "",
         .partuuid = "",
         .offset = 200,
         .size = 20},
        {.number = 3,
         .file_system = "vfat",
         .label = "EFI",
         .uuid = "CC-DD",
         .name = "",
         .partuuid = "",
         .offset = 300,
         .size = 30},
        {.number = 4,
         .file_system = "ext4",
         .label = "",
         .uuid = "",
         .name = "",
         .partuuid = "",
         .offset = 400,
         .size = 5},
    };
    const struct partition_table t = {
        .type = "gpt", .disk_size = 1000, .partitions = parts, .count = COUNT(parts)};
    struct fact_mount m[FACTS_MAX_MOUNTS];
    size_t n;
    assert_ok(mounts_read(a,
                          "UUID=cc-dd /boot/efi vfat\nLABEL=a\\040b /boot ext4\n"
                          "PARTUUID=p1 / ext4\n",
                          &t, NULL, m, &n, &err));
    assert_int_equal(n, 3);
    assert_int_equal(m[0].partition, 1);
    assert_string_equal(m[1].mountpoint, "/boot");
    assert_int_equal(m[1].partition, 2);
    assert_string_equal(m[2].mountpoint, "/boot/efi");
    assert_string_equal(m[2].type, "vfat");
    assert_ok(mounts_read(a, NULL, &t, NULL, m, &n, &err));
    assert_int_equal(m[0].partition, 2); /* the largest */
    assert_int_equal(mounts_guess_root(&t, &parts[1])->number, 1);
    assert_int_equal(mounts_guess_root(&t, &parts[0])->number, 4);
    assert_null(mounts_guess_root(&t, &parts[3]));
    assert_fails(mounts_read(a, "LABEL=one /a x\nLABEL=EFI /a x\n", &t, &parts[1], m, &n, &err),
                 ERROR_UNSUPPORTED, "two things");
    assert_fails(mounts_read(a, "LABEL=one /a x\nLABEL=EFI /b x\nLABEL=one /c x\nLABEL=one /d x\n",
                             &t, &parts[1], m, &n, &err),
                 ERROR_UNSUPPORTED, "more than");
    const struct partition_table empty = {.type = "gpt"};
    assert_fails(mounts_read(a, NULL, &empty, NULL, m, &n, &err), ERROR_UNSUPPORTED, "no root");
}

static void test_bad_json(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct facts good = {.os = "debian",
                               .os_version = "12",
                               .pretty_name = "",
                               .codename = "",
                               .architecture = "amd64",
                               .seed = "none",
                               .partition_table = "",
                               .package_database_digest = "",
                               .mount_count = 1,
                               .mounts = {{"/", "ext4", "", "", 0, 0, 1}}};
    round_trip(a, &good);
    static const struct {
        const char *key, *value;
    } bad[] = {{"os", "1"},
               {"init", "\"upstart\""},
               {"has_agent", "0"},
               {"virtual_size", "-1"},
               {"mounts", "{}"},
               {"mounts", "[{}]"},
               {"mounts", "[{\"mountpoint\":\"/boot\",\"type\":\"ext4\",\"label\":\"\",\"uuid\":"
                          "\"\",\"partition\":1,\"offset\":1,\"size\":1}]"},
               {"installed", "[\"b\",\"a\"]"},
               {"installed", "[1]"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        autojson json_t *j = facts_to_json(&good);
        json_set(j, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
        const struct facts *f = NULL;
        assert_fails(facts_from_json(a, j, &f, &err), ERROR_INPUT, "facts of the base");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_debian),   cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_alpine),   cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_bad_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
