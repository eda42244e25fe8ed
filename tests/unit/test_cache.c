/* layer: source */
#include "unit.h"

#include "base/path.h"
#include "source/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

static struct store *store_in(const char *dir)
{
    struct store *s = NULL;
    assert_int_equal(setenv("INGOT_CACHE", dir, 1), 0);
    assert_ok(store_open(&s, &err));
    return s;
}

static void put_blob(struct store *s, const char *text)
{
    autoblob struct new_blob b = NEW_BLOB;
    char sha256[DIGEST_HEX_MAX];
    assert_ok(blob_begin(s, false, &b, &err));
    assert_ok(blob_write(&b, text, strlen(text), &err));
    blob_digests(&b, sha256, NULL);
    assert_ok(blob_commit(&b, sha256, &err));
}

static void age(const char *path, time_t seconds)
{
    struct timespec t = {.tv_sec = time(NULL) - seconds};
    struct timespec times[2] = {t, t};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_store_is_private(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *root = path_join(dir, "new/cache");
    autostore struct store *s = store_in(root);
    static const char *const folders[] = {"", "blobs", "blobs/sha256", "tmp", "sources", "locks"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        autofree char *path = path_join(store_root(s), folders[i]);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    assert_false(store_has(s, SHA_ABC));
    put_blob(s, "abc");
    assert_true(store_has(s, SHA_ABC));
    assert_false(store_has(s, "../../etc/passwd"));
    assert_false(store_has(s, ""));
    autofree char *path = store_blob_path(s, SHA_ABC);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
}

static void folders_of_the_environment(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
    struct store *s = NULL;
    unsetenv("INGOT_CACHE");
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", dir, 1);
    assert_ok(store_open(&s, &err));
    autofree char *want = path_join(dir, ".cache/ingot");
    assert_string_equal(store_root(s), want);
    store_close(s);
    setenv("XDG_CACHE_HOME", dir, 1);
    assert_ok(store_open(&s, &err));
    autofree char *xdg = path_join(dir, "ingot");
    assert_string_equal(store_root(s), xdg);
    store_close(s);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_fails(store_open(&s, &err), ERROR_HOST, "set INGOT_CACHE");
    setenv("INGOT_CACHE", "/dev/null/x", 1);
    assert_fails(store_open(&s, &err), ERROR_HOST, "INGOT_CACHE names another folder");
    setenv("HOME", home, 1);
}

static void an_abandoned_blob_leaves_nothing(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    {
        autoblob struct new_blob b = NEW_BLOB;
        assert_ok(blob_begin(s, true, &b, &err));
        assert_ok(blob_write(&b, "abc", 3, &err));
    }
    autoarena struct arena *a = arena_new();
    struct cache_item *items;
    size_t n;
    assert_ok(cache_list(s, a, &items, &n, &err));
    assert_int_equal(n, 0);
    autofree char *tmp = path_join(dir, "tmp");
    assert_int_equal(rmdir(tmp), 0); /* it is empty */
}

/* Writes into a blob as it stands, and gives it back its time if `quietly`. */
static void damage(struct store *s, const char *sha256, bool quietly)
{
    autofree char *path = store_blob_path(s, sha256);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "abd", 3, 0), 3);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (quietly)
        assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

/* What was hashed once is not read again, until its file looks different. */
static void stamps(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autofree char *stamp = path_join(dir, "stamps/" SHA_ABC);
    autofree char *aside = path_join(dir, "damaged/" SHA_ABC);
    put_blob(s, "abc");
    damage(s, SHA_ABC, true);
    assert_true(store_has(s, SHA_ABC));
    damage(s, SHA_ABC, false);
    assert_false(store_has(s, SHA_ABC));
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(access(stamp, F_OK), -1);
    put_blob(s, "abc");
    assert_true(store_has(s, SHA_ABC));

    /* Whole, but without a stamp, or with that of a killed process: it gets one. */
    static const char *const left[] = {NULL, "", "3 1"};
    for (size_t i = 0; i < COUNT(left); i++) {
        assert_int_equal(unlink(stamp), 0);
        if (left[i])
            assert_ok(file_write(stamp, left[i], strlen(left[i]), 0600, &err));
        assert_true(store_has(s, SHA_ABC));
        damage(s, SHA_ABC, true);
        assert_true(store_has(s, SHA_ABC));
        damage(s, SHA_ABC, false);
        assert_false(store_has(s, SHA_ABC));
        put_blob(s, "abc");
    }
    bool bad;
    damage(s, SHA_ABC, true);
    assert_false(store_rehash(s, SHA_ABC, &bad));
    assert_true(bad);
    assert_false(store_rehash(s, SHA_ABC, &bad));
    assert_false(bad);
}

/* What is there and whole stays; what is damaged is replaced. */
static void committing_twice(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autofree char *path = store_blob_path(s, SHA_ABC), *text = NULL, *tmp = path_join(dir, "tmp");
    struct stat first, second, third;
    size_t size;
    put_blob(s, "abc");
    assert_int_equal(stat(path, &first), 0);
    put_blob(s, "abc");
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    damage(s, SHA_ABC, false);
    put_blob(s, "abc");
    assert_int_equal(stat(path, &third), 0);
    assert_int_not_equal(first.st_ino, third.st_ino);
    assert_ok(file_read(path, 9, &text, &size, &err));
    assert_string_equal(text, "abc");
    assert_int_equal(rmdir(tmp), 0); /* it is empty */
}

static void linking(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autofree char *to = path_join(dir, "used"), *text = NULL, *nowhere = path_join(dir, "no/used");
    struct stat st;
    size_t size;
    assert_fails(store_link(s, SHA_ABC, to, &err), ERROR_HOST, SHA_ABC);
    put_blob(s, "abc");
    assert_ok(store_link(s, SHA_ABC, to, &err));
    assert_ok(file_read(to, 9, &text, &size, &err));
    assert_string_equal(text, "abc");
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_fails(store_link(s, SHA_ABC, to, &err), ERROR_CONFLICT, "used");
    assert_fails(store_link(s, SHA_ABC, nowhere, &err), ERROR_HOST, "no/used");
    /* The link changes nothing that the stamp says. */
    damage(s, SHA_ABC, true);
    assert_true(store_has(s, SHA_ABC));
}

static void listing_and_verifying(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    put_blob(s, "abc");
    put_blob(s, "other");
    autojson json_t *record = json_object();
    json_set_string(record, "url", "https://example.org/abc");
    json_set_string(record, "sha256", SHA_ABC);
    store_remember(s, "abc", record);
    autofree char *layers = NULL, *layer = NULL;
    assert_ok(store_folder(s, "layers/" SHA_ZERO, &layers, &err));
    layer = path_join(layers, "disk.raw");
    assert_ok(file_write(layer, "12345", 5, 0600, &err));
    struct cache_item *items, *damaged;
    size_t n, bad;
    assert_ok(cache_list(s, a, &items, &n, &err));
    assert_int_equal(n, 3);
    assert_string_equal(items[0].name, SHA_ABC);
    assert_string_equal(items[0].url, "https://example.org/abc");
    assert_null(items[1].url);
    assert_int_equal(items[2].kind, CACHE_LAYER);
    assert_string_equal(items[2].name, SHA_ZERO);
    assert_true(items[2].size >= 5);

    assert_ok(cache_verify(s, a, &damaged, &bad, &err));
    assert_int_equal(bad, 0);
    autofree char *path = store_blob_path(s, SHA_ABC);
    assert_ok(file_write(path, "abd", 3, 0600, &err));
    assert_ok(cache_verify(s, a, &damaged, &bad, &err));
    assert_int_equal(bad, 1);
    assert_string_equal(damaged[0].name, SHA_ABC);
    assert_int_equal(access(damaged[0].path, F_OK), 0);
    assert_false(store_has(s, SHA_ABC));
    assert_ok(cache_verify(s, a, &damaged, &bad, &err));
    assert_int_equal(bad, 0);
}

static void cleaning_up(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    put_blob(s, "abc");
    put_blob(s, "other");
    put_blob(s, "kept");
    char kept[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, "kept", 4, kept);
    autofree char *old = path_join(dir, "stamps/" SHA_ABC), *stamps = path_join(dir, "stamps");
    autofree char *kept_path = path_join(stamps, kept);
    age(old, 40 * 24 * 3600);
    age(kept_path, 40 * 24 * 3600);
    autojson json_t *record = json_object();
    json_set_string(record, "sha256", SHA_ABC);
    store_remember(s, "abc", record);
    autofree char *left = path_join(dir, "tmp/blob.left"), *busy = path_join(dir, "tmp/blob.busy");
    assert_ok(file_write(left, "x", 1, 0600, &err));
    assert_ok(file_write(busy, "x", 1, 0600, &err));
    age(left, 2 * 24 * 3600);

    const char *const keep[] = {kept, NULL};
    struct cache_gc_options o = {.days = 30, .keep = keep, .dry_run = true};
    struct cache_item *removed;
    size_t n;
    assert_ok(cache_gc(s, &o, a, &removed, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(removed[0].name, SHA_ABC);
    assert_true(store_has(s, SHA_ABC));
    o.dry_run = false;
    assert_ok(cache_gc(s, &o, a, &removed, &n, &err));
    assert_int_equal(n, 1);
    assert_false(store_has(s, SHA_ABC));
    assert_true(store_has(s, kept));
    assert_null(store_recall(s, "abc"));
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(busy, F_OK), 0);
    o = (struct cache_gc_options){0};
    assert_ok(cache_gc(s, &o, a, &removed, &n, &err));
    assert_int_equal(n, 2);
}

static void no_cleaning_under_a_build(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    int one = store_use(s, false, NULL), other = store_use(s, false, NULL);
    assert_true(one >= 0 && other >= 0);
    assert_fails(store_use(s, true, &err) >= 0, ERROR_CONFLICT, "a build is using the cache");
    close(one);
    close(other);
    int alone = store_use(s, true, NULL);
    assert_true(alone >= 0);
    close(alone);
}

/* What is left of a killed build goes after a day; a layer goes whole. */
static void layers_are_cleaned_up(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    static const char *const files[] = {"layers/" SHA_ZERO "/disk.raw", "layers/.work-old/disk.raw",
                                        "layers/.gone-old/disk.raw", "layers/.work-new/disk.raw"};
    static const bool stays[] = {false, false, false, true};
    for (size_t i = 0; i < COUNT(files); i++) {
        autofree char *file = path_join(dir, files[i]), *folder = path_dirname(file);
        assert_ok(file_make_dirs(folder, 0700, &err));
        assert_ok(file_write(file, "x", 1, 0400, &err));
        if (!stays[i])
            age(folder, 40 * 24 * 3600);
    }
    struct cache_item *removed;
    size_t n;
    struct cache_gc_options o = {.days = 30};
    assert_ok(cache_gc(s, &o, a, &removed, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(removed[0].name, SHA_ZERO);
    for (size_t i = 0; i < COUNT(files); i++) {
        autofree char *file = path_join(dir, files[i]), *folder = path_dirname(file);
        assert_int_equal(access(folder, F_OK) == 0, stays[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_is_private),
        cmocka_unit_test(folders_of_the_environment),
        cmocka_unit_test(an_abandoned_blob_leaves_nothing),
        cmocka_unit_test(stamps),
        cmocka_unit_test(committing_twice),
        cmocka_unit_test(linking),
        cmocka_unit_test(listing_and_verifying),
        cmocka_unit_test(cleaning_up),
        cmocka_unit_test(layers_are_cleaned_up),
        cmocka_unit_test(no_cleaning_under_a_build),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
