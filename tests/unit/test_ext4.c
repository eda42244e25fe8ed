#include "disk_images.h"

#include "base/interrupt.h"

#include <time.h>

struct flavour {
    const char *features, *block;
    bool gpt;
};
static const struct flavour flavours[] = {
    {"metadata_csum,64bit", "4096", false},
    {"^metadata_csum,^64bit", "1024", false},
    {"metadata_csum,^64bit", "1024", false},
    {"^metadata_csum,uninit_bg,64bit", "2048", false},
    {"metadata_csum,64bit,metadata_csum_seed,orphan_file", "4096", true},
    {"metadata_csum,^has_journal,^flex_bg", "1024", true},
    {"^dir_index,^extra_isize", "4096", false},
};

struct image {
    char *dir, *raw, *tar;
    uint64_t root, boot; /* offsets; boot 0: none */
};

static void image_free(struct image *i)
{
    cleanup_tempdir(&i->dir);
    free(i->raw);
    free(i->tar);
}
#define autoimage cleanup(image_free)

static struct image make_image(const struct flavour *f)
{
    struct image i = {.dir = unit_temp_dir()};
    i.raw = path_join(i.dir, "raw");
    i.tar = path_join(i.dir, "tar");
    autofree char *root = path_join(i.dir, "root"), *boot = path_join(i.dir, "bootfs");
    make_root(root);
    put_file(root, "etc/fstab",
             f->gpt ? "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n"
                      "LABEL=BOOT /boot ext4 defaults 0 2\n/dev/sr0 /mnt auto ro 0 0\n"
                    : "# nothing\nLABEL=/ / ext4 defaults 0 1\n");
    put_file(boot, "grub/grub.cfg", "old\n");
    if (f->gpt) {
        make_gpt_disk(i.raw, root, boot, f->features, f->block);
        i.root = GPT_ROOT_OFFSET;
        i.boot = GPT_BOOT_OFFSET;
    } else {
        make_ext4(i.raw, 0, "56m", root, "/", f->features, f->block);
    }
    return i;
}

static void judge(const struct image *i)
{
    judge_ext4(i->raw, i->root);
    if (i->boot)
        judge_ext4(i->raw, i->boot);
}

static char *read_text(struct disk *d, const char *path)
{
    char *text = NULL;
    size_t size;
    assert_ok(d->writer->read(d, path, 64 << 20, &text, &size, &err));
    assert_int_equal(strlen(text), size);
    return text;
}

static void assert_text(struct disk *d, const char *path, const char *wanted)
{
    autofree char *text = read_text(d, path);
    assert_string_equal(text, wanted);
}

static struct disk_stat stat_of(struct disk *d, const char *path)
{
    struct disk_stat st = {0};
    bool found = false;
    assert_ok(d->writer->stat(d, path, false, &st, &found, &err));
    if (!found)
        fail_msg("%s is not there", path);
    return st;
}

static bool is_there(struct disk *d, const char *path)
{
    struct disk_stat st;
    bool found = true;
    assert_ok(d->writer->stat(d, path, false, &st, &found, &err));
    return found;
}

#define LONG_TARGET                                                                                \
    "a/target/longer/than/sixty/bytes/which/does/not/fit/into/the/inode/and/needs/a/block"

/* Does not fit into the inode: a block of its own. */
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG_VALUE HUNDRED HUNDRED HUNDRED HUNDRED

