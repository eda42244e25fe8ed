#include "web_server.h"

#include "base/file.h"
#include "base/path.h"
#include "source/fetch.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT "hello world\n"
#define SHA_TEXT "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
#define SHA_ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define SHA512_TEXT                                                                                \
    "db3974a97f2407b7cae1ae637c0030687a11913274d578492558e39c16c017de"                             \
    "84eacdc8c62fe34ee4e12b4b1428817f09b6a2760c3f8a664ceae94d2434a593"

/* --- what the server answers
 * -----------------------------------------------------------------------------
 */

static const struct route {
    const char *path;
    const char *answer; /* status, headers and body */
    const char *etag;   /* given back: 304 */
} routes[] = {
    {"/file", "200 OK\r\nContent-Length: 12\r\n\r\n" TEXT, NULL},
    {"/dir/a%2Bb", "200 OK\r\nContent-Length: 12\r\n\r\n" TEXT, NULL},
    {"/tagged", "200 OK\r\nETag: \"v1\"\r\nContent-Length: 12\r\n\r\n" TEXT, "\"v1\""},
    {"/redirect", "302 Found\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n", NULL},
    {"/loop", "302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", NULL},
    {"/away", "302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", NULL},
    {"/cut", "200 OK\r\nContent-Length: 1000\r\n\r\n" TEXT, NULL},
    {"/unlucky", "500 Oh\r\nContent-Length: 3\r\n\r\nno\n", NULL},
    {"/empty", "204 No Content\r\n\r\n", NULL},
    {"/sums",
     "200 OK\r\nETag: \"s1\"\r\nContent-Length: 159\r\n\r\n" SHA_TEXT "  file\n" SHA_TEXT "  a+b\n"
     "#12345678901234567",
     "\"s1\""},
    {"/sums512", "200 OK\r\n\r\n" SHA512_TEXT "  file\n", NULL},
    {"/wrong-sums", "200 OK\r\n\r\n" SHA_ZERO "  file\n", NULL},
};

static void answer(const struct web_request *q)
{
    const char *text = "404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for (size_t i = 0; i < COUNT(routes); i++)
        if (strcmp(routes[i].path, q->path) == 0) {
            bool same = routes[i].etag && strcmp(q->if_none_match, routes[i].etag) == 0;
            text = same ? "304 Not Modified\r\n\r\n" : routes[i].answer;
        }
    int status = (int)strcspn(text, "\r");
    dprintf(q->client, "HTTP/1.1 %.*s\r\nConnection: close%s", status, text, text + status);
}

/* How often a path has been asked for. */
static unsigned requests(const struct web_server *s, const char *path)
{
    return web_count(s->log, path);
}

/* --- a store, a server and a request -------------------------------------------------------------
 */

struct bench {
    char *dir;
    struct store *store;
    struct fetcher *fetcher;
    struct web_server server;
    struct verify verify;
    char url[256], checksums[256];
};

static void bench_start(struct bench *b)
{
    *b = (struct bench){.dir = unit_temp_dir()};
    autofree char *cache = path_join(b->dir, "cache");
    assert_int_equal(setenv("INGOT_CACHE", cache, 1), 0);
    assert_ok(store_open(&b->store, &err));
    const struct fetch_options o = {.jobs = 2};
    assert_ok(fetcher_new(b->store, &o, &b->fetcher, &err));
    b->server = web_start(b->dir, answer);
}

static void bench_stop(struct bench *b)
{
    web_stop(&b->server);
    fetcher_free(b->fetcher);
    store_close(b->store);
    cleanup_tempdir(&b->dir);
}

static struct fetch_request ask(struct bench *b, const char *path)
{
    snprintf(b->url, sizeof b->url, "http://127.0.0.1:%u%s", b->server.port, path);
    return (struct fetch_request){.url = b->url, .verify = &b->verify, .what = "thing"};
}

static void by_digest(struct bench *b, enum digest_kind kind, const char *digest)
{
    b->verify = (struct verify){.kind = VERIFY_DIGEST, .digest_kind = kind, .digest = digest};
}

