/* One transfer: resumed, tried again, refused. */
#include "fetch_bench.h"

static void what_is_cut_is_resumed(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const struct {
        const char *path;
        unsigned requests;
        const char *asked;
    } cases[] = {
        {"/cut", 2, "/cut 524288- \"v1\"\n"},
        {"/no-tag", 2, "/no-tag 524288- -\n"},
        {"/no-range", 2, "/no-range 524288- \"v1\"\n"},
        {"/changed", 2, "/changed 524288- \"v0\"\n"},
        {"/wrong-range", 3, "/wrong-range - -\n"},
        {"/other-tag", 3, "/other-tag - -\n"},
        {"/lying", 3, "/lying - -\n"},
        {"/416", 3, "/416 - -\n"},
        {"/stall", 2, "/stall 524288- \"v1\"\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_fetched(&b, cases[i].path, cases[i].requests);
        assert_asked(&b, cases[i].asked);
        drop_blob(&b);
    }
    struct fetch_request r = ask(&b, "/cut2");
    char sha256[DIGEST_HEX_MAX];
    r.verify = &b.sha512;
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_string_equal(sha256, web_sha256);
    assert_asked(&b, "/cut2 524288- \"v1\"\n");
}

/* Nothing says what it must be: it is resumed on a strong validator alone. */
static void first_use_is_resumed_only_on_a_validator(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    const struct verify lock = {.kind = VERIFY_LOCK};
    static const char *const asked[][2] = {{"/cut", "/cut 524288- \"v1\"\n"},
                                           {"/no-tag", "/no-tag - -\n/no-tag - -\n"}};
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct fetch_request r = ask(&b, asked[i][0]);
        struct fetch_result result;
        r.verify = &lock;
        assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
        assert_string_equal(result.sha256, web_sha256);
        assert_true(result.first_use);
        assert_false(result.cached);
        assert_int_equal(result.size, WEB_SIZE);
        assert_asked(&b, asked[i][1]);
        /* Without a lock nothing vouches for what is remembered. */
        assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
        assert_false(result.cached);
        assert_int_equal(count(&b, asked[i][0]), 3);
        r.locked = web_sha256;
        assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
        assert_true(result.cached);
        assert_int_equal(count(&b, asked[i][0]), 3);
        drop_blob(&b);
    }
}

/* Starts a fetch of /stall in a child, and kills it when half is there. */
static void kill_in_the_middle(struct bench *b, char **partial)
{
    char name[DIGEST_HEX_MAX];
    struct fetch_request r = ask(b, "/stall");
    autofree char *text = NULL, *folder = path_join(store_root(b->store), "partial");
    struct stat st = {0};
    assert_true(asprintf(&text, "%s\nsha256 %s", r.url, web_sha256) > 0);
    digest_bytes(DIGEST_SHA256, text, strlen(text), name);
    *partial = path_join(folder, name);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char sha256[DIGEST_HEX_MAX];
        unsetenv("INGOT_TEST_STALL_SECONDS");
        _exit(fetch_blob(b->fetcher, &r, sha256, NULL) ? 0 : 1);
    }
    for (int i = 0; i < 1000 && (stat(*partial, &st) < 0 || (size_t)st.st_size < HALF); i++)
        usleep(10000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(st.st_size, HALF);
}

static void a_killed_one_is_resumed(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autofree char *partial = NULL;
    kill_in_the_middle(&b, &partial);
    assert_fetched(&b, "/stall", 2);
    assert_asked(&b, "/stall 524288- \"v1\"\n");
}

static void damage_in_what_is_resumed_is_noticed(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autofree char *partial = NULL;
    kill_in_the_middle(&b, &partial);
    int fd = open(partial, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "damage", 6, 1000), 6);
    close(fd);
    assert_fetched(&b, "/stall", 3);
    assert_asked(&b, "/stall - -\n/stall 524288- \"v1\"\n/stall - -\n");
}