static void lay_sample(const struct image *i, struct disk *d)
{
    static char big[3 * 1024 * 1024 + 17];
    for (size_t n = 0; n < sizeof big; n++)
        big[n] = (char)(n * 2654435761u >> 13);
    const struct tar_item items[] = {
        ITEM("./etc/", AE_IFDIR, 0755, .uid = 0),
        ITEM("etc/hostname", AE_IFREG, 0600, .data = "new\n", .size = 4, .uid = 70000,
             .gid = 80000),
        ITEM("lib/systemd/system/k3s.service", AE_IFREG, 0644, .data = "[Unit]\n", .size = 7),
        ITEM("lib/", AE_IFDIR, 0700),
        ITEM("usr/local/bin/k3s", AE_IFREG, 0755, .data = big, .size = sizeof big),
        ITEM("usr/local/bin/kubectl", AE_IFLNK, 0777, .link = "k3s"),
        ITEM("usr/local/bin/long", AE_IFLNK, 0777, .link = LONG_TARGET),
        ITEM("usr/local/bin/crictl", 0, 0755, .link = "usr/local/bin/k3s"),
        ITEM("usr/bin/ping", AE_IFREG, 0755, .data = "elf", .size = 3,
             .xattr = "security.capability", .xattr_value = "\1\2\3\4\5\6\7\10"),
        ITEM("etc/empty", AE_IFLNK, 0777, .link = "hostname"),
        ITEM("etc/absolute/in-lib", AE_IFREG, 0644, .data = "x", .size = 1),
        ITEM("boot/grub/grub.cfg", AE_IFREG, 0644, .data = "new\n", .size = 4),
        ITEM("srv/\xc3\xa4\xc3\xb6", AE_IFREG, 0644, .data = "u", .size = 1),
        ITEM("srv/nothing", AE_IFREG, 0444),
        ITEM("srv/attributes", AE_IFREG, 0644, .xattr = "user.big", .xattr_value = LONG_VALUE),
        ITEM("srv/sticky", AE_IFDIR, 01777, .xattr = "user.note", .xattr_value = "hello"),
    };
    make_tar(i->tar, items, COUNT(items));
    assert_ok(d->writer->lay(d, i->tar, &err));
}

static void check_sample(struct disk *d)
{
    assert_text(d, "/etc/hostname", "new\n");
    struct disk_stat st = stat_of(d, "/etc/hostname");
    assert_int_equal(st.mode, S_IFREG | 0600);
    assert_int_equal(st.uid, 70000);
    assert_int_equal(st.gid, 80000);
    assert_true(S_ISLNK(stat_of(d, "/lib").mode));
    assert_int_equal(stat_of(d, "/usr/lib").mode, S_IFDIR | 0755);
    assert_text(d, "/usr/lib/systemd/system/k3s.service", "[Unit]\n");
    assert_int_equal(stat_of(d, "/usr/local/bin/crictl").size, 3 * 1024 * 1024 + 17);
    assert_int_equal(stat_of(d, "/usr/local/bin/long").size, strlen(LONG_TARGET));
    assert_text(d, "/etc/empty", "new\n");
    assert_text(d, "/usr/lib/in-lib", "x");
    assert_text(d, "/boot/grub/grub.cfg", "new\n");
    assert_text(d, "/srv/\xc3\xa4\xc3\xb6", "u");
    assert_text(d, "/srv/nothing", "");
    assert_int_equal(stat_of(d, "/srv/sticky").mode, S_IFDIR | 01777);
    autofree char *big = NULL;
    size_t size;
    assert_ok(d->writer->read(d, "/usr/local/bin/kubectl", 4 << 20, &big, &size, &err));
    for (size_t n = 0; n < size; n++)
        if (big[n] != (char)(n * 2654435761u >> 13))
            fail_msg("byte %zu differs", n);
}

static void test_lay_flavours(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(flavours); f++) {
        autoimage struct image i = make_image(&flavours[f]);
        struct disk *d = open_disk(i.raw, true);
        lay_sample(&i, d);
        check_sample(d);
        close_disk(d);
        judge(&i);
        d = open_disk(i.raw, false);
        check_sample(d);
        close_disk(d);
        autofree char *link = debugfs_says(i.raw, i.root, "stat /usr/local/bin/k3s");
        assert_non_null(strstr(link, "Links: 2"));
        assert_non_null(strstr(link, "0x625900"));
        autofree char *ea = debugfs_says(i.raw, i.root, "ea_list /usr/bin/ping");
        assert_non_null(strstr(ea, "security.capability (8) = 01 02 03 04 05 06 07 08"));
        autofree char *big = debugfs_says(i.raw, i.root, "ea_get /srv/attributes user.big");
        assert_non_null(strstr(big, LONG_VALUE));
        autofree char *target = debugfs_says(i.raw, i.root, "stat /usr/local/bin/long");
        assert_non_null(strstr(target, "Type: symlink"));
    }
}

