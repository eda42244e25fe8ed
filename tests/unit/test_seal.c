#include "disk_images.h"

#include "bake/seal.h"

/* What one machine has, and what must stay. */
static const struct {
    const char *path, *text;
    bool stays;
    bool empty; /* it stays, and is empty */
} things[] = {
    {"etc/machine-id", "0123456789abcdef0123456789abcdef\n", true, true},
    {"var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n", false, false},
    {"etc/ssh/ssh_host_rsa_key", "k", false, false},
    {"etc/ssh/ssh_host_rsa_key.pub", "k", false, false},
    {"etc/ssh/ssh_config", "c", true, false},
    {"etc/ssh/sshd_config", "c", true, false},
    {"var/lib/systemd/random-seed", "r", false, false},
    {"var/lib/systemd/credential.secret", "r", false, false},
    {"var/lib/systemd/deb-systemd-helper-enabled/x", "r", true, false},
    {"var/lib/seedrng/seed.credit", "r", false, false},
    {"var/lib/cloud/instances/i-1/sem/config", "x", false, false},
    {"var/lib/dhcp/dhclient.eth0.leases", "l", false, false},
    {"var/lib/apt/lists/debian.example_InRelease", "l", false, false},
    {"var/lib/apt/lists/partial/x", "l", false, false},
    {"var/lib/apt/extended_states", "l", true, false},
    {"var/cache/apt/archives/x.deb", "l", false, false},
    {"var/cache/apt/pkgcache.bin", "l", false, false},
    {"var/cache/ldconfig/aux-cache", "l", false, false},
    {"var/lib/dpkg/status", "s", true, false},
    {"var/lib/dpkg/status-old", "s", false, false},
    {"var/log/dpkg.log", "s", true, true},
    {"var/log/wtmp", "s", true, true},
    {"var/log/syslog.1", "s", false, false},
    {"var/log/apt/history.log.2.gz", "s", false, false},
    {"var/log/apt/history.log", "s", true, true},
    {"var/log/journal/0123456789abcdef0123456789abcdef/system.journal", "j", false, false},
    {"etc/netplan/50-cloud-init.yaml", "n", false, false},
    {"etc/netplan/10-mine.yaml", "n", true, false},
    {"root/.bash_history", "h", false, false},
    {"root/.bashrc", "h", true, false},
    {"home/u/.bash_history", "h", false, false},
    {"home/u/.profile", "h", true, false},
    {"tmp/.hidden/x", "t", false, false},
    {"var/tmp/x", "t", false, false},
    {"run/x/y", "t", false, false},
    {"etc/resolv.conf", "nameserver 192.0.2.1\n", true, false},
};

static void look(struct disk *d, const char *path, bool stays, bool empty)
{
    struct disk_stat st;
    bool found;
    autofree char *absolute = path_join("/", path);
    assert_ok(d->writer->stat(d, absolute, false, &st, &found, &err));
    if (found != stays || (found && (st.size == 0) != empty))
        fail_msg("%s is %s, size %llu", absolute, found ? "there" : "gone",
                 found ? (unsigned long long)st.size : 0ULL);
}

static char *make_disk(const char *dir, bool with_things)
{
    autofree char *tree = path_join(dir, "tree");
    char *raw = path_join(dir, "raw");
    put_file(tree, "etc/os-release", "ID=debian\n");
    put_folder(tree, "var/lib");
    for (size_t i = 0; with_things && i < COUNT(things); i++)
        put_file(tree, things[i].path, things[i].text);
    make_ext4(raw, 0, "16m", tree, "/", NULL, "4096");
    return raw;
}

static bool seal(struct disk *d, const struct seal_options *o, struct arena *a, size_t *count,
                 struct error **err)
{
    const char *const *removed = NULL;
    bool ok = bake_seal(d, o, a, &removed, err);
    for (*count = 0; ok && removed[*count]; ++*count)
        assert_true(removed[*count][0] == '/');
    return ok;
}

