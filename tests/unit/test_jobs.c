#include "web_server.h"

#include "source/cache.h"
#include "source/verify.h"

#include <sys/stat.h>
#include <time.h>

#define HALF (WEB_SIZE / 2)
#define TAGGED "ETag: \"v1\"\r\n"
#define SHA_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

/* --- what the server does -----------------------------------------------------------------------
 */

static void send_all(const struct web_request *q, const char *more)
{
    char headers[512];
    snprintf(headers, sizeof headers, "200 OK\r\n%sContent-Length: %zu", more, WEB_SIZE);
    web_answer(q, headers, web_body, WEB_SIZE);
}

/* Half of it, though all is said. */
static void send_half(const struct web_request *q, const char *more)
{
    char headers[512];
    snprintf(headers, sizeof headers, "200 OK\r\n%sContent-Length: %zu", more, WEB_SIZE);
    web_answer(q, headers, web_body, HALF);
}

/* 206 from `from`, said to begin at `said`. */
static void send_rest(const struct web_request *q, const char *more, size_t from, size_t said)
{
    char headers[512];
    snprintf(headers, sizeof headers,
             "206 Partial Content\r\n%sContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu",
             more, said, WEB_SIZE - 1, WEB_SIZE, WEB_SIZE - from);
    web_answer(q, headers, web_body + from, WEB_SIZE - from);
}

/* Cut at the first request; then as asked. */
static void do_cut(const struct web_request *q)
{
    if (!q->before)
        send_half(q, TAGGED);
    else if (q->ranged && (!*q->if_range || strcmp(q->if_range, "\"v1\"") == 0))
        send_rest(q, TAGGED, q->from, q->from);
    else
        send_all(q, TAGGED);
}

static void do_plain(const struct web_request *q)
{
    if (q->before || !q->ranged)
        send_all(q, "");
}

static void do_cut_no_tag(const struct web_request *q)
{
    if (!q->before)
        send_half(q, "");
    else if (q->ranged)
        send_rest(q, "", q->from, q->from);
    else
        send_all(q, "");
}

static void do_no_range(const struct web_request *q)
{
    if (!q->before)
        send_half(q, TAGGED);
    else
        send_all(q, TAGGED);
}

static void do_changed(const struct web_request *q)
{
    if (!q->before)
        send_half(q, "ETag: \"v0\"\r\n");
    else
        send_all(q, TAGGED);
}

static void do_wrong_range(const struct web_request *q)
{
    if (!q->before)
        send_half(q, TAGGED);
    else if (q->ranged)
        send_rest(q, TAGGED, q->from, q->from + 1);
    else
        send_all(q, TAGGED);
}

static void do_other_tag(const struct web_request *q)
{
    if (!q->before)
        send_half(q, TAGGED);
    else if (q->ranged)
        send_rest(q, "ETag: \"v2\"\r\n", q->from, q->from);
    else
        send_all(q, "ETag: \"v2\"\r\n");
}

/* Goes on with other bytes than those that follow. */
static void do_lying(const struct web_request *q)
{
    char headers[512];
    if (!q->before) {
        send_half(q, TAGGED);
    } else if (q->ranged) {
        snprintf(headers, sizeof headers,
                 "206 Partial Content\r\n" TAGGED
                 "Content-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu",
                 q->from, WEB_SIZE - 1, WEB_SIZE, WEB_SIZE - q->from);
        web_answer(q, headers, web_body, WEB_SIZE - q->from);
    } else {
        send_all(q, TAGGED);
    }
}

static void do_416(const struct web_request *q)
{
    if (!q->before)
        send_half(q, TAGGED);
    else if (q->ranged)
        web_answer(q, "416 Range Not Satisfiable\r\nContent-Length: 0", "", 0);
    else
        send_all(q, TAGGED);
}

static void do_busy(const struct web_request *q)
{
    static const char *const answers[] = {
        "503 Busy\r\nContent-Length: 5", "429 Slow Down\r\nRetry-After: 20\r\nContent-Length: 5",
        "408 Time-Out\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5"};
    if (q->before < COUNT(answers))
        web_answer(q, answers[q->before], "sorry", 5);
    else
        send_all(q, "");
}