/* The same again and again, whatever the clock says; laying twice changes nothing that is seen. */
static void test_same_bytes(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(flavours); f++) {
        autofree char *first = NULL;
        autoimage struct image i = make_image(&flavours[f]);
        autofree char *copy = path_join(i.dir, "copy");
        for (int run = 0; run < 3; run++) {
            run_ok("cp", "--sparse=always", i.raw, copy);
            struct image c = i;
            c.raw = copy;
            struct disk *d = open_disk(copy, true);
            lay_sample(&c, d);
            assert_ok(d->writer->remove(d, "/var/lib/cloud", &err));
            assert_ok(d->writer->truncate(d, "/etc/machine-id", &err));
            close_disk(d);
            autofree char *sum = sha256_of(copy);
            if (first)
                assert_string_equal(sum, first);
            else
                first = take_ptr(sum);
            if (run < 2)
                nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL);
        }
    }
}

static void test_remove_and_truncate(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(flavours); f++) {
        autoimage struct image i = make_image(&flavours[f]);
        struct disk *d = open_disk(i.raw, true);
        lay_sample(&i, d);
        assert_ok(d->writer->remove(d, "/var/lib/cloud", &err));
        assert_ok(d->writer->remove(d, "/usr/local/bin/k3s", &err));
        assert_ok(d->writer->remove(d, "/usr/bin/ping", &err));
        assert_ok(d->writer->remove(d, "/srv/attributes", &err));
        assert_ok(d->writer->remove(d, "/etc/absolute", &err)); /* the link, not what it names */
        assert_ok(d->writer->remove(d, "/not/there", &err));
        assert_ok(d->writer->truncate(d, "/etc/machine-id", &err));
        assert_ok(d->writer->truncate(d, "/not/there", &err));
        assert_false(is_there(d, "/var/lib/cloud"));
        assert_true(is_there(d, "/var/lib"));
        assert_false(is_there(d, "/usr/local/bin/k3s"));
        assert_int_equal(stat_of(d, "/usr/local/bin/crictl").size, 3 * 1024 * 1024 + 17);
        assert_text(d, "/usr/lib/in-lib", "x");
        assert_text(d, "/etc/machine-id", "");
        assert_fails(d->writer->remove(d, "/", &err), ERROR_INPUT, "is mounted there");
        if (i.boot)
            assert_fails(d->writer->remove(d, "/boot", &err), ERROR_INPUT, "is mounted there");
        else
            assert_ok(d->writer->remove(d, "/boot", &err));
        close_disk(d);
        judge(&i);
        autofree char *text = NULL;
        size_t size;
        assert_ok(file_read(i.raw, 256 << 20, &text, &size, &err));
        assert_null(memmem(text, size, "0123456789abcdef0123456789abcdef", 32));
    }
}

static void test_list(void **state)
{
    (void)state;
    autoimage struct image i = make_image(&flavours[0]);
    autodisk struct disk *d = open_disk(i.raw, false);
    autonames char **names = NULL;
    assert_ok(d->writer->list(d, "/etc", &names, &err));
    static const char *const wanted[] = {"absolute", "empty",      "fstab",   "hostname",   "loop",
                                         "loop2",    "machine-id", "nowhere", "os-release", "out"};
    for (size_t n = 0; n < COUNT(wanted); n++)
        assert_string_equal(names[n], wanted[n]);
    assert_null(names[COUNT(wanted)]);
    autonames char **none = NULL;
    assert_ok(d->writer->list(d, "/no/such", &none, &err));
    assert_null(none[0]);
    autonames char **no = NULL;
    assert_fails(d->writer->list(d, "/etc/fstab", &no, &err), ERROR_INPUT, "not a folder");
}

