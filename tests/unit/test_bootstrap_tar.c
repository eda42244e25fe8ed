#include "unit.h"

#include "bake/bootstrap_tar.h"
#include "base/path.h"
#include "base/process.h"

#include <fcntl.h>

static void write_file(const char *path, const void *bytes, size_t size)
{
    assert_ok(file_write(path, bytes, size, 0600, &err));
}

static char *run(const char *const *argv, const char *cwd)
{
    const struct process p = {.argv = argv, .cwd = cwd, .timeout_seconds = 60};
    autoresult struct process_result r = {0};
    assert_ok(process_check(&p, ERROR_HOST, &r, &err));
    return buffer_take(&r.out);
}

/* tar(1) reads what is written. */
static void test_add(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "t.tar");
    autobuffer struct buffer tar = {0};
    tar_add(&tar, "etc/", 0755, NULL, NULL, 1700000000);
    tar_add(&tar, "etc/x", 0640, "hello\n", NULL, 1700000000);
    tar_add(&tar, "etc/empty", 0600, "", NULL, 1700000000);
    tar_add(&tar, "etc/l", 0777, NULL, "../x", 1700000000);
    tar_add(&tar, "log/", 02755, NULL, NULL, 1700000000);
    tar_end(&tar);
    assert_int_equal(tar.size % 512, 0);
    write_file(path, tar.data, tar.size);
    const char *list[] = {"tar", "--utc", "--numeric-owner", "-tvf", path, NULL};
    autofree char *said = run(list, dir);
    assert_string_equal(said, "drwxr-xr-x 0/0               0 2023-11-14 22:13 etc/\n"
                              "-rw-r----- 0/0               6 2023-11-14 22:13 etc/x\n"
                              "-rw------- 0/0               0 2023-11-14 22:13 etc/empty\n"
                              "lrwxrwxrwx 0/0               0 2023-11-14 22:13 etc/l -> ../x\n"
                              "drwxr-sr-x 0/0               0 2023-11-14 22:13 log/\n");
    const char *extract[] = {"tar", "-xOf", path, "etc/x", NULL};
    autofree char *content = run(extract, dir);
    assert_string_equal(content, "hello\n");
}

static bool copy(const char *from, const char *to, const char *const *patterns,
                 const struct buffer *more, struct tar_totals *totals, struct error **err)
{
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    autoclose int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    return tar_copy_without(in, out, patterns, more, totals, err);
}

/* The remaining members, long names and extended headers included, are what they were. */
static void test_copy(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *tree = path_join(dir, "tree"), *from = path_join(dir, "a.tar"),
                  *to = path_join(dir, "b.tar"), *deep = path_join(tree, "d/dev");
    char longer[180];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_ok(file_make_dirs(deep, 0755, &err));
    const char *const names[] = {"ssh_host_rsa_key", "ssh_config", longer, "d/ssh_host_x",
                                 "d/dev/null"};
    for (size_t i = 0; i < COUNT(names); i++) {
        autofree char *path = path_join(tree, names[i]);
        write_file(path, "0123456789", 10);
    }
    const char *make[] = {"tar", "--format=pax", "--sort=name", "-C", tree, "-cf", from, ".", NULL};
    free(run(make, dir));
    const char *const patterns[] = {"ssh_host_*", "d/dev/*", NULL};
    autobuffer struct buffer more = {0};
    struct tar_totals totals;
    tar_add(&more, "added", 0600, "x", NULL, 0);
    assert_ok(copy(from, to, patterns, &more, &totals, &err));
    const char *list[] = {"tar", "-tf", to, NULL};
    autofree char *said = run(list, dir), *expected = NULL;
    assert_true(asprintf(&expected,
                         "./\n./d/\n./d/dev/\n./d/ssh_host_x\n./%s\n./ssh_config\nadded\n",
                         longer) > 0);
    assert_string_equal(said, expected);
    assert_int_equal(totals.members, 6);
    assert_int_equal(totals.bytes, 3 * 4096);
    const char *extract[] = {"tar", "-xOf", to, "./ssh_config", NULL};
    autofree char *content = run(extract, dir);
    assert_string_equal(content, "0123456789");
}

static void test_damaged(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *from = path_join(dir, "a.tar"), *to = path_join(dir, "b.tar");
    autobuffer struct buffer tar = {0}, none = {0};
    struct tar_totals totals;
    tar_add(&tar, "x", 0600, "0123456789", NULL, 0);
    tar_end(&tar);
    write_file(from, tar.data, 700); /* cut inside the content */
    assert_fails(copy(from, to, NULL, &none, &totals, &err), ERROR_INPUT, "ends early");
    write_file(from, tar.data, 300); /* cut inside the header */
    assert_fails(copy(from, to, NULL, &none, &totals, &err), ERROR_INPUT, "ends early");
    tar.data[3] ^= 1;
    write_file(from, tar.data, tar.size);
    assert_fails(copy(from, to, NULL, &none, &totals, &err), ERROR_INPUT, "damaged");
    tar.data[3] ^= 1;
    write_file(from, tar.data, 1024); /* without the empty blocks: GNU tar reads it too */
    assert_ok(copy(from, to, NULL, &none, &totals, &err));
    assert_int_equal(totals.members, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
