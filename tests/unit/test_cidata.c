#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "cidata/cidata.h"

static const char *const keys[] = {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA \"quoted\\\" ümlaut",
                                   "ssh-rsa AAAAB3 b@c", NULL};
static const char *const servers[] = {"10.0.0.1", "fd00::1", NULL};
static const char hash[] = "$6$saltsalt$abcdefghijklmnopqrstuvwxyz./0123456789";

static struct cidata cloud(void)
{
    return (struct cidata){.kind = "cloud-init",
                           .instance_id = "ingot-1234",
                           .hostname = "demo-1",
                           .user = "debian",
                           .ssh_keys = keys,
                           .password_hash = hash,
                           .address = "10.0.0.50/24",
                           .gateway = "10.0.0.1",
                           .nameservers = servers,
                           .epoch = 1700000000};
}

static char *output(const char *const *argv)
{
    autoresult struct process_result r = {0};
    assert_ok(process_check(&(struct process){.argv = argv, .timeout_seconds = 60}, ERROR_GUEST, &r,
                            &err));
    return buffer_take(&r.out);
}

static void texts(void **state)
{
    (void)state;
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    const struct cidata c = cloud();
    assert_ok(cidata_texts(&c, &user, &meta, &network, &err));
    assert_string_equal(user, "#cloud-config\n"
                              "user:\n"
                              "  name: \"debian\"\n"
                              "  lock_passwd: false\n"
                              "  hashed_passwd: \"$6$saltsalt$abcdefghijklmnopqrstuvwxyz./"
                              "0123456789\"\n"
                              "ssh_authorized_keys:\n"
                              "  - \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA \\\"quoted\\\\\\\" "
                              "ümlaut\"\n"
                              "  - \"ssh-rsa AAAAB3 b@c\"\n"
                              "locale: \"false\"\n");
    assert_string_equal(meta, "instance-id: \"ingot-1234\"\nlocal-hostname: \"demo-1\"\n");
    assert_non_null(strstr(network, "match: {name: \"eth*\"}"));
    assert_non_null(strstr(network, "addresses: [\"10.0.0.50/24\"]"));
    assert_non_null(strstr(network, "gateway4: \"10.0.0.1\""));
}

static void plain(void **state)
{
    (void)state;
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    const struct cidata c = {
        .kind = "cloud-init", .instance_id = "i", .hostname = "h", .has_locales = true};
    assert_ok(cidata_texts(&c, &user, &meta, &network, &err));
    assert_string_equal(user, "#cloud-config\n");
    assert_null(network);
    assert_null(cidata_find_key(meta, 0));
}

static void has_keys(const char *meta)
{
    autofree char *one = cidata_find_key(meta, 0), *two = cidata_find_key(meta, 1);
    assert_string_equal(one, keys[0]);
    assert_string_equal(two, keys[1]);
    assert_null(cidata_find_key(meta, 2));
}

static void given(void **state)
{
    (void)state;
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    struct cidata c = cloud();
    c.user_data = "#!/bin/sh\ntrue\n";
    c.network_config = "version: 2\n";
    assert_ok(cidata_texts(&c, &user, &meta, &network, &err));
    assert_string_equal(user, c.user_data);
    assert_string_equal(network, "version: 2\n");
    assert_non_null(strstr(meta, "public-keys:\n  - \"ssh-ed25519 "));
    has_keys(meta);
}

static void tiny(void **state)
{
    (void)state;
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    struct cidata c = cloud();
    c.kind = "tiny-cloud";
    assert_fails(cidata_texts(&c, &user, &meta, &network, &err), ERROR_UNSUPPORTED, "tiny-cloud");
    c.address = c.gateway = NULL;
    c.nameservers = NULL;
    assert_ok(cidata_texts(&c, &user, &meta, &network, &err));
    assert_non_null(
        strstr(meta, "hostname: \"demo-1\"\npublic-keys:\n  \"0\":\n    openssh-key: "));
    assert_non_null(strstr(user, "'debian:$6$saltsalt$"));
    has_keys(meta);
    assert_null(network);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        size_t member;
        const char *value, *message;
    } bad[] = {
        {offsetof(struct cidata, hostname), "a b", "no host name"},
        {offsetof(struct cidata, hostname), "-a", "no host name"},
        {offsetof(struct cidata, hostname), "a-", "no host name"},
        {offsetof(struct cidata, hostname), "a..b", "no host name"},
        {offsetof(struct cidata, hostname), NULL, "no host name"},
        {offsetof(struct cidata, instance_id), "a\nb", "instance-id"},
        {offsetof(struct cidata, user), "a'b", "login name"},
        {offsetof(struct cidata, password_hash), "secret", "crypt(5)"},
        {offsetof(struct cidata, password_hash), "$6$a$bbbbbbbbbbbbbbbbb'x", "crypt(5)"},
        {offsetof(struct cidata, address), "10.0.0.50", "prefix"},
        {offsetof(struct cidata, address), "10.0.0.50/33", "prefix"},
        {offsetof(struct cidata, address), "10.0.0.500/24", "prefix"},
        {offsetof(struct cidata, gateway), "router", "no IP address"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        autofree char *user = NULL, *meta = NULL, *network = NULL;
        struct cidata c = cloud();
        memcpy((char *)&c + bad[i].member, &bad[i].value, sizeof bad[i].value);
        assert_fails(cidata_texts(&c, &user, &meta, &network, &err), ERROR_INPUT, bad[i].message);
    }
    static const char *const bad_keys[] = {"ssh-ed25519 AAAA\nroot: x", NULL};
    struct cidata c = cloud();
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    c.ssh_keys = bad_keys;
    assert_fails(cidata_texts(&c, &user, &meta, &network, &err), ERROR_INPUT, "SSH public key");
}