static void do_headers(const struct web_request *q)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    dprintf(q->client, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < 1024; i++)
        dprintf(q->client, "X-%u: %.1000s\r\n", i, line);
    dprintf(q->client, "\r\n");
    web_send(q->client, web_body, WEB_SIZE);
}

static void do_one_header(const struct web_request *q)
{
    dprintf(q->client, "HTTP/1.1 200 OK\r\nX: ");
    for (unsigned i = 0; i < 16; i++) {
        char text[65536];
        memset(text, 'x', sizeof text);
        web_send(q->client, text, sizeof text);
    }
    dprintf(q->client, "\r\n\r\n");
}

static void do_gzip(const struct web_request *q)
{
    send_all(q, "Content-Encoding: gzip\r\n");
}

static void do_endless(const struct web_request *q)
{
    web_answer(q, "200 OK", web_body, WEB_SIZE);
    web_send(q->client, web_body, WEB_SIZE);
}

static void do_stall(const struct web_request *q)
{
    do_cut(q);
    if (!q->before)
        sleep(30);
}

static void do_slow(const struct web_request *q)
{
    usleep(300000);
    send_all(q, "");
}

static void do_private(const struct web_request *q)
{
    if (q->authorized)
        send_all(q, "");
    else
        web_answer(q, "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", "", 0);
}

static void do_wrong(const struct web_request *q)
{
    web_answer(q, "200 OK\r\nContent-Length: 5", "wrong", 5);
}

static void do_sums(const struct web_request *q)
{
    char text[256];
    snprintf(text, sizeof text, "%s  plain\n", web_sha256);
    web_answer(q, strcmp(q->if_none_match, "\"s\"") == 0 ? "304 Same" : "200 OK\r\nETag: \"s\"",
               text, *q->if_none_match ? 0 : strlen(text));
}

static const struct route {
    const char *path;
    void (*serve)(const struct web_request *q);
} routes[] = {
    {"/plain", do_plain},
    {"/other/plain", do_plain},
    {"/cut", do_cut},
    {"/cut2", do_cut},
    {"/no-tag", do_cut_no_tag},
    {"/no-range", do_no_range},
    {"/changed", do_changed},
    {"/wrong-range", do_wrong_range},
    {"/other-tag", do_other_tag},
    {"/lying", do_lying},
    {"/416", do_416},
    {"/busy", do_busy},
    {"/headers", do_headers},
    {"/one-header", do_one_header},
    {"/gzip", do_gzip},
    {"/endless", do_endless},
    {"/stall", do_stall},
    {"/slow1", do_slow},
    {"/slow2", do_slow},
    {"/slow3", do_slow},
    {"/slow4", do_slow},
    {"/private", do_private},
    {"/wrong", do_wrong},
    {"/sums", do_sums},
};

static void handle(const struct web_request *q)
{
    for (size_t i = 0; i < COUNT(routes); i++)
        if (strcmp(routes[i].path, q->path) == 0) {
            routes[i].serve(q);
            return;
        }
    web_answer(q, "404 Not Found\r\nContent-Length: 0", "", 0);
}

/* --- a store, a server, requests -----------------------------------------------------------------
 */

struct bench {
    char *dir, *host;
    struct arena *arena;
    struct store *store;
    struct fetcher *fetcher;
    struct web_server server;
    struct verify sha256, sha512;
};

static void open_fetcher(struct bench *b, const char *mirrors, bool offline)
{
    struct fetch_options o = {.jobs = 4, .retries = 3, .offline = offline};
    assert_ok(mirrors_parse(b->arena, mirrors, "test", &o.mirrors, &err));
    fetcher_free(b->fetcher);
    assert_ok(fetcher_new(b->store, &o, &b->fetcher, &err));
}

static void bench_start(struct bench *b)
{
    *b = (struct bench){.dir = unit_temp_dir(), .arena = arena_new()};
    autofree char *cache = path_join(b->dir, "cache");
    assert_int_equal(setenv("INGOT_CACHE", cache, 1), 0);
    assert_ok(store_open(&b->store, &err));
    b->server = web_start(b->dir, handle);
    b->host = arena_printf(b->arena, "http://127.0.0.1:%u", b->server.port);
    b->sha256 = (struct verify){.kind = VERIFY_DIGEST, .digest = web_sha256};
    b->sha512 =
        (struct verify){.kind = VERIFY_DIGEST, .digest_kind = DIGEST_SHA512, .digest = web_sha512};
    open_fetcher(b, "", false);
}

