/* The appliance, end to end, on the real Alpine disk of the fixtures: growth, packages by the
 * guest's own apk, commands, payload and sealing; and the appliance as a disk writer against the
 * ext4 one. */
#include "disk_images.h"

#include "bake/guest_state.h"
#include "bake/run.h"
#include "bake/seal.h"
#include "bake/system.h"

#define GROWN ((off_t)512 << 20)
#define KEY "test@example.invalid-1"

static const struct repository agent_repository = {.kind = REPOSITORY_APK,
                                                   .url = "https://repo.example.invalid/agent"};

struct guest {
    struct arena *arena;
    char *dir, *raw, *copy, *tar, *agent;
    const char *fixtures;
    const struct facts *facts;
    struct package_repository repository;
    struct apk_repositories apk;
    struct appliance *appliance;
    struct system_step step;
};

static char *below(const struct guest *g, const char *name)
{
    return arena_printf(g->arena, "%s/%s", g->dir, name);
}

static void prepare(struct guest *g)
{
    autofree char *base = path_join(g->fixtures, "alpine/alpine-3.19.1-x86_64-bios-tiny.qcow2");
    char *package =
        arena_printf(g->arena, "%s/alpine/agent/qemu-guest-agent-7.2.22-r0.apk", g->fixtures);
    g->raw = below(g, "raw");
    g->copy = below(g, "copy");
    g->tar = below(g, "tar");
    g->agent = below(g, "agent");
    run_ok("qemu-img", "convert", "-f", "qcow2", "-O", "raw", base, g->raw);
    run_ok("python3", "tests/standins/apk_repository.py", g->agent, KEY, package);
    struct disk_options o = {.raw = g->raw, .epoch = EPOCH};
    struct disk *d = open_disk(g->raw, false);
    assert_ok(disk_read_facts(d, &o, g->arena, &g->facts, &err));
    g->repository.repository = &agent_repository;
    g->repository.key = arena_printf(g->arena, "%s/" KEY ".rsa.pub", g->agent);
    assert_ok(
        bake_apk_state(d, g->arena, g->facts->architecture, &g->repository, 1, &g->apk, &err));
    close_disk(d);
    assert_int_equal(g->apk.count, 3);
    assert_int_equal(g->apk.key_count, 6);
    assert_string_equal(g->apk.items[0].index_url,
                        "https://dl-cdn.alpinelinux.org/alpine/v3.19/main/x86_64/APKINDEX.tar.gz");
    /* What would be fetched: the fixtures' real index, signed by Alpine, and ours. */
    for (size_t i = 0; i < 3; i++) {
        g->apk.items[i].index =
            i < 2 ? arena_printf(g->arena, "%s/alpine/apks/x86_64/APKINDEX.tar.gz", g->fixtures)
                  : arena_printf(g->arena, "%s/x86_64/APKINDEX.tar.gz", g->agent);
        autofree char *hex = sha256_of(g->apk.items[i].index);
        g->apk.items[i].digest = arena_strdup(g->arena, hex);
    }
    assert_int_equal(truncate(g->raw, GROWN), 0);
}

static void launch(struct guest *g)
{
    struct appliance_options o = {
        .raw = g->raw, .writable = true, .facts = g->facts, .no_mount = true};
    assert_ok(appliance_launch(&o, &g->appliance, &err));
    assert_ok(appliance_grow(g->appliance, &err));
    assert_ok(appliance_mount(g->appliance, &err));
}

static void resolve(struct guest *g)
{
    static const char *const missing[] = {"no-such-package", NULL};
    g->step = (struct system_step){.facts = g->facts,
                                   .wanted = missing,
                                   .apk = &g->apk,
                                   .repositories = &g->repository,
                                   .repository_count = 1,
                                   .tmp = g->dir};
    const struct resolution *r = NULL;
    assert_fails(bake_apk_resolve(g->appliance, &g->step, g->arena, &r, &err), ERROR_INPUT,
                 "no-such-package");
}

