#include "unit.h"

#include "base/path.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <sys/stat.h>

#define EPOCH 1700000000
#define AT(s)                                                                                      \
    {                                                                                              \
        .text = (s), .place = { "r.yaml", 5, 3 }                                                   \
    }
#define SHA_ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define SHA_ONES "1111111111111111111111111111111111111111111111111111111111111111"

static const char *const no_packages[] = {"qemu-guest-agent", NULL};
static const struct facts debian = {.pretty_name = "Debian 12",
                                    .architecture = "amd64",
                                    .init = INIT_SYSTEMD,
                                    .packages = PACKAGES_APT,
                                    .usr_merged = true,
                                    .has_agent = true,
                                    .virtual_size = 1 << 30,
                                    .installed = no_packages};
static const struct facts alpine = {.pretty_name = "Alpine 3.23",
                                    .architecture = "amd64",
                                    .init = INIT_OPENRC,
                                    .packages = PACKAGES_APK,
                                    .virtual_size = 1 << 30,
                                    .installed = no_packages};

/* A recipe made by hand, with an overlay in a temporary folder. */
struct fixture {
    char *dir;
    struct text_at overlays[2];
    struct recipe recipe;
    struct inputs *inputs;
};

static void fixture_free(struct fixture *f)
{
    inputs_free(f->inputs);
    cleanup_tempdir(&f->dir);
    for (size_t i = 0; i < 2; i++)
        free((char *)f->overlays[i].text);
}

static void put(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
    autofree char *path = path_join(f->dir, name);
    autofree char *folder = path_dirname(path);
    assert_ok(file_make_dirs(folder, 0755, &err));
    assert_ok(file_write(path, text, strlen(text), mode, &err));
}

static struct fixture *fixture(struct fixture *f)
{
    *f = (struct fixture){.dir = unit_temp_dir(), .inputs = inputs_new(NULL)};
    f->overlays[0] = (struct text_at){.text = path_join(f->dir, "overlays/a")};
    f->overlays[1] = (struct text_at){.text = path_join(f->dir, "overlays/b")};
    f->recipe = (struct recipe){.file = "r.yaml",
                                .dir = f->dir,
                                .name = AT("demo"),
                                .title = "demo",
                                .base = {.kind = BASE_IMAGE,
                                         .image = AT("https://example.org/base.qcow2"),
                                         .verify = {.kind = VERIFY_DIGEST, .digest = SHA_ZERO}},
                                .distribution = {.name = AT("none")},
                                .outputs = OUTPUT_QCOW2};
    return f;
}

static void with_overlays(struct fixture *f, size_t count)
{
    f->recipe.overlays = (struct text_list){f->overlays, count};
}

static bool make(struct fixture *f, const struct facts *facts, struct plan **p, struct error **err)
{
    return plan_make(&f->recipe, f->inputs, SHA_ONES, facts, NULL, EPOCH, p, err);
}

static const struct plan_entry *find(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->entry_count; i++)
        if (strcmp(p->entries[i].path, path) == 0)
            return &p->entries[i];
    return NULL;
}

static const char *key(const struct plan *p, enum layer_kind kind)
{
    for (size_t i = 0; i < p->layer_count; i++)
        if (p->layers[i].kind == kind)
            return p->layers[i].key;
    return "no such layer";
}