/* Judged by others: blkid, xorriso, and our own reader. */
static void image(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "seed.iso"), *text = NULL;
    const struct cidata c = cloud();
    assert_ok(cidata_write(&c, path, &err));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(cidata_read(path, "meta-data", 4096, &text, &err));
    assert_string_equal(text, "instance-id: \"ingot-1234\"\nlocal-hostname: \"demo-1\"\n");
    autofree char *none = NULL, *large = NULL;
    assert_ok(cidata_read(path, "vendor-data", 4096, &none, &err));
    assert_null(none);
    assert_fails(cidata_read(path, "user-data", 10, &large, &err), ERROR_INPUT, "larger than");
    autofree char *blkid = process_find("blkid"), *xorriso = process_find("xorriso");
    if (blkid) {
        autofree char *said =
            output((const char *[]){"blkid", "-p", "-s", "LABEL", "-s", "TYPE", path, NULL});
        assert_non_null(strstr(said, "LABEL=\"cidata\" TYPE=\"iso9660\""));
    }
    if (xorriso) {
        autofree char *said = output((const char *[]){"xorriso", "-indev", path, "-find", NULL});
        assert_non_null(strstr(said, "/user-data'"));
        assert_non_null(strstr(said, "/network-config'"));
    }
}

static void same_bytes(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *one = path_join(dir, "one"), *two = path_join(dir, "two"), *a = NULL, *b = NULL;
    size_t n, m;
    struct cidata c = cloud();
    assert_ok(cidata_write(&c, one, &err));
    sleep(2); /* times on an ISO have a resolution of a second */
    setenv("TZ", "Asia/Tokyo", 1);
    assert_ok(cidata_write(&c, two, &err));
    unsetenv("TZ");
    assert_ok(file_read(one, 4 << 20, &a, &n, &err));
    assert_ok(file_read(two, 4 << 20, &b, &m, &err));
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    c.epoch++;
    autofree char *later = NULL;
    assert_ok(cidata_write(&c, two, &err));
    assert_ok(file_read(two, 4 << 20, &later, &m, &err));
    assert_true(n == m && memcmp(a, later, n) != 0);
    c.epoch = (int64_t)1 << 60;
    assert_fails(cidata_write(&c, two, &err), ERROR_INPUT, "no time");
}

static void not_an_iso(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "x"), *text = NULL;
    assert_ok(file_write(path, "nothing", 7, 0600, &err));
    assert_fails(cidata_read(path, "user-data", 10, &text, &err), ERROR_INPUT, "ISO image");
    assert_fails(cidata_read("/nonexistent", "user-data", 10, &text, &err), ERROR_INPUT,
                 "ISO image");
}

static void schema(void **state)
{
    (void)state;
    autofree char *cloud_init = process_find("cloud-init");
    if (!cloud_init)
        skip();
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "user-data"), *user = NULL, *meta = NULL, *network = NULL;
    const struct cidata c = cloud();
    assert_ok(cidata_texts(&c, &user, &meta, &network, &err));
    assert_ok(file_write(path, user, strlen(user), 0644, &err));
    autofree char *said = output((const char *[]){"cloud-init", "schema", "-c", path, NULL});
    assert_non_null(strstr(said, "Valid cloud-config"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),      cmocka_unit_test(plain),   cmocka_unit_test(given),
        cmocka_unit_test(tiny),       cmocka_unit_test(refused), cmocka_unit_test(image),
        cmocka_unit_test(same_bytes), cmocka_unit_test(schema),  cmocka_unit_test(not_an_iso),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