static void resolve_really(struct guest *g)
{
    static const char *const wanted[] = {"qemu-guest-agent", "iw", NULL};
    const struct resolution *r = NULL;
    g->step.wanted = wanted;
    /* Without the key the index does not count, however willing apk is to go on with a warning. */
    struct apk_repositories distrusting = g->apk;
    distrusting.key_count--;
    struct system_step step = g->step;
    step.apk = &distrusting;
    assert_fails(bake_apk_resolve(g->appliance, &step, g->arena, &r, &err), ERROR_TRUST,
                 "does not trust");
    assert_ok(bake_apk_resolve(g->appliance, &g->step, g->arena, &r, &err));
    assert_int_equal(r->count, 3);
    assert_int_equal(r->index_count, 3);
    assert_string_equal(r->packages[0].name, "iw");
    assert_string_equal(r->packages[1].name, "libnl3");
    assert_true(r->packages[1].automatic && !r->packages[0].automatic);
    assert_string_equal(r->packages[2].url,
                        "https://repo.example.invalid/agent/x86_64/qemu-guest-agent-7.2.22-r0.apk");
    assert_int_equal(r->packages[2].size, 2654378);
    const char **files = arena_alloc(g->arena, 4 * sizeof *files);
    for (size_t i = 0; i < 3; i++)
        files[i] =
            arena_printf(g->arena, "%s/%s/%s", g->fixtures,
                         i < 2 ? "alpine/apks/x86_64" : "alpine/agent", r->packages[i].filename);
    g->step.resolution = r;
    g->step.files = files;
}

/* A month later the repository lists other packages: with the lock's index in front of the present
 * one all stays as it was. */
static void resolve_locked(struct guest *g)
{
    char *package = arena_printf(g->arena, "%s/alpine/apks/x86_64/iw-%s.apk", g->fixtures,
                                 g->step.resolution->packages[0].version);
    autofree char *key = NULL, *new_key = NULL;
    char *moved = below(g, "moved");
    if (asprintf(&key, "%s.key", g->agent) < 0 || asprintf(&new_key, "%s.key", moved) < 0)
        abort();
    run_ok("cp", key, new_key);
    run_ok("python3", "tests/standins/apk_repository.py", moved, KEY, package);
    struct resolution *locked = arena_memdup(g->arena, g->step.resolution, sizeof *locked);
    struct package *pinned = arena_memdup(g->arena, locked->packages, 3 * sizeof *pinned);
    for (size_t i = 0; i < 3; i++) {
        autofree char *hex = sha256_of(g->step.files[i]);
        pinned[i].digest = arena_strdup(g->arena, hex);
    }
    locked->packages = pinned;
    struct apk_repository *last = &g->apk.items[2];
    autofree char *hex = NULL;
    last->index = arena_printf(g->arena, "%s/x86_64/APKINDEX.tar.gz", moved);
    hex = sha256_of(last->index);
    last->digest = arena_strdup(g->arena, hex);
    const struct resolution *r = NULL;
    assert_fails(bake_apk_resolve(g->appliance, &g->step, g->arena, &r, &err), ERROR_INPUT,
                 "qemu-guest-agent");
    apk_put_locked(g->arena, &g->apk, locked);
    assert_int_equal(g->apk.count, 4);
    g->step.locked = locked;
    assert_ok(bake_apk_resolve(g->appliance, &g->step, g->arena, &r, &err));
    assert_int_equal(r->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(r->packages[i].version, pinned[i].version);
        assert_string_equal(r->packages[i].digest, pinned[i].digest);
    }
    static const char *const newer[] = {"qemu-guest-agent>7.2.22-r0", "iw", NULL};
    struct system_step step = g->step;
    step.wanted = newer;
    assert_fails(bake_apk_resolve(g->appliance, &step, g->arena, &r, &err), ERROR_CHANGED,
                 "ingot lock --update");
}

static void assert_guest_text(struct guest *g, const char *path, const char *part, bool there)
{
    struct disk *d = appliance_as_disk(g->appliance);
    autofree char *text = NULL;
    size_t size;
    assert_ok(d->writer->read(d, path, 1 << 20, &text, &size, &err));
    assert_int_equal(size, strlen(text));
    if ((strstr(text, part) != NULL) != there)
        fail_msg("%s: '%s' is%s in: %s", path, part, there ? " not" : "", text);
}

static void install(struct guest *g)
{
    assert_ok(bake_install(g->appliance, &g->step, &err));
    assert_guest_text(g, "/etc/apk/world", "\nqemu-guest-agent\n", true);
    assert_guest_text(g, "/etc/apk/world", "\niw\n", true);
    assert_guest_text(g, "/etc/apk/world", "=", false); /* the pins have gone */
    assert_guest_text(g, "/etc/apk/world", "><", false);
    assert_guest_text(g, "/etc/apk/world", "libnl3", false);
    assert_guest_text(g, "/etc/apk/repositories", "\nhttps://repo.example.invalid/agent\n", true);
    struct disk *d = appliance_as_disk(g->appliance);
    struct disk_stat st;
    bool found;
    assert_ok(
        d->writer->stat(d, "/etc/runlevels/default/qemu-guest-agent", false, &st, &found, &err));
    assert_true(found && S_ISLNK(st.mode));
    assert_ok(d->writer->stat(d, "/usr/bin/qemu-ga", true, &st, &found, &err));
    assert_true(found && st.size > 100000);
    assert_ok(d->writer->stat(d, "/.ingot-packages", false, &st, &found, &err));
    assert_false(found);
}

