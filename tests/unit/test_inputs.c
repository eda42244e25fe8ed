#include "unit.h"

#include "base/path.h"
#include "inputs/inputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
    autofree char *path = path_join(dir, name);
    autofree char *folder = path_dirname(path);
    assert_ok(file_make_dirs(folder, 0755, &err));
    assert_ok(file_write(path, text, strlen(text), mode, &err));
}

static void put_link(const char *dir, const char *name, const char *target)
{
    autofree char *path = path_join(dir, name);
    autofree char *folder = path_dirname(path);
    assert_ok(file_make_dirs(folder, 0755, &err));
    assert_int_equal(symlink(target, path), 0);
}

static void age(const char *path)
{
    /* ctime cannot be set: wait until it is no longer fresh. */
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    struct timespec pause = {.tv_sec = 2, .tv_nsec = 100000000};
    nanosleep(&pause, NULL);
}

static void digests_are_remembered_by_stamp(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "a");
    autofree char *memory = path_join(dir, "memory");
    put(dir, "a", "abc", 0640);
    for (int i = 0; i < 2; i++) {
        autoinputs struct inputs *in = inputs_new(memory);
        const struct input_file *f, *again;
        assert_ok(inputs_file(in, file, &f, &err));
        assert_string_equal(f->digest, SHA_ABC);
        assert_int_equal(f->size, 3);
        assert_int_equal(f->mode, 0640);
        assert_ok(inputs_file(in, file, &again, &err));
        assert_ptr_equal(f, again);
    }
    /* Fresh files are not remembered. */
    assert_int_equal(access(memory, F_OK), -1);

    age(file);
    {
        autoinputs struct inputs *in = inputs_new(memory);
        const struct input_file *f;
        assert_ok(inputs_file(in, file, &f, &err));
    }
    autofree char *text = NULL;
    size_t size;
    assert_ok(file_read(memory, 4096, &text, &size, &err));
    char *digest = strstr(text, SHA_ABC);
    assert_non_null(digest);
    /* A memory that says something else is believed: so it is used. */
    digest[0] = digest[0] == '0' ? '1' : '0';
    assert_ok(file_write(memory, text, size, 0600, &err));
    {
        autoinputs struct inputs *in = inputs_new(memory);
        const struct input_file *f;
        assert_ok(inputs_file(in, file, &f, &err));
        assert_string_not_equal(f->digest, SHA_ABC);
    }
    /* Until the file changes, though its size and mtime do not. */
    put(dir, "a", "abd", 0640);
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
    autoinputs struct inputs *in = inputs_new(memory);
    const struct input_file *f;
    assert_ok(inputs_file(in, file, &f, &err));
    assert_string_equal(f->digest,
                        "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9");
}

static void damaged_memory_is_no_failure(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *file = path_join(dir, "a");
    put(dir, "a", "abc", 0644);
    static const char *const memories[] = {"", "ingot inputs 9\n", "ingot inputs 1\n1 2 3\n",
                                           "ingot inputs 1\n1 2 3 4 5 abc /x\n",
                                           "ingot inputs 1\n\xff\xfe"};
    for (size_t i = 0; i < COUNT(memories); i++) {
        put(dir, "memory", memories[i], 0600);
        autofree char *memory = path_join(dir, "memory");
        autoinputs struct inputs *in = inputs_new(memory);
        const struct input_file *f;
        assert_ok(inputs_file(in, file, &f, &err));
        assert_string_equal(f->digest, SHA_ABC);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *pipe = path_join(dir, "pipe");
    autofree char *absent = path_join(dir, "absent");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    autoinputs struct inputs *in = inputs_new(NULL);
    const struct input_file *f;
    const char *text;
    size_t size;
    assert_fails(inputs_file(in, dir, &f, &err), ERROR_INPUT, "is a folder");
    assert_fails(inputs_file(in, pipe, &f, &err), ERROR_INPUT, "pipe");
    assert_fails(inputs_file(in, absent, &f, &err), ERROR_INPUT, "No such file");
    put(dir, "a", "abc", 0644);
    autofree char *a = path_join(dir, "a");
    assert_fails(inputs_text(in, a, 2, &text, &size, &err), ERROR_INPUT, "larger than 2");
    assert_ok(inputs_text(in, a, 3, &text, &size, &err));
    assert_string_equal(text, "abc");
    assert_int_equal(size, 3);
}

static void text_must_be_what_was_hashed(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    put(dir, "a", "abc", 0644);
    autofree char *a = path_join(dir, "a");
    autoinputs struct inputs *in = inputs_new(NULL);
    const struct input_file *f;
    const char *text;
    size_t size;
    assert_ok(inputs_file(in, a, &f, &err));
    put(dir, "a", "xyz", 0644);
    assert_fails(inputs_text(in, a, 100, &text, &size, &err), ERROR_INPUT, "changed");
}

static void remote_digests_are_learned(void **state)
{
    (void)state;
    autoinputs struct inputs *in = inputs_new(NULL);
    assert_null(inputs_learned(in, "https://a/x"));
    inputs_learn(in, "https://a/x", SHA_ABC);
    inputs_learn(in, "https://a/y", "00");
    inputs_learn(in, "https://a/y", "11");
    assert_string_equal(inputs_learned(in, "https://a/x"), SHA_ABC);
    assert_string_equal(inputs_learned(in, "https://a/y"), "11");
}

static const struct input_member *member(const struct input_tree *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->members[i].name, name) == 0)
            return &t->members[i];
    return NULL;
}

