/* A server that misbehaves as its paths say, and a store that is filled from it. */
#ifndef INGOT_TEST_FETCH_BENCH_H
#define INGOT_TEST_FETCH_BENCH_H

#include "source/cache.h"
#include "source/fetch.h"
#include "web_server.h"

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

static inline void open_fetcher(struct bench *b, const char *mirrors, bool offline)
{
    struct fetch_options o = {.jobs = 4, .retries = 3, .offline = offline};
    assert_ok(mirrors_parse(b->arena, mirrors, "test", &o.mirrors, &err));
    fetcher_free(b->fetcher);
    assert_ok(fetcher_new(b->store, &o, &b->fetcher, &err));
}

static inline void bench_start(struct bench *b)
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

static inline void bench_stop(struct bench *b)
{
    web_stop(&b->server);
    fetcher_free(b->fetcher);
    store_close(b->store);
    arena_free(b->arena);
    cleanup_tempdir(&b->dir);
}

static inline struct fetch_request ask(struct bench *b, const char *path)
{
    return (struct fetch_request){.url = arena_printf(b->arena, "%s%s", b->host, path),
                                  .verify = &b->sha256,
                                  .what = "thing"};
}

static inline unsigned count(const struct bench *b, const char *path)
{
    return web_count(b->server.log, path);
}

/* The log of requests holds this. */
static inline void assert_asked(const struct bench *b, const char *line)
{
    autofree char *text = NULL;
    size_t size;
    assert_ok(file_read(b->server.log, 1 << 20, &text, &size, &err));
    if (!strstr(text, line))
        fail_msg("'%s' was not asked for:\n%s", line, text);
}

static inline void assert_empty(const struct bench *b, const char *folder)
{
    autofree char *path = path_join(store_root(b->store), folder);
    if (rmdir(path) < 0 && access(path, F_OK) == 0)
        fail_msg("%s is not empty", path);
}

static inline void assert_fetched(struct bench *b, const char *path, unsigned requests)
{
    char sha256[DIGEST_HEX_MAX] = "";
    struct fetch_request r = ask(b, path);
    assert_ok(fetch_blob(b->fetcher, &r, sha256, &err));
    assert_string_equal(sha256, web_sha256);
    assert_true(store_has(b->store, web_sha256));
    assert_int_equal(count(b, path), requests);
    assert_empty(b, "partial");
}

static inline void drop_blob(struct bench *b)
{
    autofree char *path = store_blob_path(b->store, web_sha256);
    assert_int_equal(unlink(path), 0);
}

/* Once, before all tests. */
static inline void bench_prepare(void)
{
    web_make_body();
    /* A second of waiting is 5 ms. */
    setenv("INGOT_TEST_RETRY_MS", "5", 1);
    setenv("INGOT_TEST_STALL_SECONDS", "1", 1);
    /* The test's own server is asked, whatever proxy the host has. */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < COUNT(proxies); i++)
        unsetenv(proxies[i]);
}

#endif