static void overlays_by_init_system(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const struct template_value values[] = {{"greeting", "hello"}};
    f.recipe.template_values = values;
    f.recipe.template_value_count = 1;
    put(&f, "overlays/a/common/etc/a.conf", "a", 0600);
    put(&f, "overlays/a/common/etc/t.conf.in", "@{greeting} @@{x}\n", 0644);
    put(&f, "overlays/a/common/usr/bin/tool", "tool", 0700);
    put(&f, "overlays/a/systemd/lib/systemd/system/x.service", "[Install]\nWantedBy=a.target\n",
        0644);
    put(&f, "overlays/a/openrc/etc/init.d/x", "#!/sbin/openrc-run\n", 0755);
    with_overlays(&f, 1);
    static const struct text_at enable[] = {AT("x"), AT("boot/cgroups")};
    f.recipe.services_enable = (struct text_list){enable, 1};

    autoplan struct plan *p = NULL, *q = NULL, *r = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    const struct plan_entry *e = find(p, "/etc/a.conf");
    assert_int_equal(e->mode, 0644);
    assert_string_equal(e->origin, "overlays/a/common");
    assert_int_equal(find(p, "/usr/bin/tool")->mode, 0755);
    assert_string_equal(find(p, "/etc/t.conf")->content, "hello @{x}\n");
    assert_non_null(find(p, "/usr/lib/systemd/system/x.service"));
    assert_null(find(p, "/etc/init.d/x"));
    e = find(p, "/etc/systemd/system/a.target.wants/x.service");
    assert_int_equal(e->kind, ENTRY_LINK);
    assert_string_equal(e->target, "/usr/lib/systemd/system/x.service");
    assert_null(p->open[0]);
    /* Folders that only hold others are not named, and all is sorted. */
    for (size_t i = 0; i < p->entry_count; i++) {
        assert_int_not_equal(p->entries[i].kind, ENTRY_DIRECTORY);
        if (i)
            assert_true(strcmp(p->entries[i - 1].path, p->entries[i].path) < 0);
    }

    f.recipe.services_enable.count = 2;
    assert_ok(make(&f, &alpine, &q, &err));
    assert_null(find(q, "/lib/systemd/system/x.service"));
    assert_string_equal(find(q, "/etc/runlevels/default/x")->target, "/etc/init.d/x");
    assert_string_equal(find(q, "/etc/runlevels/boot/cgroups")->target, "/etc/init.d/cgroups");
    assert_non_null(find(q, "/etc/runlevels/default/qemu-guest-agent"));

    assert_ok(make(&f, NULL, &r, &err));
    assert_null(find(r, "/etc/init.d/x"));
    assert_non_null(find(r, "/etc/a.conf"));
    assert_string_equal(r->open[0], "files that differ by init system");
    assert_string_equal(r->open[1], "links that enable services");
    /* The base's profile may say the init system before the base has been looked at. */
    f.recipe.base.init = "openrc";
    autoplan struct plan *hinted = NULL;
    assert_ok(make(&f, NULL, &hinted, &err));
    assert_non_null(find(hinted, "/etc/init.d/x"));
    assert_non_null(find(hinted, "/etc/runlevels/default/x"));
    assert_null(key(hinted, LAYER_PAYLOAD));
    assert_non_null(key(r, LAYER_BASE));
    assert_null(key(r, LAYER_SYSTEM));
    assert_null(key(r, LAYER_SEAL));
}

static void units_that_packages_bring(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const struct text_at enable[] = {AT("podman.socket"), AT("crio"), AT("getty@ttyS0")};
    static const struct text_at disable[] = {AT("unattended-upgrades")};
    f.recipe.services_enable = (struct text_list){enable, 3};
    f.recipe.services_disable = (struct text_list){disable, 1};
    autoplan struct plan *p = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    static const struct {
        const char *path, *target;
    } want[] = {
        {"sockets.target.wants/podman.socket", "podman.socket"},
        {"multi-user.target.wants/crio.service", "crio.service"},
        {"multi-user.target.wants/getty@ttyS0.service", "getty@.service"},
        {"multi-user.target.wants/unattended-upgrades.service", NULL},
        {"graphical.target.wants/unattended-upgrades.service", NULL},
    };
    for (size_t i = 0; i < COUNT(want); i++) {
        char path[256], target[256];
        snprintf(path, sizeof path, "/etc/systemd/system/%s", want[i].path);
        snprintf(target, sizeof target, "/usr/lib/systemd/system/%s", want[i].target);
        const struct plan_entry *e = find(p, path);
        assert_non_null(e);
        assert_int_equal(e->kind, want[i].target ? ENTRY_LINK : ENTRY_ABSENT);
        if (want[i].target)
            assert_string_equal(e->target, target);
    }
    static const struct text_at bad[] = {AT("../evil")};
    f.recipe.services_enable = (struct text_list){bad, 1};
    autoplan struct plan *q = NULL;
    assert_fails(make(&f, &debian, &q, &err), ERROR_INPUT, "is not the name of a service");
}

