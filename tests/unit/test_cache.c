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
    autofree char *blob = store_blob_path(s, SHA_ABC), *mine = path_join(dir, "mine");
    struct stat st;
    size_t size;
    assert_fails(store_link(blob, to, &err), ERROR_HOST, SHA_ABC);
    put_blob(s, "abc");
    assert_ok(store_link(blob, to, &err));
    assert_ok(file_read(to, 9, &text, &size, &err));
    assert_string_equal(text, "abc");
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_fails(store_link(blob, to, &err), ERROR_CONFLICT, "used");
    assert_fails(store_link(blob, nowhere, &err), ERROR_HOST, "no/used");
    /* The link changes nothing that the stamp says. */
    damage(s, SHA_ABC, true);
    assert_true(store_has(s, SHA_ABC));
    /* What is no blob is copied. */
    autofree char *copy = path_join(dir, "copy");
    assert_ok(file_write(mine, "mine", 4, 0600, &err));
    assert_ok(store_link(mine, copy, &err));
    assert_int_equal(stat(mine, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode & 07777, 0600);
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
    struct cache_gc_result r;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_string_equal(r.removed[0].name, SHA_ABC);
    assert_true(store_has(s, SHA_ABC));
    assert_int_equal(access(left, F_OK), 0);
    o.dry_run = false;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_int_equal(r.kept_count, 2);
    assert_false(store_has(s, SHA_ABC));
    assert_int_equal(access(old, F_OK), -1);
    assert_true(store_has(s, kept));
    assert_null(store_recall(s, "abc"));
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(busy, F_OK), 0);
    o = (struct cache_gc_options){.days = CACHE_ANY_AGE};
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 0);
    o.days = 0;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 2);
}

static void put_layer(const char *dir, const char *key, const char *made_of, size_t kib)
{
    autofree char *layers = path_join(dir, "layers"), *folder = path_join(layers, key);
    autofree char *disk = path_join(folder, "disk.raw"), *list = path_join(folder, "made-of");
    autofree char *bytes = calloc(kib, 1024);
    assert_ok(file_make_dirs(folder, 0700, &err));
    memset(bytes, 'x', kib * 1024);
    assert_ok(file_write(disk, bytes, kib * 1024, 0400, &err));
    assert_ok(file_write(list, made_of, strlen(made_of), 0600, &err));
}

/* A blob stays as long as a layer that was made of it. */
static void layers_keep_what_they_were_made_of(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    autofree char *layer = path_join(dir, "layers/" SHA_ZERO);
    autofree char *stamp = path_join(dir, "stamps/" SHA_ABC);
    struct cache_gc_options o = {.days = 30};
    struct cache_gc_result r;
    put_blob(s, "abc");
    put_layer(dir, SHA_ZERO, SHA_ZERO "\n" SHA_ABC "\n", 1);
    age(stamp, 40 * 24 * 3600);
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 0);
    age(layer, 40 * 24 * 3600);
    const char *const keep[] = {SHA_ZERO, NULL};
    o.keep = keep;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 0);
    o.keep = NULL;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 2);
    assert_false(store_has(s, SHA_ABC));
}

/* The least recently used go first, and no more than must. */
static void cleaning_up_by_size(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "1111111111111111111111111111111111111111111111111111111111111111",
        "2222222222222222222222222222222222222222222222222222222222222222",
        "3333333333333333333333333333333333333333333333333333333333333333",
        "4444444444444444444444444444444444444444444444444444444444444444"};
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    for (size_t i = 0; i < COUNT(keys); i++) {
        autofree char *layers = path_join(dir, "layers"), *layer = path_join(layers, keys[i]);
        put_layer(dir, keys[i], "", 1000);
        age(layer, (time_t)(i == 1 ? 100 : i) * 3600);
    }
    struct cache_gc_options o = {
        .days = CACHE_ANY_AGE, .limited = true, .max_size = (uint64_t)2500 << 10};
    struct cache_gc_result r;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 2);
    assert_string_equal(r.removed[0].name, keys[1]);
    assert_string_equal(r.removed[1].name, keys[3]);
    assert_true(r.kept_size <= o.max_size && r.removed_size > (uint64_t)1500 << 10);
    o.max_size = 0;
    const char *const keep[] = {keys[0], NULL};
    o.keep = keep;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_string_equal(r.removed[0].name, keys[2]);
}