/* Each of these leaves the disk as it was, or is refused before anything leaves the root. */
static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        struct tar_item item;
        const char *says;
    } bad[] = {
        {ITEM("etc/out/x", AE_IFREG, 0644), "leads out of its root"},
        {ITEM("etc/loop/x", AE_IFREG, 0644), "loop"},
        {ITEM("../x", AE_IFREG, 0644), "outside the root"},
        {ITEM("etc/../../x", AE_IFREG, 0644), "outside the root"},
        {ITEM("etc/nowhere/x", AE_IFREG, 0644), "leads nowhere"},
        {ITEM("etc/hostname/x", AE_IFREG, 0644), "no folder"},
        {ITEM("etc/hostname", AE_IFDIR, 0755), "no folder"},
        {ITEM("usr/lib", AE_IFREG, 0644), "not empty"},
        {ITEM("usr/lib", AE_IFLNK, 0777, .link = "x"), "not empty"},
        {ITEM(".", AE_IFLNK, 0777, .link = "x"), "root folder"},
        {ITEM("dev/null", AE_IFCHR, 0666), "device"},
        {ITEM("run/pipe", AE_IFIFO, 0666), "pipe"},
        {ITEM("etc/hard", 0, 0644, .link = "../../etc/passwd"), "outside the root"},
        {ITEM("etc/hard", 0, 0644, .link = "no/such"), "not there"},
        {ITEM("etc/hard", 0, 0644, .link = "etc"), "folder"},
        {ITEM("etc/acl", AE_IFREG, 0644, .xattr = "system.posix_acl_default", .xattr_value = "x"),
         "extended attribute"},
    };
    autoimage struct image i = make_image(&flavours[0]);
    for (size_t n = 0; n < COUNT(bad); n++) {
        make_tar(i.tar, &bad[n].item, 1);
        struct disk *d = open_disk(i.raw, true);
        assert_fails(d->writer->lay(d, i.tar, &err), ERROR_INPUT, bad[n].says);
        close_disk(d);
        judge(&i);
    }
    autodisk struct disk *d = open_disk(i.raw, true);
    char *text = NULL;
    struct disk_stat st;
    bool found;
    assert_fails(d->writer->read(d, "/etc/loop", 10, &text, NULL, &err), ERROR_INPUT, "loop");
    assert_fails(d->writer->read(d, "/etc/out/etc/passwd", 10, &text, NULL, &err), ERROR_INPUT,
                 "leads out");
    assert_fails(d->writer->stat(d, "/etc/../x", true, &st, &found, &err), ERROR_INPUT, "clean");
    assert_fails(d->writer->read(d, "/etc/machine-id", 10, &text, NULL, &err), ERROR_INPUT,
                 "larger than 10 bytes");
    assert_fails(d->writer->remove(d, "/etc/out/x", &err), ERROR_INPUT, "leads out");
    put_file(i.dir, "tar", "no tar at all, but some words that are long enough for a header");
    assert_fails(d->writer->lay(d, i.tar, &err), ERROR_INPUT, "tar");
}

static void test_cut_tar(void **state)
{
    (void)state;
    autoimage struct image i = make_image(&flavours[0]);
    static char data[200000];
    make_tar(i.tar, &(struct tar_item)ITEM("x", AE_IFREG, 0644, .data = data, .size = sizeof data),
             1);
    assert_int_equal(truncate(i.tar, 100000), 0);
    autodisk struct disk *d = open_disk(i.raw, true);
    assert_fails(d->writer->lay(d, i.tar, &err), ERROR_INPUT, "tar");
}

