#include "source/fetch.h"
#include "source/job.h"
#include "source/records.h"
#include "source/url.h"

#include "base/file.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

#define MAX_BYTES ((uint64_t)64 << 30) /* where a request says nothing */
#define TEXT_MAX ((size_t)8 << 20)     /* of checksum files, signatures and keys */
#define SECOND_MS 1000u

/* A text that was asked for during this fetch_all: it is not asked for twice. */
struct text_memo {
    char *url;
    char sha256[DIGEST_HEX_MAX];
    struct error *error; /* or why it could not be had */
};

bool fetcher_new(struct store *s, const struct fetch_options *o, struct fetcher **out,
                 struct error **err)
{
    const char *test = getenv("INGOT_TEST_RETRY_MS");
    (void)err;
    struct fetcher *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->store = s;
    f->options = *o;
    f->http = http_new(o->offline);
    f->scale_ms = test && *test ? (unsigned)strtoul(test, NULL, 10) : SECOND_MS;
    *out = f;
    return true;
}

static void forget_texts(struct fetcher *f)
{
    for (size_t i = 0; i < f->text_count; i++) {
        free(f->texts[i].url);
        error_free(f->texts[i].error);
    }
    free(f->texts);
    f->texts = NULL;
    f->text_count = 0;
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    forget_texts(f);
    http_free(f->http);
    free(f);
}

struct store *fetcher_store(const struct fetcher *f)
{
    return f->store;
}

bool fetcher_offline(const struct fetcher *f)
{
    return f->options.offline;
}

bool fetch_known(struct store *s, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX])
{
    return record_find(s, r, NULL, sha256);
}

/* --- texts --------------------------------------------------------------------------------------
 */

static struct job text_job(struct fetcher *f, struct arena *a, const char *url, size_t max_bytes)
{
    autofree char *name = record_text_name(url);
    return (struct job){.url = url,
                        .name = arena_strdup(a, name),
                        .candidates = mirrors_candidates(a, &f->options.mirrors, url, NULL),
                        .max_bytes = max_bytes};
}

static struct text_memo *find_memo(const struct fetcher *f, const char *url)
{
    for (size_t i = 0; i < f->text_count; i++)
        if (strcmp(f->texts[i].url, url) == 0)
            return &f->texts[i];
    return NULL;
}

/* Keeps what became of a text, and takes its error over. */
static void memorise(struct fetcher *f, struct job *j)
{
    struct text_memo *grown = realloc(f->texts, (f->text_count + 1) * sizeof *grown);
    char *url = strdup(j->url);
    if (!grown || !url)
        abort();
    f->texts = grown;
    f->texts[f->text_count] = (struct text_memo){.url = url, .error = take_ptr(j->error)};
    memcpy(f->texts[f->text_count++].sha256, j->sha256, sizeof j->sha256);
}

bool fetch_text(struct fetcher *f, const char *url, size_t max_bytes, char **path,
                char sha256[DIGEST_HEX_MAX], struct error **err)
{
    autoarena struct arena *a = arena_new();
    struct text_memo *known = find_memo(f, url);
    if (known && known->error)
        return error_set(err, error_kind(known->error), "%s", error_text(known->error));
    if (known) {
        memcpy(sha256, known->sha256, sizeof known->sha256);
    } else {
        struct job j = text_job(f, a, url, max_bytes);
        if (!jobs_run(f, a, &j, 1, false, false, err))
            return false;
        memcpy(sha256, j.sha256, sizeof j.sha256);
        if (f->depth)
            memorise(f, &j);
    }
    *path = store_blob_path(f->store, sha256);
    return true;
}

static void want_text(struct fetcher *f, struct arena *a, const char *url, struct job **jobs,
                      size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        if (url && strcmp((*jobs)[i].url, url) == 0)
            return;
    if (!url || !url_is_http(url) || find_memo(f, url))
        return;
    struct job j = text_job(f, a, url, TEXT_MAX);
    arena_append(a, *jobs, *count, j);
}

/* The checksum files, signatures and keys of all requests at once; what fails is said where it is
 * needed. */
static bool bring_texts(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                        size_t count, struct error **err)
{
    struct job *jobs = NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct verify *v = r[i].verify;
        if (r[i].locked || v->kind != VERIFY_CHECKSUMS || (v->openpgp && !v->openpgp->key.text))
            continue; /* no list helps without the key that must have signed it */
        want_text(f, a, v->checksums, &jobs, &n);
        if (v->openpgp) {
            want_text(f, a, v->openpgp->signature.text, &jobs, &n);
            want_text(f, a, v->openpgp->key.text, &jobs, &n);
        }
    }
    if (!n)
        return true;
    bool ok = jobs_run(f, a, jobs, n, true, false, err);
    for (size_t i = 0; i < n; i++)
        if (ok)
            memorise(f, &jobs[i]);
        else
            error_free(jobs[i].error);
    return ok;
}

/* --- all ----------------------------------------------------------------------------------------
 */

struct wanted {
    struct expectation expect;
    size_t job; /* index of the job that brings it */
    bool found;
};

static void append_candidates(struct fetcher *f, struct arena *a, const char *url,
                              const char *sha256, const char ***list, size_t *count)
{
    const char *const *more = mirrors_candidates(a, &f->options.mirrors, url, sha256);
    for (; *more; more++) {
        bool there = false;
        for (size_t i = 0; i < *count; i++)
            there = there || strcmp((*list)[i], *more) == 0;
        if (!there)
            arena_append(a, *list, *count, *more);
    }
}