static void services_that_cannot_be(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "overlays/a/systemd/etc/systemd/system/n.service", "[Service]\nExecStart=/x\n", 0644);
    put(&f, "overlays/a/systemd/etc/systemd/system/loop.service", "[Install]\nAlso=loop.service\n",
        0644);
    put(&f, "overlays/a/systemd/etc/systemd/system/t@.service",
        "[Install]\nWantedBy=multi-user.target\n", 0644);
    put(&f, "overlays/a/openrc/etc/init.d/n", "#!/sbin/openrc-run\n", 0644);
    with_overlays(&f, 1);
    static const struct {
        const char *name;
        const struct facts *facts;
        const char *part;
    } bad[] = {
        {"n", &debian, "has no [Install] section"}, {"loop", &debian, "has no [Install] section"},
        {"t@", &debian, "name an instance"},        {"n", &alpine, "not executable"},
        {"nowhere/n", &alpine, "no such runlevel"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct text_at enable[] = {AT(bad[i].name)};
        f.recipe.services_enable = (struct text_list){enable, 1};
        autoplan struct plan *p = NULL;
        assert_fails(make(&f, bad[i].facts, &p, &err), ERROR_INPUT, bad[i].part);
    }
}

static void the_agent_stays(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const char *const names[] = {"qemu-guest-agent", "qemu-guest-agent.service",
                                        "default/qemu-guest-agent"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct text_at disable[] = {AT(names[i])};
        f.recipe.services_disable = (struct text_list){disable, 1};
        autoplan struct plan *p = NULL;
        assert_fails(make(&f, &alpine, &p, &err), ERROR_INPUT, "cannot be disabled");
    }
}

static void later_wins(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "overlays/a/etc/x", "first", 0644);
    put(&f, "overlays/b/etc/x", "second", 0644);
    put(&f, "overlays/b/etc/y", "overlay", 0644);
    with_overlays(&f, 2);
    static const struct inline_file files[] = {
        {.path = AT("/etc/y"), .content = AT("file"), .mode = 0640, .owner = "1000:root"}};
    f.recipe.files = files;
    f.recipe.file_count = 1;
    static const struct directory directories[] = {
        {.path = AT("/etc/z"), .mode = 01777, .owner = "root"}};
    f.recipe.directories = directories;
    f.recipe.directory_count = 1;
    autoplan struct plan *p = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    assert_string_equal(find(p, "/etc/x")->origin, "overlays/b");
    const struct plan_entry *e = find(p, "/etc/y");
    assert_string_equal(e->content, "file");
    assert_string_equal(e->origin, "r.yaml:5:3 files");
    assert_int_equal(e->mode, 0640);
    assert_int_equal(e->uid, 1000);
    assert_int_equal(e->gid, 0);
    assert_int_equal(find(p, "/etc/z")->mode, 01777);
    assert_true(find(p, "/etc/z")->force);
}