static void by_checksums(struct bench *b, const char *path)
{
    snprintf(b->checksums, sizeof b->checksums, "http://127.0.0.1:%u%s", b->server.port, path);
    b->verify = (struct verify){.kind = VERIFY_CHECKSUMS, .checksums = b->checksums};
}

/* Nothing half-written is left in the cache, and no blob but those that are wanted. */
static void assert_blobs(struct bench *b, const char *wanted)
{
    char line[512];
    snprintf(line, sizeof line, "%s/tmp", store_root(b->store));
    assert_int_equal(rmdir(line), 0);
    assert_int_equal(mkdir(line, 0700), 0);
    snprintf(line, sizeof line, "%s/blobs/sha256", store_root(b->store));
    if (!wanted)
        assert_int_equal(rmdir(line), 0);
    else
        assert_true(store_has(b->store, wanted));
    if (!wanted)
        assert_int_equal(mkdir(line, 0700), 0);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void what_is_fetched_is_not_fetched_again(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    static const char *const digests[] = {SHA_TEXT, SHA512_TEXT};
    static const char *const paths[] = {"/file", "/redirect"};
    for (size_t i = 0; i < 2; i++) {
        char sha256[DIGEST_HEX_MAX] = "", known[DIGEST_HEX_MAX] = "";
        by_digest(&b, i ? DIGEST_SHA512 : DIGEST_SHA256, digests[i]);
        struct fetch_request r = ask(&b, paths[i]);
        assert_int_equal(fetch_known(b.store, &r, known), false);
        assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
        assert_string_equal(sha256, SHA_TEXT);
        assert_true(fetch_known(b.store, &r, known));
        assert_string_equal(known, SHA_TEXT);
        assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
        assert_int_equal(requests(&b.server, paths[i]), 1);
        assert_blobs(&b, SHA_TEXT);
        autofree char *blob = store_blob_path(b.store, SHA_TEXT), *text = NULL;
        size_t size;
        assert_ok(file_read(blob, 100, &text, &size, &err));
        assert_string_equal(text, TEXT);
        assert_int_equal(unlink(blob), 0);
        assert_false(fetch_known(b.store, &r, known));
    }
}

static void failures(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum error_kind kind;
        const char *part;
    } bad[] = {
        {"/nothing", ERROR_UNREACHABLE, "/nothing: HTTP 404"},
        {"/unlucky", ERROR_UNREACHABLE, "/unlucky: HTTP 500"},
        {"/empty", ERROR_UNREACHABLE, "HTTP 204"},
        {"/cut", ERROR_UNREACHABLE, "was cut off"},
        {"/loop", ERROR_UNREACHABLE, "redirects"},
        {"/away", ERROR_TRUST, "not followed"},
        {"/tagged?wrong", ERROR_UNREACHABLE, "HTTP 404"},
    };
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX];
    for (size_t i = 0; i < COUNT(bad); i++) {
        by_digest(&b, DIGEST_SHA256, SHA_TEXT);
        struct fetch_request r = ask(&b, bad[i].path);
        assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), bad[i].kind, bad[i].part);
        assert_blobs(&b, NULL);
    }
    assert_int_equal(requests(&b.server, "/loop"), 11);
    struct fetch_request wrong = ask(&b, "/file");
    by_digest(&b, DIGEST_SHA256, SHA_ZERO);
    assert_fails(fetch_blob(b.fetcher, &wrong, sha256, &err), ERROR_TRUST,
                 "sha256 expected " SHA_ZERO ", got " SHA_TEXT);
    assert_blobs(&b, NULL);
    b.verify = (struct verify){.kind = VERIFY_NONE};
    assert_fails(fetch_blob(b.fetcher, &wrong, sha256, &err), ERROR_TRUST,
                 "nothing to verify it by");
    by_digest(&b, DIGEST_SHA256, "");
    assert_fails(fetch_blob(b.fetcher, &wrong, sha256, &err), ERROR_TRUST, "is no sha256 digest");
    assert_int_equal(requests(&b.server, "/file"), 1);
}