static void bench_stop(struct bench *b)
{
    web_stop(&b->server);
    fetcher_free(b->fetcher);
    store_close(b->store);
    arena_free(b->arena);
    cleanup_tempdir(&b->dir);
}

static struct fetch_request ask(struct bench *b, const char *path)
{
    return (struct fetch_request){.url = arena_printf(b->arena, "%s%s", b->host, path),
                                  .verify = &b->sha256,
                                  .what = "thing"};
}

static unsigned count(const struct bench *b, const char *path)
{
    return web_count(b->server.log, path);
}

/* The log of requests holds this. */
static void assert_asked(const struct bench *b, const char *line)
{
    autofree char *text = NULL;
    size_t size;
    assert_ok(file_read(b->server.log, 1 << 20, &text, &size, &err));
    if (!strstr(text, line))
        fail_msg("'%s' was not asked for:\n%s", line, text);
}

static void assert_empty(const struct bench *b, const char *folder)
{
    autofree char *path = path_join(store_root(b->store), folder);
    if (rmdir(path) < 0 && access(path, F_OK) == 0)
        fail_msg("%s is not empty", path);
}

static void assert_fetched(struct bench *b, const char *path, unsigned requests)
{
    char sha256[DIGEST_HEX_MAX] = "";
    struct fetch_request r = ask(b, path);
    assert_ok(fetch_blob(b->fetcher, &r, sha256, &err));
    assert_string_equal(sha256, web_sha256);
    assert_true(store_has(b->store, web_sha256));
    assert_int_equal(count(b, path), requests);
    assert_empty(b, "partial");
}

static void drop_blob(struct bench *b)
{
    autofree char *path = store_blob_path(b->store, web_sha256);
    assert_int_equal(unlink(path), 0);
}

/* --- tests --------------------------------------------------------------------------------------
 */

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

static void several_at_once(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const char *const paths[] = {"/slow1", "/slow2", "/slow3", "/slow4", "/slow1"};
    struct verify others[COUNT(paths)];
    struct fetch_request r[COUNT(paths)];
    struct fetch_result results[COUNT(paths)];
    const struct verify lock = {.kind = VERIFY_LOCK};
    struct timespec from, to;
    for (size_t i = 0; i < COUNT(paths); i++) {
        r[i] = ask(&b, paths[i]);
        others[i] = lock;
        r[i].verify = &others[i];
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_ok(fetch_all(b.fetcher, b.arena, r, COUNT(paths), results, &err));
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    assert_true(seconds < 1.15); /* one behind the other: at least 1.2 */
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_string_equal(results[i].sha256, web_sha256);
    assert_int_equal(count(&b, "/slow1"), 1);
}

/* The first that fails for good stops the others, which can be resumed. */
static void one_that_fails_stops_all(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    struct fetch_request r[] = {ask(&b, "/stall"), ask(&b, "/slow1")};
    struct verify wrong = {.kind = VERIFY_DIGEST, .digest = SHA_ZERO};
    struct fetch_result results[2];
    r[1].verify = &wrong;
    r[1].what = "other thing";
    setenv("INGOT_TEST_STALL_SECONDS", "20", 1);
    assert_fails(fetch_all(b.fetcher, b.arena, r, 2, results, &err), ERROR_TRUST,
                 "cannot fetch the other thing: http://127.0.0.1");
    setenv("INGOT_TEST_STALL_SECONDS", "1", 1);
    assert_fetched(&b, "/stall", 2);
    assert_asked(&b, "/stall 524288- \"v1\"\n");
}

static void mirrors_are_asked_in_order(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const char real[] = "https://upstream.example/file";
    struct fetch_request r = ask(&b, "/plain");
    char sha256[DIGEST_HEX_MAX];
    r.url = real;
    /* Wrong bytes, no such file, nobody there, and then the right one. */
    open_fetcher(&b,
                 arena_printf(b.arena,
                              "%s=%s/wrong %s=%s/missing %s=http://127.0.0.1:1/x %s=!%s/plain",
                              real, b.host, real, b.host, real, real, b.host),
                 false);
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_string_equal(sha256, web_sha256);
    assert_int_equal(count(&b, "/wrong"), 1);
    assert_int_equal(count(&b, "/missing"), 1);
    drop_blob(&b);
    /* None has it: all are named, and why. */
    open_fetcher(
        &b, arena_printf(b.arena, "%s=%s/wrong %s=!%s/missing", real, b.host, real, b.host), false);
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE,
                 "cannot fetch the thing: https://upstream.example/file: none of 2 places has it: "
                 "http://127.0.0.1");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE, "/wrong: is not what");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE, "/missing: HTTP 404");
    /* What the URL itself gives wrongly is not excused by a mirror that is down. */
    r.url = arena_printf(b.arena, "%s/wrong", b.host);
    open_fetcher(&b, arena_printf(b.arena, "%s=%s/missing", r.url, b.host), false);
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST, "none of 2 places");
    /* Half from one, the rest from another. */
    r.url = real;
    open_fetcher(&b, arena_printf(b.arena, "%s=%s/wrong %s=!%s/cut", real, b.host, real, b.host),
                 false);
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_empty(&b, "partial");
}

