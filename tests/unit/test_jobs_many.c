/* layer: source */
/* Several at once, mirrors, texts that many need. */
#include "fetch_bench.h"

#include "source/verify.h"

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
    bench_prepare();
    return cmocka_run_group_tests_name("jobs_many", tests, NULL, NULL);
}