static void passwords_are_not_shown(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX];
    by_digest(&b, DIGEST_SHA256, SHA_TEXT);
    struct fetch_request r = ask(&b, "/nothing");
    snprintf(b.url, sizeof b.url, "http://joe:hunter2@127.0.0.1:%u/nothing", b.server.port);
    autoerror struct error *err = NULL;
    assert_false(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_non_null(strstr(error_text(err), "joe:***@127.0.0.1"));
    assert_null(strstr(error_text(err), "hunter2"));
}

static void nobody_listens(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX];
    by_digest(&b, DIGEST_SHA256, SHA_TEXT);
    struct fetch_request r = ask(&b, "/file");
    snprintf(b.url, sizeof b.url, "http://127.0.0.1:1/file");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE, "127.0.0.1");
    snprintf(b.url, sizeof b.url, "ftp://127.0.0.1/file");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_INPUT, "not something to fetch");
}

static void checksum_files(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX], known[DIGEST_HEX_MAX];
    by_checksums(&b, "/sums");
    struct fetch_request r = ask(&b, "/file");
    assert_false(fetch_known(b.store, &r, known));
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_string_equal(sha256, SHA_TEXT);
    assert_true(fetch_known(b.store, &r, known));
    /* Again: the checksum file is asked for, the thing itself is not. */
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_int_equal(requests(&b.server, "/file"), 1);
    assert_int_equal(requests(&b.server, "/sums"), 2);
    /* A name that the URL has percent-encoded. */
    r = ask(&b, "/dir/a%2Bb");
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));

    by_checksums(&b, "/sums512");
    r = ask(&b, "/file");
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_string_equal(sha256, SHA_TEXT);
    assert_int_equal(requests(&b.server, "/file"), 2);
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_int_equal(requests(&b.server, "/file"), 2);

    by_checksums(&b, "/wrong-sums");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST, "expected " SHA_ZERO);
    by_checksums(&b, "/nothing");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_UNREACHABLE,
                 "the checksum file for");
    by_checksums(&b, "/sums");
    r = ask(&b, "/tagged");
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST,
                 "has no digest for 'tagged'");
}

static void indexes_are_asked_with_validators(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX] = "";
    ask(&b, "/tagged");
    for (int i = 0; i < 2; i++) {
        autofree char *path = NULL, *text = NULL;
        size_t size;
        assert_ok(fetch_text(b.fetcher, b.url, 100, &path, sha256, &err));
        assert_string_equal(sha256, SHA_TEXT);
        assert_ok(file_read(path, 100, &text, &size, &err));
        assert_string_equal(text, TEXT);
    }
    assert_int_equal(requests(&b.server, "/tagged"), 2);
    assert_blobs(&b, SHA_TEXT);
    /* Without the blob, the validators mean nothing. */
    autofree char *blob = store_blob_path(b.store, SHA_TEXT), *path = NULL;
    assert_int_equal(unlink(blob), 0);
    assert_ok(fetch_text(b.fetcher, b.url, 100, &path, sha256, &err));
    assert_true(store_has(b.store, SHA_TEXT));
    autofree char *none = NULL;
    ask(&b, "/file");
    assert_fails(fetch_text(b.fetcher, b.url, 11, &none, sha256, &err), ERROR_INPUT, "larger than");
}

static void local_files(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autofree char *file = path_join(b.dir, "file"), *sums = path_join(b.dir, "SHA256SUMS");
    autofree char *url = NULL, *folder = path_join(b.dir, "cache");
    char sha256[DIGEST_HEX_MAX], known[DIGEST_HEX_MAX];
    assert_true(asprintf(&url, "file://%s", file) > 0);
    assert_ok(file_write(file, TEXT, strlen(TEXT), 0644, &err));
    assert_ok(file_write(sums, SHA_TEXT "  file\n", strlen(SHA_TEXT "  file\n"), 0644, &err));

    b.verify = (struct verify){.kind = VERIFY_CHECKSUMS, .checksums = sums};
    struct fetch_request r = {.url = url, .verify = &b.verify, .what = "thing"};
    assert_false(fetch_known(b.store, &r, known));
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_string_equal(sha256, SHA_TEXT);
    assert_true(fetch_known(b.store, &r, known));
    /* A file that changed is not what is remembered. */
    assert_ok(file_write(file, "other", 5, 0644, &err));
    assert_false(fetch_known(b.store, &r, known));

    by_digest(&b, DIGEST_SHA256, SHA_ZERO);
    r.url = file;
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST, "expected " SHA_ZERO);
    r.url = folder;
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_INPUT, "is not a file");
    r.url = "/no/such/file";
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_INPUT, "No such file");
}