static void files_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *owner;
        mode_t mode;
        const char *part;
    } bad[] = {
        {"/etc/dir", NULL, 0644, "a folder by overlays/a"},
        {"/etc/file/below", NULL, 0644, "is a file by overlays/a"},
        {"/usr/bin/x", NULL, 04755, "set-uid"},
        {"/etc/x", "alice", 0644, "only root and numbers"},
        {"/etc/x", "1000:", 0644, "only root and numbers"},
        {"/etc/x", "99999999999", 0644, "only root and numbers"},
        {"/etc/../x", NULL, 0644, "is not a guest path"},
        {"etc/x", NULL, 0644, "is not a guest path"},
        {"/etc//x", NULL, 0644, "is not a guest path"},
        {"/etc/x/", NULL, 0644, "is not a guest path"},
        {"/", NULL, 0644, "is not a guest path"},
        {"/etc/a\nb", NULL, 0644, "is not a guest path"},
        {"/etc/machine-id", NULL, 0644, "would be taken out of the image again"},
        {"/tmp/x", NULL, 0644, "would be taken out of the image again"},
        {"/etc/ssh/ssh_host_rsa_key", NULL, 0600, "would be taken out of the image again"},
        {"/home/joe/.bash_history", NULL, 0600, "would be taken out of the image again"},
        {"/var/lib/k/token", NULL, 0644, "must never be in an image"},
        {"/var/lib/k/pki/ca.key", NULL, 0644, "must never be in an image"},
    };
    static const char *const never[] = {"/var/lib/k/token", "/var/lib/k/pki", NULL};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cleanup(fixture_free) struct fixture f;
        fixture(&f);
        put(&f, "overlays/a/etc/dir/x", "x", 0644);
        put(&f, "overlays/a/etc/file", "x", 0644);
        with_overlays(&f, 1);
        const struct inline_file files[] = {{.path = AT(bad[i].path),
                                             .content = AT("x"),
                                             .mode = bad[i].mode,
                                             .owner = bad[i].owner}};
        f.recipe.files = files;
        f.recipe.file_count = 1;
        f.recipe.distribution.never_baked = never;
        autoplan struct plan *p = NULL;
        assert_fails(make(&f, &debian, &p, &err), ERROR_INPUT, bad[i].part);
        /* What is named may be set-uid, under either name of a merged folder. */
        if (bad[i].mode & S_ISUID) {
            static const struct text_at setuid[] = {AT("/bin/x")};
            f.recipe.setuid = (struct text_list){setuid, 1};
            autoplan struct plan *q = NULL;
            assert_ok(make(&f, &debian, &q, &err));
            assert_int_equal(find(q, "/usr/bin/x")->mode, 04755);
        }
    }
}

static void merged_usr(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const char *const given[] = {"/bin/a", "/sbin/b", "/lib/c", "/lib64/d", "/library/e"};
    static const char *const merged[] = {"/usr/bin/a", "/usr/sbin/b", "/usr/lib/c", "/usr/lib64/d",
                                         "/library/e"};
    struct inline_file files[COUNT(given)];
    for (size_t i = 0; i < COUNT(given); i++)
        files[i] = (struct inline_file){.path = AT(given[i]), .content = AT("x"), .mode = 0644};
    f.recipe.files = files;
    f.recipe.file_count = COUNT(files);
    autoplan struct plan *p = NULL, *q = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    assert_ok(make(&f, &alpine, &q, &err));
    for (size_t i = 0; i < COUNT(given); i++) {
        assert_non_null(find(p, merged[i]));
        assert_non_null(find(q, given[i]));
    }
}

static void settings(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const struct text_at modules[] = {AT("overlay"), AT("br_netfilter")};
    static const struct sysctl sysctls[] = {{AT("net.ipv4.ip_forward"), AT("1")}};
    static const struct text_at mirrors[] = {AT("http://localhost:5000")};
    static const struct registry registries[] = {
        {.name = AT("docker.io"), .mirrors = {mirrors, 1}}};
    f.recipe.modules = (struct text_list){modules, 2};
    f.recipe.sysctls = sysctls;
    f.recipe.sysctl_count = 1;
    f.recipe.registries = registries;
    f.recipe.registry_count = 1;
    f.recipe.distribution.config_path = "/etc/k/config.yaml";
    f.recipe.distribution.config_text = "a: 1\n";
    autoplan struct plan *p = NULL, *q = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    assert_string_equal(find(p, "/etc/modules-load.d/50-ingot.conf")->content,
                        "overlay\nbr_netfilter\n");
    assert_string_equal(find(p, "/etc/sysctl.d/50-ingot.conf")->content,
                        "net.ipv4.ip_forward = 1\n");
    assert_int_equal(find(p, "/etc/k/config.yaml")->mode, 0600);
    assert_non_null(find(p, "/etc/containers/registries.conf.d/50-ingot.conf"));
    f.recipe.distribution.name.text = "k3s";
    assert_fails(make(&f, &debian, &q, &err), ERROR_INPUT, "reads no registries");
    f.recipe.distribution.registries = "k3s";
    assert_ok(make(&f, &debian, &q, &err));
    assert_non_null(find(q, "/etc/rancher/k3s/registries.yaml"));

    static const struct text_at bad_modules[] = {AT("a b")};
    static const struct sysctl bad_sysctls[] = {{AT("a=b"), AT("1")}};
    static const struct sysctl long_sysctls[] = {{AT("a"), AT("1\nb = 2")}};
    autoplan struct plan *r = NULL;
    f.recipe.modules = (struct text_list){bad_modules, 1};
    assert_fails(make(&f, &debian, &r, &err), ERROR_INPUT, "kernel module");
    f.recipe.modules.count = 0;
    f.recipe.sysctls = bad_sysctls;
    assert_fails(make(&f, &debian, &r, &err), ERROR_INPUT, "name of a sysctl");
    f.recipe.sysctls = long_sysctls;
    assert_fails(make(&f, &debian, &r, &err), ERROR_INPUT, "one line");
}