static void test_full(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(flavours); f += 4) {
        autoimage struct image i = make_image(&flavours[f]);
        size_t size = 60 << 20;
        autofree char *data = calloc(1, size);
        assert_non_null(data);
        make_tar(i.tar, &(struct tar_item)ITEM("x", AE_IFREG, 0644, .data = data, .size = size), 1);
        struct disk *d = open_disk(i.raw, true);
        assert_fails(d->writer->lay(d, i.tar, &err), ERROR_SPACE, "60 MiB are needed");
        close_disk(d);
        judge(&i);
        /* Replacing a file that fills most of the disk fits, because the old one goes. */
        make_tar(i.tar, &(struct tar_item)ITEM("x", AE_IFREG, 0644, .data = data, .size = size / 2),
                 1);
        for (int run = 0; run < 3; run++) {
            d = open_disk(i.raw, true);
            assert_ok(d->writer->lay(d, i.tar, &err));
            close_disk(d);
        }
        judge(&i);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *features, *command, *says;
    } bad[] = {
        {"metadata_csum,64bit", "feature needs_recovery", "journal needs recovery"},
        {"metadata_csum,64bit", "ssv state 2", "damaged"},
        {"metadata_csum,64bit", "feature encrypt", "encrypt"},
        {"inline_data", NULL, "inline_data"},
        {"quota", NULL, "quota"},
        {"casefold", NULL, "casefold"},
        {"^extents,^64bit", NULL, "extents"},
        {"bigalloc", NULL, "bigalloc"},
    };
    for (size_t n = 0; n < COUNT(bad); n++) {
        autoimage struct image i = make_image(&(struct flavour){bad[n].features, "4096", false});
        if (bad[n].command)
            run_ok("debugfs", "-w", "-R", bad[n].command, i.raw);
        autofree char *before = sha256_of(i.raw);
        struct disk_options o = {.raw = i.raw, .writable = true, .epoch = EPOCH};
        struct disk *d = NULL;
        assert_fails(disk_ext4.open(&o, &d, &err), ERROR_UNSUPPORTED, bad[n].says);
        autofree char *after = sha256_of(i.raw);
        assert_string_equal(before, after);
    }
    autoimage struct image i = make_image(&flavours[0]);
    struct disk_options o = {.raw = i.raw, .writable = true, .epoch = EPOCH};
    struct disk *d = NULL;
    struct facts facts = {
        .mount_count = 1,
        .mounts = {{"/", "ext4", "", "99999999-1111-4111-8111-111111111111", 0, 0, 56 << 20}}};
    o.facts = &facts;
    assert_fails(disk_ext4.open(&o, &d, &err), ERROR_INPUT, "not the disk");
    facts.mounts[0].uuid = "11111111-1111-4111-8111-111111111111";
    assert_ok(disk_ext4.open(&o, &d, &err));
    close_disk(d);
    facts.mounts[0].type = "xfs";
    assert_fails(disk_ext4.open(&o, &d, &err), ERROR_UNSUPPORTED, "xfs");
    facts.mounts[0].type = "ext4";
    assert_int_equal(truncate(i.raw, 40 << 20), 0);
    assert_fails(disk_ext4.open(&o, &d, &err), ERROR_INPUT, "cut short");
}

/* /boot/efi is FAT: what would go there is the appliance's. */
static void test_foreign_mount(void **state)
{
    (void)state;
    autoimage struct image i = make_image(&flavours[4]);
    struct facts facts = {.mount_count = 3,
                          .mounts = {{"/", "ext4", "", "", 1, i.root, 1},
                                     {"/boot", "ext4", "", "", 16, i.boot, 1},
                                     {"/boot/grub", "vfat", "", "", 15, 1 << 20, 1}}};
    struct disk_options o = {.raw = i.raw, .writable = true, .facts = &facts, .epoch = EPOCH};
    autodisk struct disk *d = NULL;
    assert_ok(disk_ext4.open(&o, &d, &err));
    make_tar(i.tar, &(struct tar_item)ITEM("boot/grub/x", AE_IFREG, 0644), 1);
    assert_fails(d->writer->lay(d, i.tar, &err), ERROR_UNSUPPORTED, "vfat");
    make_tar(i.tar, &(struct tar_item)ITEM("boot/x", AE_IFREG, 0644), 1);
    assert_ok(d->writer->lay(d, i.tar, &err));
    make_tar(i.tar, &(struct tar_item)ITEM("boot/hard", 0, 0644, .link = "etc/hostname"), 1);
    assert_fails(d->writer->lay(d, i.tar, &err), ERROR_INPUT, "another file system");
}