static void commands(struct guest *g)
{
    const char *const good[] = {"/bin/sh", "-c", "echo $HOME >/root/said; cat /proc/mounts", NULL};
    const char *const bad[] = {"/bin/sh", "-c", "echo one; echo two >&2; exit 7", NULL};
    const char *const absent[] = {"/no/such/program", NULL};
    struct command_line lines[] = {{.argv = good}, {{"r.yaml", 4, 3}, bad}};
    struct recipe r = {.run = lines, .run_count = 1};
    assert_ok(bake_run(g->appliance, &r, &err));
    assert_guest_text(g, "/root/said", "/root\n", true);
    r.run_count = 2;
    assert_fails(bake_run(g->appliance, &r, &err), ERROR_GUEST,
                 "r.yaml:4:3: run: sh failed in the image with status 7:\none\ntwo");
    lines[0].argv = absent;
    assert_fails(bake_run(g->appliance, &r, &err), ERROR_GUEST, "cannot be run in the image");
    const char *const ip[] = {"ip", "-o", "link", NULL};
    autofree char *links = NULL;
    struct guest_command c = {.argv = ip, .output = &links};
    assert_ok(appliance_run(g->appliance, &c, &err));
    assert_null(strstr(links, "eth0")); /* there is no network */
}

/* The same tar and the same sealing through both writers, from the same state: the same tree. */
static void payload_tar(struct guest *g)
{
    static const char big[300000] = "big";
    const struct tar_item items[] = {
        ITEM("etc", AE_IFDIR, 0755, .data = NULL),
        ITEM("etc/folder", AE_IFDIR, 0711, .data = NULL),
        ITEM("etc/folder/inside", AE_IFREG, 0640, .data = "x\n", .size = 2, .uid = 1000, .gid = 12),
        ITEM("etc/network/new/deep/file", AE_IFREG, 0600, .data = "y\n", .size = 2),
        ITEM("etc/ssh/ssh_host_rsa_key", AE_IFREG, 0600, .data = "secret", .size = 6),
        ITEM("etc/zlink", AE_IFLNK, 0777, .link = "/etc/hosts"),
        ITEM("root/.ash_history", AE_IFREG, 0600, .data = "ls\n", .size = 3),
        ITEM("usr/bin/big", AE_IFREG, 0755, .data = big, .size = sizeof big),
        ITEM("usr/bin/big2", 0, 0755, .link = "usr/bin/big"),
        ITEM("var/linked", AE_IFDIR, 0700, .data = NULL),
        ITEM("var/linked/through", AE_IFREG, 0644, .data = "z\n", .size = 2),
        ITEM("var/log/some/app.log", AE_IFREG, 0644, .data = "log\n", .size = 4),
        ITEM("var/log/some/app.log.1.gz", AE_IFREG, 0644, .data = "log\n", .size = 4),
    };
    make_tar(g->tar, items, COUNT(items));
}