static void packages(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    static const struct text_at wanted[] = {AT("podman"), AT("curl"), AT("podman")};
    f.recipe.packages = (struct text_list){wanted, 3};
    static const char *const curl_only[] = {"curl", NULL};
    struct facts facts = debian;
    facts.installed = curl_only;
    facts.has_agent = false;
    autoplan struct plan *p = NULL, *q = NULL;
    assert_ok(make(&f, &facts, &p, &err));
    assert_string_equal(p->packages_wanted[0], "podman");
    assert_string_equal(p->packages_wanted[1], "qemu-guest-agent");
    assert_null(p->packages_wanted[2]);
    assert_non_null(key(p, LAYER_BASE));
    assert_null(key(p, LAYER_SYSTEM));
    assert_null(key(p, LAYER_PAYLOAD));

    struct package one = {
        .name = "podman", .version = "4.3", .digest_kind = DIGEST_SHA256, .digest = SHA_ONES};
    struct resolution resolution = {.packages = &one, .count = 1};
    assert_ok(plan_make(&f.recipe, f.inputs, SHA_ONES, &facts, &resolution, EPOCH, &q, &err));
    assert_non_null(key(q, LAYER_SYSTEM));
    autofree char *before = strdup(key(q, LAYER_SYSTEM));
    one.digest = SHA_ZERO;
    autoplan struct plan *r = NULL, *s = NULL;
    assert_ok(plan_make(&f.recipe, f.inputs, SHA_ONES, &facts, &resolution, EPOCH, &r, &err));
    assert_string_not_equal(before, key(r, LAYER_SYSTEM));

    facts.packages = PACKAGES_NONE;
    assert_fails(make(&f, &facts, &s, &err), ERROR_INPUT, "neither apt nor apk");
    f.recipe.packages.count = 0;
    assert_fails(make(&f, &facts, &s, &err), ERROR_INPUT, "no guest agent");
    facts.has_agent = true;
    assert_ok(make(&f, &facts, &s, &err));
    assert_string_equal(key(s, LAYER_SYSTEM), "no such layer");
}

static void facts_are_checked(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    autoplan struct plan *p = NULL;
    f.recipe.disk = 1 << 20;
    f.recipe.disk_place = (struct place){"r.yaml", 9, 7};
    assert_fails(make(&f, &debian, &p, &err), ERROR_INPUT, "r.yaml:9:7");
    f.recipe.disk = 0;
    f.recipe.arch = ARCH_ARM64;
    assert_fails(make(&f, &debian, &p, &err), ERROR_INPUT, "the base is for amd64");
    f.recipe.arch = ARCH_AMD64;
    f.recipe.disk = (uint64_t)2 << 30;
    assert_ok(make(&f, &debian, &p, &err));
    assert_non_null(key(p, LAYER_SYSTEM));
}