/* tar(1) into a folder and mke2fs -d of it must give what we lay; debugfs rdump reads it back. */
static void test_against_tar(void **state)
{
    (void)state;
    unsigned seed = 12345;
    for (int round = 0; round < 6; round++) {
        autoimage struct image i = make_image(&flavours[round % COUNT(flavours)]);
        autofree char *root = path_join(i.dir, "root"), *dump = path_join(i.dir, "dump"),
                      *command = NULL;
        put_folder(i.dir, "dump");
        if (asprintf(&command, "rdump / %s", dump) < 0)
            abort();
        struct archive *a = tar_start(i.tar);
        for (int n = 0; n < 400; n++) {
            char path[300], data[9000];
            size_t size = (size_t)(rand_r(&seed) % (int)sizeof data);
            for (size_t b = 0; b < size; b++)
                data[b] = (char)rand_r(&seed);
            int kind = rand_r(&seed) % 10;
            if (kind < 6) /* the same names come again, so that files are replaced */
                snprintf(path, sizeof path, "srv/d%d/e%d/file-%d-with-a-name-of-some-length",
                         rand_r(&seed) % 4, rand_r(&seed) % 4, rand_r(&seed) % 30);
            else
                snprintf(path, sizeof path, "srv/d%d/%c%d", rand_r(&seed) % 4, 'e' + kind,
                         rand_r(&seed) % 20);
            struct tar_item item = ITEM(path, AE_IFREG, 0644, .data = data, .size = size);
            if (kind == 7)
                item = (struct tar_item)ITEM(path, AE_IFDIR, 0755);
            else if (kind == 8)
                item = (struct tar_item)ITEM(path, AE_IFLNK, 0777,
                                             .link = n % 2 ? LONG_TARGET : "../d1");
            tar_put(a, &item);
        }
        tar_end(a);
        struct disk *d = open_disk(i.raw, true);
        assert_ok(d->writer->lay(d, i.tar, &err));
        close_disk(d);
        judge(&i);
        /* -P: else tar puts off links with .. and may then make the earlier of two. */
        run_ok("tar", "-C", root, "-P", "--no-same-owner", "-xf", i.tar);
        free(debugfs_says(i.raw, i.root, command));
        autofree char *lost = path_join(dump, "lost+found");
        rmdir(lost);
        /* As an ordinary user rdump cannot set owners: contents and names are compared. */
        run_ok("diff", "-r", "--no-dereference", "-x", "grub", root, dump);
    }
}

/* tar(1)'s own pax, with names beyond ASCII, deep and long ones; the order of attributes. */
static void test_gnu_tar(void **state)
{
    (void)state;
    autoimage struct image i = make_image(&flavours[0]);
    autofree char *tree = path_join(i.dir, "tree"), *at = path_join(i.dir, "tree/srv");
    char deep[600] = "srv";
    for (size_t n = 0; n < 12; n++)
        strcat(deep, "/a-folder-with-quite-a-long-name-in-it");
    strcat(deep, "/\xc3\xbc");
    put_file(tree, deep, "deep\n");
    put_file(tree, "srv/system-x\\x2dy.slice", "slice\n");
    run_ok("chmod", "2750", at);
    run_ok("tar", "--format=pax", "--sort=name", "--numeric-owner", "-C", tree, "-cf", i.tar, ".");
    struct disk *d = open_disk(i.raw, true);
    assert_ok(d->writer->lay(d, i.tar, &err));
    autofree char *path = path_join("/", deep);
    assert_text(d, path, "deep\n");
    assert_text(d, "/srv/system-x\\x2dy.slice", "slice\n");
    assert_int_equal(stat_of(d, "/srv").mode, S_IFDIR | 02750);
    close_disk(d);
    judge(&i);
}