static struct job blob_job(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                           const struct expectation *e)
{
    autofree char *name = verify_record_name(r);
    const char **list = NULL, *const end = NULL;
    size_t count = 0;
    const char *sha256 = e->digest_known && e->digest_kind == DIGEST_SHA256 ? e->digest : NULL;
    append_candidates(f, a, r->url, sha256, &list, &count);
    for (const char *const *u = r->fallbacks; u && *u && e->digest_known; u++)
        append_candidates(f, a, *u, sha256, &list, &count);
    arena_append(a, list, count, end);
    return (struct job){.url = r->url,
                        .what = r->what,
                        .name = arena_strdup(a, name),
                        .request = r,
                        .expect = e,
                        .candidates = list,
                        .max_bytes = r->max_bytes ? r->max_bytes : MAX_BYTES,
                        .size = r->size};
}

static bool same_thing(const struct job *j, const struct job *k)
{
    const char *a = verify_sha512(j->request), *b = verify_sha512(k->request);
    if (strcmp(j->url, k->url) != 0 || j->expect->digest_known != k->expect->digest_known)
        return false;
    if (!j->expect->digest_known)
        return strcmp(j->name, k->name) == 0;
    return j->expect->digest_kind == k->expect->digest_kind &&
           strcasecmp(j->expect->digest, k->expect->digest) == 0 &&
           (a && b ? strcasecmp(a, b) == 0 : a == b);
}

/* Those that the store lacks, each once. */
static void make_jobs(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                      struct wanted *w, size_t count, struct job **jobs, size_t *job_count)
{
    for (size_t i = 0; i < count; i++) {
        if (w[i].found)
            continue;
        struct job j = blob_job(f, a, &r[i], &w[i].expect);
        for (w[i].job = 0; w[i].job < *job_count; w[i].job++)
            if (same_thing(&(*jobs)[w[i].job], &j))
                break;
        if (w[i].job == *job_count)
            arena_append(a, *jobs, *job_count, j);
    }
}

/* For those whose size is known; the others are looked at when their server says it. */
static bool have_room(const struct fetcher *f, const struct job *jobs, size_t count,
                      struct error **err)
{
    uint64_t need = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t there = jobs[i].size ? partial_size(f->store, jobs[i].name) : 0;
        need += jobs[i].size > there ? jobs[i].size - there : 0;
    }
    return !need || job_has_room(f->store, need, "what is to be fetched", err);
}

static bool file_size(const struct fetcher *f, struct fetch_result *result, struct error **err)
{
    struct stat st;
    autofree char *path = store_blob_path(f->store, result->sha256);
    if (stat(path, &st) < 0)
        return error_set(err, ERROR_CONFLICT, "%s: somebody has removed it from the cache", path);
    result->size = (uint64_t)st.st_size;
    return true;
}

/* What only a record connects with its URL. A signature is looked at again, with the key and the
 * signature as they are now. What nothing but the lock vouches for is asked for anew: this is its
 * first use, or `ingot lock --update`. */
static bool recall(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct wanted *w, char sha256[DIGEST_HEX_MAX], struct error **err)
{
    w->found = record_find(f->store, r, &w->expect, sha256);
    if (!w->found || w->expect.digest_known)
        return true;
    if (w->expect.first_use) {
        w->found = f->options.offline || !url_is_http(r->url);
        return true;
    }
    autofree char *path = store_blob_path(f->store, sha256);
    struct error *why = NULL;
    if (verify_file(f, a, r, &w->expect, path, &why))
        return true;
    w->found = false;
    if (error_kind(why) == ERROR_TRUST && !f->options.offline) {
        log_info("%s: what is in the cache is not what is signed now: fetching it again", r->what);
        error_free(why);
        return true;
    }
    *err = why;
    return error_wrap(err, "cannot fetch the %s", r->what);
}

static bool bring_all(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                      size_t count, struct fetch_result *results, struct error **err)
{
    struct wanted *w = arena_alloc(a, (count + 1) * sizeof *w);
    struct job *jobs = NULL;
    size_t job_count = 0;
    if (!bring_texts(f, a, r, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!verify_expect(f, a, &r[i], &w[i].expect, err))
            return error_wrap(err, "cannot fetch the %s", r[i].what);
        results[i] = (struct fetch_result){.verified = w[i].expect.verified,
                                           .first_use = w[i].expect.first_use};
        if (!recall(f, a, &r[i], &w[i], results[i].sha256, err))
            return false;
    }
    make_jobs(f, a, r, w, count, &jobs, &job_count);
    if (!have_room(f, jobs, job_count, err) ||
        (job_count && !jobs_run(f, a, jobs, job_count, false, true, err)))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!w[i].found)
            memcpy(results[i].sha256, jobs[w[i].job].sha256, sizeof results[i].sha256);
        results[i].cached = w[i].found || jobs[w[i].job].cached;
        if (!file_size(f, &results[i], err))
            return false;
    }
    return true;
}

bool fetch_all(struct fetcher *f, struct arena *a, const struct fetch_request *r, size_t count,
               struct fetch_result *results, struct error **err)
{
    f->depth++;
    bool ok = bring_all(f, a, r, count, results, err);
    if (!--f->depth)
        forget_texts(f);
    return ok;
}

bool fetch_blob(struct fetcher *f, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX],
                struct error **err)
{
    autoarena struct arena *a = arena_new();
    struct fetch_result result;
    if (!fetch_all(f, a, r, 1, &result, err))
        return false;
    memcpy(sha256, result.sha256, sizeof result.sha256);
    return true;
}