static void keys_depend_on_what_they_should(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "overlays/a/etc/x", "one", 0644);
    with_overlays(&f, 1);
    f.recipe.disk = (uint64_t)2 << 30;
    autoplan struct plan *first = NULL, *again = NULL, *changed = NULL, *later = NULL, *mode = NULL;
    assert_ok(make(&f, &debian, &first, &err));
    assert_ok(make(&f, &debian, &again, &err));
    for (enum layer_kind k = LAYER_BASE; k < LAYER_KINDS; k++)
        assert_string_equal(key(first, k), key(again, k));

    /* A changed file changes the payload and what stands on it. */
    put(&f, "overlays/a/etc/x", "two", 0644);
    inputs_free(f.inputs);
    f.inputs = inputs_new(NULL);
    assert_ok(make(&f, &debian, &changed, &err));
    assert_string_equal(key(first, LAYER_SYSTEM), key(changed, LAYER_SYSTEM));
    assert_string_not_equal(key(first, LAYER_PAYLOAD), key(changed, LAYER_PAYLOAD));
    assert_string_not_equal(key(first, LAYER_SEAL), key(changed, LAYER_SEAL));

    put(&f, "overlays/a/etc/x", "two", 0755);
    inputs_free(f.inputs);
    f.inputs = inputs_new(NULL);
    assert_ok(make(&f, &debian, &mode, &err));
    assert_string_not_equal(key(changed, LAYER_PAYLOAD), key(mode, LAYER_PAYLOAD));

    assert_ok(plan_make(&f.recipe, f.inputs, SHA_ONES, &debian, NULL, EPOCH + 1, &later, &err));
    assert_string_equal(key(mode, LAYER_BASE), key(later, LAYER_BASE));
    assert_string_not_equal(key(mode, LAYER_SYSTEM), key(later, LAYER_SYSTEM));

    /* boot: and where the recipe lies are in no key. */
    f.recipe.boot.memory = 1 << 30;
    f.recipe.file = "elsewhere.yaml";
    f.recipe.outputs = OUTPUT_RAW;
    autoplan struct plan *boot = NULL;
    assert_ok(make(&f, &debian, &boot, &err));
    assert_string_equal(key(mode, LAYER_SEAL), key(boot, LAYER_SEAL));
}

static void sources(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "local", "abc", 0644);
    autofree char *local = path_join(f.dir, "local");
    static char sha512[129];
    memset(sha512, 'a', 128);
    struct source list[] = {
        {.url = AT("https://example.org/a"),
         .verify = {.kind = VERIFY_DIGEST, .digest = SHA_ONES},
         .to = AT("/usr/local/bin/a"),
         .mode = 0755},
        {.url = AT("https://example.org/b"),
         .verify = {.kind = VERIFY_DIGEST, .digest_kind = DIGEST_SHA512, .digest = sha512},
         .to = AT("/b"),
         .mode = 0644},
        {.url = AT(local), .to = AT("/local"), .mode = 0644},
        {.url = AT("https://example.org/c.tgz"),
         .verify = {.kind = VERIFY_CHECKSUMS, .checksums = "https://example.org/SHA256SUMS"},
         .unpack = "tar",
         .to = AT("/opt/c")},
    };
    f.recipe.sources = list;
    f.recipe.source_count = 3;
    autoplan struct plan *p = NULL, *q = NULL, *r = NULL, *s = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    assert_int_equal(p->fetch_count, 3);
    assert_string_equal(p->fetches[0].why, "base image");
    assert_string_equal(p->fetches[1].why, "source for /b");
    assert_string_equal(find(p, "/usr/local/bin/a")->digest, SHA_ONES);
    assert_null(find(p, "/b")->digest);
    assert_string_equal(find(p, "/local")->source, local);
    assert_null(find(p, "/local")->url);
    autofree char *before = strdup(key(p, LAYER_PAYLOAD));

    /* Learning a digest whose SHA-512 the recipe says changes no key. */
    inputs_learn(f.inputs, "https://example.org/b", SHA_ZERO);
    assert_ok(make(&f, &debian, &q, &err));
    assert_string_equal(find(q, "/b")->digest, SHA_ZERO);
    assert_string_equal(key(q, LAYER_PAYLOAD), before);

    /* What a checksum file verifies must be learned first. */
    f.recipe.source_count = 4;
    assert_ok(make(&f, &debian, &r, &err));
    assert_null(key(r, LAYER_PAYLOAD));
    inputs_learn(f.inputs, "https://example.org/c.tgz", SHA_ONES);
    assert_ok(make(&f, &debian, &s, &err));
    assert_non_null(key(s, LAYER_PAYLOAD));

    autoplan struct plan *t = NULL;
    list[0].verify = (struct verify){.kind = VERIFY_NONE};
    assert_fails(make(&f, &debian, &t, &err), ERROR_TRUST, "nothing to verify it by");
    list[0].verify = (struct verify){.kind = VERIFY_DIGEST, .digest = SHA_ONES};
    list[2].verify = (struct verify){.kind = VERIFY_DIGEST, .digest = SHA_ONES};
    assert_fails(make(&f, &debian, &t, &err), ERROR_TRUST, "expected " SHA_ONES);
}