static void links_in_trees(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *outside = path_join(dir, "outside/x");
    autofree char *tree = path_join(dir, "tree");
    put(dir, "outside/x", "abc", 0755);
    put(dir, "outside/deep/y", "abc", 0644);
    put(dir, "tree/etc/a", "abc", 0644);
    put_link(tree, "etc/inside", "../usr/lib/not-here");
    put_link(tree, "etc/sibling", "./a");
    put_link(tree, "etc/masked.service", "/dev/null");
    put_link(tree, "etc/absolute", outside);
    put_link(tree, "etc/up", "../../outside/x");
    put_link(tree, "folder", "../outside");
    autoinputs struct inputs *in = inputs_new(NULL);
    const struct input_tree *t;
    assert_ok(inputs_tree(in, tree, &t, &err));
    static const struct {
        const char *name;
        enum input_kind kind;
        const char *target;
    } want[] = {
        {"etc", INPUT_DIRECTORY, NULL},
        {"etc/a", INPUT_FILE, NULL},
        {"etc/absolute", INPUT_FILE, NULL},
        {"etc/inside", INPUT_LINK, "../usr/lib/not-here"},
        {"etc/masked.service", INPUT_LINK, "/dev/null"},
        {"etc/sibling", INPUT_LINK, "./a"},
        {"etc/up", INPUT_FILE, NULL},
        {"folder", INPUT_DIRECTORY, NULL},
        {"folder/deep", INPUT_DIRECTORY, NULL},
        {"folder/deep/y", INPUT_FILE, NULL},
        {"folder/x", INPUT_FILE, NULL},
    };
    assert_int_equal(t->count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_string_equal(t->members[i].name, want[i].name);
        assert_int_equal(t->members[i].kind, want[i].kind);
        if (want[i].target)
            assert_string_equal(t->members[i].target, want[i].target);
        if (want[i].kind == INPUT_FILE)
            assert_string_equal(t->members[i].file->digest, SHA_ABC);
    }
    assert_int_equal(member(t, "etc/up")->mode, 0755);
}

static void hostile_trees(void **state)
{
    (void)state;
    static const struct {
        const char *link, *target, *part;
    } bad_links[] = {
        {"a", "/nowhere/at/all", "points nowhere"},
        {"a", "../../../nowhere", "points nowhere"},
        {"a", "/dev/zero", "device"},
        {"a", "b\nc", "control characters"},
        {"a\tb", "c", "control characters"},
        {"a\xff", "c", "UTF-8"},
        {"x/y/z/loop", "../../../../tree", "a folder that it lies in"},
    };
    for (size_t i = 0; i < COUNT(bad_links); i++) {
        autotempdir char *dir = unit_temp_dir();
        autofree char *tree = path_join(dir, "tree");
        put_link(tree, bad_links[i].link, bad_links[i].target);
        autoinputs struct inputs *in = inputs_new(NULL);
        const struct input_tree *t;
        assert_fails(inputs_tree(in, tree, &t, &err), ERROR_INPUT, bad_links[i].part);
    }
    autotempdir char *dir = unit_temp_dir();
    autofree char *pipe = path_join(dir, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    autoinputs struct inputs *in = inputs_new(NULL);
    const struct input_tree *t;
    assert_fails(inputs_tree(in, dir, &t, &err), ERROR_INPUT, "pipe");
    assert_fails(inputs_tree(in, pipe, &t, &err), ERROR_INPUT, "not a folder");
    autotempdir char *deep = unit_temp_dir();
    char path[4096];
    size_t n = (size_t)snprintf(path, sizeof path, "%s", deep);
    for (int i = 0; i < 70; i++)
        n += (size_t)snprintf(path + n, sizeof path - n, "/d");
    assert_ok(file_make_dirs(path, 0755, &err));
    assert_fails(inputs_tree(in, deep, &t, &err), ERROR_INPUT, "folders deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_remembered_by_stamp),
        cmocka_unit_test(damaged_memory_is_no_failure),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(text_must_be_what_was_hashed),
        cmocka_unit_test(remote_digests_are_learned),
        cmocka_unit_test(links_in_trees),
        cmocka_unit_test(hostile_trees),
    };
    return cmocka_run_group_tests_name("inputs", tests, NULL, NULL);
}