/* All was there when it was killed: nothing is asked. */
static void a_complete_one_is_only_verified(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autofree char *partial = NULL;
    kill_in_the_middle(&b, &partial);
    assert_ok(file_write(partial, web_body, WEB_SIZE, 0600, &err));
    assert_fetched(&b, "/stall", 1);
}

static void what_can_be_tried_again_is(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_fetched(&b, "/busy", 4);
    clock_gettime(CLOCK_MONOTONIC, &to);
    /* Retry-After: 20, at 5 ms a second. */
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    assert_true(ms >= 100);
    drop_blob(&b);
    /* Not so often. */
    const struct fetch_options o = {.retries = 2};
    autofetcher struct fetcher *f = NULL;
    autofree char *log = path_join(b.dir, "requests");
    assert_int_equal(truncate(log, 0), 0);
    assert_ok(fetcher_new(b.store, &o, &f, &err));
    struct fetch_request r = ask(&b, "/busy");
    char sha256[DIGEST_HEX_MAX];
    assert_fails(fetch_blob(f, &r, sha256, &err), ERROR_UNREACHABLE, "HTTP 408");
    assert_int_equal(count(&b, "/busy"), 3);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const struct {
        const char *path;
        uint64_t size, max;
        enum error_kind kind;
        const char *part;
    } bad[] = {
        {"/missing", 0, 0, ERROR_UNREACHABLE, "HTTP 404"},
        {"/headers", 0, 0, ERROR_UNREACHABLE, "more than 256 KiB of headers"},
        {"/one-header", 0, 0, ERROR_UNREACHABLE, "header"},
        {"/gzip", 0, 0, ERROR_UNREACHABLE, "Content-Encoding: gzip"},
        {"/plain", 0, 1000, ERROR_INPUT, "1.0 MiB, where at most 1000 B were expected"},
        {"/plain", 1000, 0, ERROR_TRUST, "has 1048576 bytes, where 1000 were expected"},
        {"/plain", WEB_SIZE + 1, 0, ERROR_TRUST, "where 1048577 were expected"},
        {"/endless", 0, WEB_SIZE + 1000, ERROR_INPUT, "more than 1049576 bytes came"},
        {"/endless", WEB_SIZE, 0, ERROR_INPUT, "more than 1048576 bytes came"},
        {"/endless", WEB_SIZE * 3, 0, ERROR_TRUST, "3145728 bytes were expected, 2097152 came"},
        {"/endless", 0, 0, ERROR_TRUST, "nothing of it was kept"},
        {"/private", 0, 0, ERROR_UNREACHABLE, "HTTP 401"},
    };
    autofree char *blobs = path_join(store_root(b.store), "blobs/sha256");
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct fetch_request r = ask(&b, bad[i].path);
        char sha256[DIGEST_HEX_MAX];
        r.size = bad[i].size;
        r.max_bytes = bad[i].max;
        unsigned before = count(&b, bad[i].path);
        assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), bad[i].kind, bad[i].part);
        assert_int_equal(count(&b, bad[i].path), before + 1);
        assert_empty(&b, "partial");
        assert_empty(&b, "blobs/sha256");
        assert_int_equal(mkdir(blobs, 0700), 0);
    }
    /* Credentials of netrc. */
    autofree char *netrc = path_join(b.dir, "netrc");
    static const char text[] = "machine 127.0.0.1 login joe password hunter2\n";
    assert_ok(file_write(netrc, text, strlen(text), 0600, &err));
    setenv("NETRC", netrc, 1);
    assert_fetched(&b, "/private", 2);
    unsetenv("NETRC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_is_resumed),
        cmocka_unit_test(first_use_is_resumed_only_on_a_validator),
        cmocka_unit_test(a_killed_one_is_resumed),
        cmocka_unit_test(damage_in_what_is_resumed_is_noticed),
        cmocka_unit_test(a_complete_one_is_only_verified),
        cmocka_unit_test(what_can_be_tried_again_is),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    bench_prepare();
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