static void one_file_is_shown(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "overlays/a/etc/from-disk", "on disk\n", 0644);
    with_overlays(&f, 1);
    static const struct inline_file files[] = {
        {.path = AT("/etc/motd"), .content = AT("hello\n"), .mode = 0644}};
    static const struct directory directories[] = {{.path = AT("/etc/z"), .mode = 0755}};
    f.recipe.files = files;
    f.recipe.file_count = 1;
    f.recipe.directories = directories;
    f.recipe.directory_count = 1;
    autoplan struct plan *p = NULL;
    assert_ok(make(&f, &debian, &p, &err));
    static const char *const paths[] = {"/etc/motd", "/etc/from-disk"};
    static const char *const texts[] = {"hello\n", "on disk\n"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        autofree char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        assert_ok(plan_show(p, paths[i], out, &err));
        fclose(out);
        assert_string_equal(text, texts[i]);
    }
    assert_fails(plan_show(p, "/etc/mot", stdout, &err), ERROR_INPUT, "did you mean /etc/motd?");
    assert_fails(plan_show(p, "/usr/motd", stdout, &err), ERROR_INPUT, "did you mean /etc/motd?");
    assert_fails(plan_show(p, "/etc/z", stdout, &err), ERROR_INPUT, "is no file");
}

/* They and their keys are kept in the image. */
static void repositories_are_part_of_the_key(void **state)
{
    (void)state;
    cleanup(fixture_free) struct fixture f;
    fixture(&f);
    put(&f, "a.gpg", "key a", 0644);
    autofree char *file = path_join(f.dir, "a.gpg");
    struct repository repository = {.kind = REPOSITORY_APT,
                                    .url = "https://one.example.org",
                                    .suite = "x/",
                                    .key = {.text = file}};
    autoplan struct plan *none = NULL, *one = NULL, *two = NULL, *three = NULL, *other = NULL;
    assert_ok(make(&f, &debian, &none, &err));
    assert_string_equal(key(none, LAYER_SYSTEM), "no such layer");
    f.recipe.repositories = &repository;
    f.recipe.repository_count = 1;
    assert_ok(make(&f, &debian, &one, &err));
    assert_int_equal(strlen(key(one, LAYER_SYSTEM)), 64);
    repository.url = "https://two.example.org";
    assert_ok(make(&f, &debian, &two, &err));
    assert_string_not_equal(key(two, LAYER_SYSTEM), key(one, LAYER_SYSTEM));
    put(&f, "a.gpg", "key b", 0644);
    inputs_free(f.inputs);
    f.inputs = inputs_new(NULL);
    assert_ok(make(&f, &debian, &three, &err));
    assert_string_not_equal(key(three, LAYER_SYSTEM), key(two, LAYER_SYSTEM));
    repository.kind = REPOSITORY_APK; /* not kept in a guest with apt */
    assert_ok(make(&f, &debian, &other, &err));
    assert_string_equal(key(other, LAYER_SYSTEM), "no such layer");
    static const struct text_at nowhere = AT("/nonexistent.gpg");
    repository.key = nowhere;
    autoplan struct plan *never = NULL;
    assert_fails(make(&f, &debian, &never, &err), ERROR_INPUT, "/nonexistent.gpg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlays_by_init_system),
        cmocka_unit_test(units_that_packages_bring),
        cmocka_unit_test(services_that_cannot_be),
        cmocka_unit_test(the_agent_stays),
        cmocka_unit_test(later_wins),
        cmocka_unit_test(files_that_are_refused),
        cmocka_unit_test(merged_usr),
        cmocka_unit_test(settings),
        cmocka_unit_test(packages),
        cmocka_unit_test(facts_are_checked),
        cmocka_unit_test(keys_depend_on_what_they_should),
        cmocka_unit_test(repositories_are_part_of_the_key),
        cmocka_unit_test(sources),
        cmocka_unit_test(one_file_is_shown),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