#define LOCK_OF_ABC                                                                                \
    "{\"ingot_lock\": 1, \"epoch\": 1704067200, \"amd64\": {\"sources\": "                         \
    "{\"https://example.org/abc\": {\"sha256\": \"" SHA_ABC "\", \"bytes\": 3, \"verified\": "     \
    "\"sha256\"}}}}\n"

static void locks_keep_what_they_name(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir(), *project = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    autofree char *lock = path_join(project, "demo.lock");
    struct cache_gc_options o = {.days = 0};
    struct cache_gc_result r;
    struct cache_item *items;
    size_t n;
    put_blob(s, "abc");
    put_blob(s, "other");
    assert_ok(file_write(lock, LOCK_OF_ABC, strlen(LOCK_OF_ABC), 0644, &err));
    store_add_root(s, lock);
    assert_ok(cache_list(s, a, &items, &n, &err));
    assert_int_equal(n, 2);
    assert_true(items[0].locked && !items[1].locked);
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_int_equal(r.locked_count, 1);
    assert_true(store_has(s, SHA_ABC));

    /* One that cannot be read is not one that names nothing. */
    assert_ok(file_write(lock, "{", 1, 0644, &err));
    assert_fails(cache_gc(s, &o, a, &r, &err), ERROR_INPUT, "mend the file or remove it");
    assert_true(store_has(s, SHA_ABC));
    assert_ok(cache_list(s, a, &items, &n, &err));

    /* Gone: it counts no longer, and coming back it does not count again by itself. */
    assert_int_equal(unlink(lock), 0);
    o.dry_run = true;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_ok(file_write(lock, LOCK_OF_ABC, strlen(LOCK_OF_ABC), 0644, &err));
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 0);
    assert_int_equal(unlink(lock), 0);
    o.dry_run = false;
    const char *const no_locks[] = {lock, NULL};
    o.locks = no_locks;
    assert_fails(cache_gc(s, &o, a, &r, &err), ERROR_INPUT, "demo.lock");
    assert_ok(file_write(lock, LOCK_OF_ABC, strlen(LOCK_OF_ABC), 0644, &err));
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 0);
    o.locks = NULL;
    store_add_root(s, lock);
    o.all = true;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
}

/* What is being fetched, and what may be resumed. */
static void partial_files(void **state)
{
    (void)state;
    static const char *const names[] = {"old", "old and locked", "new"};
    autotempdir char *dir = unit_temp_dir();
    autostore struct store *s = store_in(dir);
    autoarena struct arena *a = arena_new();
    autofree char *folder = path_join(dir, "partial");
    const char *paths[COUNT(names)];
    assert_ok(file_make_dirs(folder, 0700, &err));
    for (size_t i = 0; i < COUNT(names); i++) {
        char hex[DIGEST_HEX_MAX];
        digest_bytes(DIGEST_SHA256, names[i], strlen(names[i]), hex);
        paths[i] = arena_printf(a, "%s/%s", folder, hex);
        assert_ok(file_write(paths[i], "x", 1, 0600, &err));
        if (i < 2)
            age(paths[i], 4 * 24 * 3600);
    }
    autoclose int lock = store_lock(s, names[1], NULL, NULL);
    assert_true(lock >= 0);
    struct cache_gc_options o = {.days = CACHE_ANY_AGE};
    struct cache_gc_result r;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(access(paths[0], F_OK), -1);
    assert_int_equal(access(paths[1], F_OK), 0);
    assert_int_equal(access(paths[2], F_OK), 0);
    assert_true(r.left_over > 0);
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
    struct cache_gc_options o = {.days = 30};
    struct cache_gc_result r;
    assert_ok(cache_gc(s, &o, a, &r, &err));
    assert_int_equal(r.removed_count, 1);
    assert_string_equal(r.removed[0].name, SHA_ZERO);
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
        cmocka_unit_test(cleaning_up_by_size),
        cmocka_unit_test(layers_keep_what_they_were_made_of),
        cmocka_unit_test(locks_keep_what_they_name),
        cmocka_unit_test(partial_files),
        cmocka_unit_test(layers_are_cleaned_up),
        cmocka_unit_test(no_cleaning_under_a_build),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
