#include "unit.h"

#include "base/digest.h"
#include "base/path.h"

#include <fcntl.h>

static void write_then_read(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "a");
    autofree char *text = NULL;
    size_t size;
    struct stat st;
    assert_ok(file_write(path, "hello", 5, 0640, &err));
    assert_ok(file_read(path, 5, &text, &size, &err));
    assert_string_equal(text, "hello");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    autofree char *again = NULL;
    assert_fails(file_read(path, 4, &again, &size, &err), ERROR_INPUT, "larger than 4 bytes");
    assert_fails(file_read(dir, 4, &again, &size, &err), ERROR_INPUT, "is a folder");
}

static void abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "a");
    {
        autonew struct new_file f = NEW_FILE;
        assert_ok(file_create(&f, path, 0600, &err));
        assert_ok(file_write_all(f.fd, "x", 1, &err));
    }
    assert_int_equal(rmdir(dir), 0);
}

static void publish_exchanges_folders(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *new = path_join(dir, "new"), *old = path_join(dir, "old");
    autofree char *in_new = path_join(new, "n"), *in_old = path_join(old, "o");
    autofree char *moved = path_join(old, "n");
    assert_ok(file_make_dirs(new, 0755, &err));
    assert_ok(file_make_dirs(old, 0755, &err));
    assert_ok(file_write(in_new, "n", 1, 0644, &err));
    assert_ok(file_write(in_old, "o", 1, 0644, &err));
    assert_fails(file_publish(new, old, false, &err), ERROR_CONFLICT, "cannot rename");
    assert_ok(file_publish(new, old, true, &err));
    assert_int_equal(access(moved, F_OK), 0);
    assert_int_not_equal(access(in_old, F_OK), 0);
    assert_int_not_equal(access(new, F_OK), 0);
}

static void sparse_copy_keeps_holes(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *a = path_join(dir, "a"), *b = path_join(dir, "b");
    autoclose int from = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    autoclose int to = open(b, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(from, "begin", 5, 0), 5);
    assert_int_equal(pwrite(from, "end", 3, 64 << 20), 3);
    assert_int_equal(ftruncate(from, 128 << 20), 0);
    assert_int_equal(pwrite(to, "stale text", 10, 5 << 20), 10);
    assert_ok(file_copy_sparse(from, to, &err));
    struct stat st, was;
    assert_int_equal(fstat(from, &was), 0);
    assert_int_equal(fstat(to, &st), 0);
    assert_int_equal(st.st_size, 128 << 20);
    assert_true(file_allocated(&st) <= file_allocated(&was));
    char one[DIGEST_HEX_MAX], two[DIGEST_HEX_MAX];
    assert_ok(digest_fd(DIGEST_SHA256, from, one, NULL, &err));
    assert_ok(digest_fd(DIGEST_SHA256, to, two, NULL, &err));
    assert_string_equal(one, two);
}

static void a_lock_is_exclusive(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "lock");
    autoerror struct error *e = NULL;
    autoclose int one = file_lock(path, true, false, NULL, &e);
    assert_true(one >= 0);
    assert_int_equal(file_lock(path, true, false, NULL, &e), -1);
    assert_int_equal(error_kind(e), ERROR_CONFLICT);
}

/* Each byte of a file is a lock of its own, also within one process. */
static void a_byte_is_a_lock(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "locks");
    const uint64_t last = INT64_MAX - 1;
    autoerror struct error *e = NULL;
    int one = file_lock_byte(path, 7, false, NULL, &e);
    autoclose int other = file_lock_byte(path, 8, false, NULL, &e);
    autoclose int far = file_lock_byte(path, last, false, NULL, &e);
    assert_true(one >= 0 && other >= 0 && far >= 0);
    assert_null(e);
    assert_fails(file_lock_byte(path, 7, false, NULL, &err) >= 0, ERROR_CONFLICT, "is locked");
    assert_fails(file_lock_byte(path, last, false, NULL, &err) >= 0, ERROR_CONFLICT, "is locked");
    close(one);
    autoclose int again = file_lock_byte(path, 7, true, NULL, &e);
    assert_true(again >= 0);
}

static void unsynced_is_whole(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "record"), *text = NULL;
    size_t size;
    assert_ok(file_write_unsynced(path, "one", 3, 0600, &err));
    assert_ok(file_write_unsynced(path, "second", 6, 0600, &err));
    assert_ok(file_read(path, 100, &text, &size, &err));
    assert_string_equal(text, "second");
    assert_fails(file_write_unsynced("/nonexistent/x", "", 0, 0600, &err), ERROR_HOST,
                 "/nonexistent");
}

static void remove_tree_follows_no_link(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *keep = path_join(dir, "keep"), *tree = path_join(dir, "tree");
    autofree char *link = path_join(tree, "link");
    assert_ok(file_make_dirs(tree, 0755, &err));
    assert_ok(file_write(keep, "k", 1, 0644, &err));
    assert_int_equal(symlink("..", link), 0);
    assert_ok(file_remove_tree(tree, &err));
    assert_ok(file_remove_tree(tree, &err));
    assert_int_equal(access(keep, F_OK), 0);
}

static void discard_removes_a_folder(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *tree = path_join(dir, "t"), *file = path_join(dir, "t/disk.raw");
    assert_ok(file_make_dirs(tree, 0700, &err));
    assert_ok(file_write(file, "x", 1, 0400, &err));
    assert_ok(file_discard(tree, &err));
    assert_ok(file_discard(tree, &err));
    assert_int_equal(rmdir(dir), 0); /* nothing is left beside it */
}

static void folders_are_made(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *deep = path_join(dir, "a//b/c/"), *file = path_join(dir, "f");
    assert_ok(file_make_dirs(deep, 0700, &err));
    assert_ok(file_make_dirs(deep, 0700, &err));
    assert_ok(file_make_dirs("/", 0700, &err));
    assert_fails(file_make_dirs("", 0700, &err), ERROR_HOST, "cannot make the folder");
    assert_ok(file_write(file, "x", 1, 0600, &err));
    assert_fails(file_make_dirs(file, 0700, &err), ERROR_HOST, "is not a folder");
}

static void known_digests(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, "abc", 3, hex); /* FIPS 180-4, appendix B */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_is_valid(DIGEST_SHA256, hex));
    assert_false(digest_is_valid(DIGEST_SHA512, hex));
    assert_false(digest_is_valid(DIGEST_SHA256, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_read),
        cmocka_unit_test(abandoned_file_leaves_nothing),
        cmocka_unit_test(publish_exchanges_folders),
        cmocka_unit_test(sparse_copy_keeps_holes),
        cmocka_unit_test(a_lock_is_exclusive),
        cmocka_unit_test(a_byte_is_a_lock),
        cmocka_unit_test(unsynced_is_whole),
        cmocka_unit_test(remove_tree_follows_no_link),
        cmocka_unit_test(discard_removes_a_folder),
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(known_digests),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