/* Two processes that want the same thing: one fetches, the other waits and has it. */
static void two_at_once(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    char sha256[DIGEST_HEX_MAX];
    by_digest(&b, DIGEST_SHA512, SHA512_TEXT);
    struct fetch_request r = ask(&b, "/file");
    pid_t children[4];
    for (size_t i = 0; i < COUNT(children); i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(fetch_blob(b.fetcher, &r, sha256, NULL) ? 0 : 1);
    }
    for (size_t i = 0; i < COUNT(children); i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(requests(&b.server, "/file"), 1);
}

/* The SHA-256 that a lock says does not stand in for the SHA-512 that the recipe says. */
static void both_digests_hold(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autoarena struct arena *a = arena_new();
    const char *path = arena_printf(a, "%s/two", b.dir);
    char other[] = SHA512_TEXT, sha256[DIGEST_HEX_MAX];
    other[0] = '0';
    assert_ok(file_write(path, TEXT, strlen(TEXT), 0600, &err));
    by_digest(&b, DIGEST_SHA512, other);
    const struct fetch_request r = {
        .url = path, .verify = &b.verify, .what = "thing", .locked = SHA_TEXT};
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST, "sha512 expected 0");
    assert_false(store_has(b.store, SHA_TEXT));
    by_digest(&b, DIGEST_SHA512, SHA512_TEXT);
    assert_ok(fetch_blob(b.fetcher, &r, sha256, &err));
    assert_true(fetch_known(b.store, &r, sha256));
    by_digest(&b, DIGEST_SHA512, other); /* what is there already is looked at too */
    assert_false(fetch_known(b.store, &r, sha256));
    assert_fails(fetch_blob(b.fetcher, &r, sha256, &err), ERROR_TRUST, "sha512 expected 0");
}

/* A mirror that is a folder gives them faster than they become blobs. */
static void more_at_once_than_files_can_be_open(void **state)
{
    (void)state;
    cleanup(bench_stop) struct bench b;
    bench_start(&b);
    autoarena struct arena *a = arena_new();
    enum { MANY = 400 };
    struct fetch_request *r = arena_alloc(a, MANY * sizeof *r);
    struct fetch_result *results = arena_alloc(a, MANY * sizeof *results);
    for (size_t i = 0; i < MANY; i++) {
        char text[16], hex[DIGEST_HEX_MAX];
        struct verify *v = arena_new_of(a, struct verify);
        const char *path = arena_printf(a, "%s/many-%zu", b.dir, i);
        snprintf(text, sizeof text, "%zu", i);
        digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
        assert_ok(file_write_unsynced(path, text, strlen(text), 0600, &err));
        *v = (struct verify){.kind = VERIFY_DIGEST, .digest = arena_strdup(a, hex)};
        r[i] = (struct fetch_request){.url = path, .verify = v, .what = "package"};
    }
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_ok(fetch_all(b.fetcher, a, r, MANY, results, &err));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_string_equal(results[i].sha256, r[i].verify->digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fetched_is_not_fetched_again),
        cmocka_unit_test(failures),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(checksum_files),
        cmocka_unit_test(indexes_are_asked_with_validators),
        cmocka_unit_test(local_files),
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(both_digests_hold),
        cmocka_unit_test(more_at_once_than_files_can_be_open),
    };
    /* A second of waiting is 5 ms. */
    setenv("INGOT_TEST_RETRY_MS", "5", 1);
    /* The test's own server is asked, whatever proxy the host has. */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < COUNT(proxies); i++)
        unsetenv(proxies[i]);
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