static void test_seal(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = make_disk(dir, true);
    autoarena struct arena *a = arena_new();
    static const char *const never[] = {"/var/lib/rancher/k3s/server", "/etc/rancher/node", NULL};
    const struct seal_options o = {
        .init = INIT_SYSTEMD, .never_baked = never, .epoch = EPOCH, .tmp = dir};
    struct disk *d = open_disk(raw, true);
    assert_fails(bake_seal_assert(d, &o, &err), ERROR_GUEST, "/etc/machine-id is in the image");
    size_t count = 0;
    assert_ok(seal(d, &o, a, &count, &err));
    assert_true(count >= 24);
    assert_ok(bake_seal_assert(d, &o, &err));
    assert_ok(seal(d, &o, a, &count, &err));
    assert_int_equal(count, 0);
    for (size_t i = 0; i < COUNT(things); i++)
        look(d, things[i].path, things[i].stays, things[i].empty);
    close_disk(d);
    judge_ext4(raw, 0);
}

/* Each thing alone is found by the assertion, by its name. */
static void test_assert(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *raw = make_disk(dir, false), *tar = path_join(dir, "tar");
    static const char *const never[] = {"/var/lib/rancher/k3s/server", NULL};
    const struct seal_options o = {
        .init = INIT_OPENRC, .never_baked = never, .epoch = EPOCH, .tmp = dir};
    struct disk *d = open_disk(raw, true);
    assert_ok(bake_seal_assert(d, &o, &err));
    for (size_t i = 0; i < COUNT(things); i++) {
        if (things[i].stays && !things[i].empty)
            continue;
        make_tar(tar,
                 &(struct tar_item)ITEM(things[i].path, AE_IFREG, 0644, .data = things[i].text,
                                        .size = strlen(things[i].text)),
                 1);
        assert_ok(d->writer->lay(d, tar, &err));
        assert_fails(bake_seal_assert(d, &o, &err), ERROR_GUEST, "is in the image and must not be");
        size_t count = 0;
        autoarena struct arena *a = arena_new();
        assert_ok(seal(d, &o, a, &count, &err));
        assert_int_equal(count, 1);
        assert_ok(bake_seal_assert(d, &o, &err));
    }
    make_tar(tar,
             &(struct tar_item)ITEM("var/lib/rancher/k3s/server", AE_IFDIR, 0700, .data = NULL), 1);
    assert_ok(d->writer->lay(d, tar, &err));
    assert_fails(bake_seal_assert(d, &o, &err), ERROR_GUEST, "/var/lib/rancher/k3s/server");
    close_disk(d);
}

/* systemd gets an empty machine-id where there is none; OpenRC none. A link to it stays. */
static void test_machine_id(void **state)
{
    (void)state;
    static const enum init_system inits[] = {INIT_SYSTEMD, INIT_OPENRC};
    for (size_t i = 0; i < COUNT(inits); i++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *tree = path_join(dir, "tree");
        put_link(tree, "var/lib/dbus/machine-id", "/etc/machine-id");
        autofree char *raw = make_disk(dir, false);
        autoarena struct arena *a = arena_new();
        const struct seal_options o = {.init = inits[i], .epoch = EPOCH, .tmp = dir};
        struct disk *d = open_disk(raw, true);
        size_t count = 0;
        assert_ok(seal(d, &o, a, &count, &err));
        struct disk_stat st;
        bool found;
        assert_ok(d->writer->stat(d, "/etc/machine-id", false, &st, &found, &err));
        assert_int_equal(found, inits[i] == INIT_SYSTEMD);
        if (found)
            assert_true(st.size == 0 && st.mode == (S_IFREG | 0444) && st.uid == 0 && st.gid == 0);
        assert_ok(d->writer->stat(d, "/var/lib/dbus/machine-id", false, &st, &found, &err));
        assert_true(found && S_ISLNK(st.mode));
        assert_ok(bake_seal_assert(d, &o, &err));
        close_disk(d);
        judge_ext4(raw, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_assert),
        cmocka_unit_test(test_machine_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