static void local_mirrors(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autofree char *folder = path_join(b.dir, "100% mirror"), *blobs = path_join(b.dir, "blobs");
    autofree char *file = path_join(folder, "a+b"), *blob = path_join(blobs, web_sha256);
    assert_ok(file_make_dirs(folder, 0700, &err));
    assert_ok(file_make_dirs(blobs, 0700, &err));
    assert_ok(file_write(file, web_body, WEB_SIZE, 0600, &err));
    struct fetch_request r = ask(&b, "");
    char sha256[DIGEST_HEX_MAX];
    r.url = "https://upstream.example/a%2Bb?raw=1";
    struct mirror here = {"https://upstream.example", folder, true};
    const struct fetch_options o = {.offline = true, .mirrors = {&here, 1}};
    autofetcher struct fetcher *f = NULL;
    assert_ok(fetcher_new(b.store, &o, &f, &err));
    assert_ok(fetch_blob(f, &r, sha256, &err));
    drop_blob(&b);
    assert_int_equal(rename(file, blob), 0);
    assert_fails(fetch_blob(f, &r, sha256, &err), ERROR_INPUT, "No such file");
    here = (struct mirror){"sha256:", blobs, false};
    assert_ok(fetch_blob(f, &r, sha256, &err));
    assert_string_equal(sha256, web_sha256);
    assert_empty(&b, "partial");
}

static void fallbacks_come_last(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    struct fetch_request r = ask(&b, "/missing");
    struct fetch_result result;
    const char *const more[] = {ask(&b, "/wrong").url, ask(&b, "/plain").url, NULL};
    r.fallbacks = more;
    r.locked = web_sha256;
    r.verify = &(const struct verify){.kind = VERIFY_CHECKSUMS, .checksums = "http://127.0.0.1:1/"};
    assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
    assert_string_equal(result.sha256, web_sha256);
    assert_string_equal(result.verified, "lock");
    assert_int_equal(count(&b, "/wrong"), 1);
    /* Without a digest they are not asked. */
    r.locked = NULL;
    r.verify = &(const struct verify){.kind = VERIFY_LOCK};
    assert_fails(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err), ERROR_UNREACHABLE,
                 "/missing: HTTP 404");
}

static void offline_is_offline(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    struct fetch_request r = ask(&b, "/plain");
    struct fetch_result result;
    char sha256[DIGEST_HEX_MAX];
    autofree char *sums = NULL;
    const struct verify checksums = {.kind = VERIFY_CHECKSUMS,
                                     .checksums = arena_printf(b.arena, "%s/sums", b.host)};
    open_fetcher(&b, "", true);
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE,
                 "/plain: is not in the cache, and --offline forbids to fetch it");
    assert_fails(fetch_text(b.fetcher, checksums.checksums, 1000, &sums, sha256, &err),
                 ERROR_UNREACHABLE, "/sums: is not in the cache, and --offline forbids");
    open_fetcher(&b, "", false);
    r.verify = &checksums;
    for (int i = 0; i < 2; i++) {
        assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
        assert_int_equal(result.cached, i > 0);
    }
    open_fetcher(&b, "", true);
    assert_ok(fetch_all(b.fetcher, b.arena, &r, 1, &result, &err));
    assert_true(result.cached);
    assert_int_equal(count(&b, "/plain"), 1);
    assert_int_equal(count(&b, "/sums"), 2);
}