/* Tars with bytes turned over: refused or laid, and never a crash. */
static void test_damaged_tars(void **state)
{
    (void)state;
    unsigned seed = 4711;
    autoimage struct image i = make_image(&flavours[1]);
    struct disk *d = open_disk(i.raw, true);
    lay_sample(&i, d);
    close_disk(d);
    autofree char *good = NULL;
    size_t size;
    assert_ok(file_read(i.tar, 16 << 20, &good, &size, &err));
    for (int round = 0; round < 60; round++) {
        autofree char *bad = malloc(size);
        memcpy(bad, good, size);
        for (int n = 0; n < 1 + round % 8; n++)
            bad[(size_t)rand_r(&seed) % (round % 2 ? 8192 : size)] = (char)rand_r(&seed);
        assert_ok(file_write(i.tar, bad, size, 0600, &err));
        d = open_disk(i.raw, true);
        autoerror struct error *err = NULL;
        bool ok = d->writer->lay(d, i.tar, &err);
        assert_true(ok == (err == NULL));
        close_disk(d);
    }
}

/* Folders that grow to many blocks, and shrink. */
static void test_many(void **state)
{
    (void)state;
    autoimage struct image i = make_image(&flavours[1]);
    struct archive *a = tar_start(i.tar);
    for (int n = 0; n < 3000; n++) {
        char path[64];
        snprintf(path, sizeof path, "srv/many/a-rather-long-name-%05d", n);
        tar_put(a,
                &(struct tar_item)ITEM(path, AE_IFREG, 0644, .data = path, .size = strlen(path)));
    }
    tar_end(a);
    struct disk *d = open_disk(i.raw, true);
    assert_ok(d->writer->lay(d, i.tar, &err));
    assert_text(d, "/srv/many/a-rather-long-name-02999", "srv/many/a-rather-long-name-02999");
    close_disk(d);
    judge(&i);
    d = open_disk(i.raw, true);
    assert_ok(d->writer->lay(d, i.tar, &err));
    assert_ok(d->writer->remove(d, "/srv/many", &err));
    close_disk(d);
    judge(&i);
}

static void test_alpine(void **state)
{
    (void)state;
    const char *fixtures = getenv("INGOT_TEST_FIXTURES");
    if (!fixtures)
        skip();
    autotempdir char *dir = unit_temp_dir();
    autofree char *base = path_join(fixtures, "alpine/alpine-3.19.1-x86_64-bios-tiny.qcow2");
    struct image i = {.dir = dir, .raw = path_join(dir, "raw"), .tar = path_join(dir, "tar")};
    run_ok("qemu-img", "convert", "-f", "qcow2", "-O", "raw", base, i.raw);
    struct disk *d = open_disk(i.raw, true);
    assert_text(d, "/etc/apk/arch", "x86_64\n");
    make_tar(i.tar,
             &(struct tar_item)ITEM("etc/hostname", AE_IFREG, 0644, .data = "a\n", .size = 2), 1);
    assert_ok(d->writer->lay(d, i.tar, &err));
    assert_ok(d->writer->remove(d, "/etc/ssh", &err));
    assert_text(d, "/etc/hostname", "a\n");
    close_disk(d);
    judge(&i);
    free(i.raw);
    free(i.tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lay_flavours),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_remove_and_truncate),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_cut_tar),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_foreign_mount),
        cmocka_unit_test(test_against_tar),
        cmocka_unit_test(test_gnu_tar),
        cmocka_unit_test(test_damaged_tars),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_alpine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