/* What neither writer does. */
static void refuse(struct guest *g, struct disk *d)
{
    static const struct {
        struct tar_item item;
        const char *why;
    } bad[] = {
        {ITEM("etc/motd/x", AE_IFREG, 0644, .data = "x", .size = 1), "is a file in the guest"},
        {ITEM("etc/motd", AE_IFDIR, 0755, .data = NULL), "is a file in the guest"},
        {ITEM("etc/apk", AE_IFREG, 0644, .data = "x", .size = 1), "cannot replace the folder"},
        {ITEM("var/out/x", AE_IFREG, 0644, .data = "x", .size = 1), "out of"},
        {ITEM("var/nowhere/x", AE_IFREG, 0644, .data = "x", .size = 1), "leads nowhere"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        make_tar(g->tar, &bad[i].item, 1);
        assert_fails(d->writer->lay(d, g->tar, &err), ERROR_INPUT, bad[i].why);
    }
}

static void lay_and_seal(struct guest *g, struct disk *d)
{
    const struct seal_options o = {.init = INIT_OPENRC, .epoch = EPOCH, .tmp = g->dir};
    const char *const *removed = NULL;
    refuse(g, d);
    payload_tar(g);
    assert_ok(d->writer->lay(d, g->tar, &err));
    assert_fails(bake_seal_assert(d, &o, &err), ERROR_GUEST, "/etc/ssh/ssh_host_rsa_key");
    assert_ok(bake_seal(d, &o, g->arena, &removed, &err));
    assert_ok(bake_seal_assert(d, &o, &err));
}

static void copy_raw(const struct guest *g)
{
    autoclose int from = open(g->raw, O_RDONLY | O_CLOEXEC);
    autoclose int to = open(g->copy, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0);
    assert_ok(file_copy_sparse(from, to, &err));
}

static void compare(struct disk *a, struct disk *b, const char *path, unsigned *seen)
{
    struct disk_stat x, y;
    bool in_a, in_b;
    assert_ok(a->writer->stat(a, path, false, &x, &in_a, &err));
    assert_ok(b->writer->stat(b, path, false, &y, &in_b, &err));
    if (!in_a || !in_b || x.mode != y.mode || x.uid != y.uid || x.gid != y.gid ||
        (!S_ISDIR(x.mode) && x.size != y.size))
        fail_msg("%s differs: mode %o and %o, owner %u:%u and %u:%u, size %llu and %llu", path,
                 x.mode, y.mode, x.uid, x.gid, y.uid, y.gid, (unsigned long long)x.size,
                 (unsigned long long)y.size);
    ++*seen;
    if (S_ISREG(x.mode) && x.size < 1 << 20) {
        autofree char *s = NULL, *t = NULL;
        size_t n = 0, m = 0;
        assert_ok(a->writer->read(a, path, 1 << 20, &s, &n, &err));
        assert_ok(b->writer->read(b, path, 1 << 20, &t, &m, &err));
        if (n != m || memcmp(s, t, n) != 0)
            fail_msg("%s has another content", path);
    }
    if (!S_ISDIR(x.mode))
        return;
    autonames char **names = NULL, **others = NULL;
    assert_ok(a->writer->list(a, path, &names, &err));
    assert_ok(b->writer->list(b, path, &others, &err));
    for (size_t i = 0; names[i] || others[i]; i++) {
        if (!names[i] || !others[i] || strcmp(names[i], others[i]) != 0)
            fail_msg("%s: '%s' in one, '%s' in the other", path, names[i] ? names[i] : "",
                     others[i] ? others[i] : "");
        autofree char *child = path_join(path, names[i]);
        compare(a, b, child, seen);
    }
}

static void both_writers(struct guest *g)
{
    assert_ok(appliance_symlink(g->appliance, "/opt", "/var/linked", &err));
    assert_ok(appliance_symlink(g->appliance, "../../../etc", "/var/out", &err));
    assert_ok(appliance_symlink(g->appliance, "/no/such/folder", "/var/nowhere", &err));
    assert_ok(appliance_trim(g->appliance, &err));
    assert_ok(appliance_snapshot_point(g->appliance, &err));
    copy_raw(g);
    judge_ext4(g->copy, 0);
    assert_ok(appliance_mount(g->appliance, &err));
    lay_and_seal(g, appliance_as_disk(g->appliance));
    assert_ok(appliance_trim(g->appliance, &err));
    assert_ok(appliance_close(take_ptr(g->appliance), &err));
    judge_ext4(g->raw, 0);
    struct disk *d = open_disk(g->copy, true);
    lay_and_seal(g, d);
    close_disk(d);
    judge_ext4(g->copy, 0);
    struct disk *a = open_disk(g->raw, false), *b = open_disk(g->copy, false);
    unsigned seen = 0;
    compare(a, b, "/", &seen);
    assert_true(seen > 1000);
    autofree char *text = NULL;
    size_t size;
    assert_ok(a->writer->read(a, "/opt/through", 100, &text, &size, &err));
    assert_string_equal(text, "z\n");
    close_disk(a);
    close_disk(b);
}

static void test_alpine(void **state)
{
    (void)state;
    struct guest g = {.fixtures = getenv("INGOT_TEST_FIXTURES")};
    if (!g.fixtures)
        skip();
    autotempdir char *dir = unit_temp_dir();
    autoarena struct arena *arena = arena_new();
    g.dir = dir;
    g.arena = arena;
    prepare(&g);
    launch(&g);
    resolve(&g);
    resolve_really(&g);
    resolve_locked(&g);
    install(&g);
    commands(&g);
    both_writers(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alpine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