/* One checksum file for several things is asked for once. */
static void checksums_are_asked_once(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    const struct verify v = {.kind = VERIFY_CHECKSUMS,
                             .checksums = arena_printf(b.arena, "%s/sums", b.host)};
    struct fetch_request r[] = {ask(&b, "/plain"), ask(&b, "/other/plain")};
    struct fetch_result results[2];
    r[0].verify = r[1].verify = &v;
    assert_ok(fetch_all(b.fetcher, b.arena, r, 2, results, &err));
    assert_int_equal(count(&b, "/sums"), 1);
    assert_ok(fetch_all(b.fetcher, b.arena, r, 2, results, &err));
    assert_int_equal(count(&b, "/sums"), 2);
}

/* Small ones that come together share a record, which still says where they came from. */
static void small_ones_share_a_record(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    struct fetch_request r[] = {ask(&b, "/plain"), ask(&b, "/other/plain")};
    struct fetch_result results[2];
    struct cache_item *items;
    size_t n;
    assert_ok(fetch_all(b.fetcher, b.arena, r, 2, results, &err));
    assert_ok(cache_list(b.store, b.arena, &items, &n, &err));
    assert_int_equal(n, 1);
    assert_non_null(strstr(items[0].url, "/plain"));
    autofree char *name = verify_record_name(&r[0]);
    assert_null(store_recall(b.store, name));
    assert_empty(&b, "partial");
    /* Cleaning up keeps the record for as long as it leads to a blob. */
    struct cache_gc_result result;
    const struct cache_gc_options keep = {.days = 1}, nothing = {.all = true};
    assert_ok(cache_gc(b.store, &keep, b.arena, &result, &err));
    assert_ok(cache_list(b.store, b.arena, &items, &n, &err));
    assert_non_null(items[0].url);
    assert_ok(cache_gc(b.store, &nothing, b.arena, &result, &err));
    assert_empty(&b, "sources");
}

/* Processes that want overlapping sets in different orders: each is fetched once, and all end. */
static void overlapping_sets(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const char *const orders[][3] = {{"/slow1", "/slow2", "/slow3"},
                                            {"/slow3", "/slow2", "/slow1"},
                                            {"/slow2", "/slow1", "/slow3"},
                                            {"/slow3", "/slow1", "/slow2"}};
    pid_t children[COUNT(orders)];
    for (size_t i = 0; i < COUNT(orders); i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct fetch_request r[3];
            struct fetch_result results[3];
            alarm(30);
            for (size_t k = 0; k < 3; k++) {
                r[k] = ask(&b, orders[i][k]);
                r[k].verify = &b.sha512; /* found by what is remembered of its URL */
            }
            const struct fetch_options o = {.jobs = 1 + (unsigned)i % 2};
            autofetcher struct fetcher *f = NULL;
            _exit(fetcher_new(b.store, &o, &f, NULL) && fetch_all(f, b.arena, r, 3, results, NULL)
                      ? 0
                      : 1);
        }
    }
    for (size_t i = 0; i < COUNT(orders); i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(count(&b, orders[0][k]), 1);
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
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(one_that_fails_stops_all),
        cmocka_unit_test(mirrors_are_asked_in_order),
        cmocka_unit_test(local_mirrors),
        cmocka_unit_test(fallbacks_come_last),
        cmocka_unit_test(offline_is_offline),
        cmocka_unit_test(checksums_are_asked_once),
        cmocka_unit_test(small_ones_share_a_record),
        cmocka_unit_test(overlapping_sets),
    };
    web_make_body();
    /* A second of waiting is 5 ms. */
    setenv("INGOT_TEST_RETRY_MS", "5", 1);
    setenv("INGOT_TEST_STALL_SECONDS", "1", 1);
    /* The test's own server is asked, whatever proxy the host has. */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < COUNT(proxies); i++)
        unsetenv(proxies[i]);
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
