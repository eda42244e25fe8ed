#include "source/job.h"
#include "source/http_fields.h"
#include "source/records.h"
#include "source/url.h"
#include "source/verify_digest.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/space.h"
#include "base/text.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define RETRIES 4u
#define MAX_WAIT 60u            /* seconds, whatever a server asks for */
#define LOCK_POLL 50u           /* ms */
#define HASH_SLICE (8 * MIB)    /* of one step */
#define GOOD_PROGRESS (8 * MIB) /* a try that brought so much does not count as a failed one */

#define SMALL (1 * MIB) /* such blobs are committed together */
#define HOLD 250u       /* ms that one waits for others */

struct failure {
    const char *url;
    struct error *error;
};

uint64_t job_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *candidate(const struct job *j)
{
    return j->candidates[j->failure_count];
}

static bool digest_known(const struct job *j)
{
    return j->expect && j->expect->digest_known;
}

/* The bytes are verified when all are there, so that those of an earlier try can do no harm. */
static bool verified_later(const struct job *j)
{
    return digest_known(j) || (j->request && (j->request->verify->kind == VERIFY_OPENPGP ||
                                              j->request->verify->kind == VERIFY_APK));
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void finish(struct job *j, bool keep)
{
    j->state = JOB_DONE;
    http_end(take_ptr(j->transfer));
    if (j->opened && keep)
        partial_keep(&j->partial);
    else if (j->opened)
        partial_drop(&j->partial);
    j->opened = false;
    if (j->locked)
        close(take_fd(&j->lock));
    j->locked = false;
    for (size_t i = 0; i < j->failure_count; i++)
        error_free(j->failures[i].error);
    j->failure_count = 0;
    json_decref(j->record);
    j->record = NULL;
    free(j->etag);
    free(j->last_modified);
    j->etag = j->last_modified = NULL;
}

void job_stop(struct job *j)
{
    if (j->state != JOB_DONE)
        finish(j, true);
}

static void fail(struct job *j, struct error *e)
{
    /* On a full disk, what nobody knows the size of would only stand in the way. */
    bool keep = error_kind(e) != ERROR_SPACE || (j->opened && j->partial.whole);
    j->error = e;
    if (j->what)
        error_wrap(&j->error, "cannot fetch the %s", j->what);
    finish(j, keep);
}

/* Its error names every place; its kind is that of the URL itself. */
static void all_failed(struct job *j)
{
    struct failure *last = &j->failures[j->failure_count - 1], *own = last;
    if (!j->request && j->fetcher->options.offline &&
        record_text_find(j->fetcher->store, j->record, j->sha256)) {
        j->cached = true;
        finish(j, false);
        return;
    }
    if (j->failure_count == 1) {
        struct error *one = take_ptr(last->error);
        autofree char *shown = url_redact(j->url);
        if (strcmp(last->url, j->url) != 0) /* a mirror, and nothing but it may be asked */
            error_wrap(&one, "%s", shown);
        fail(j, one);
        return;
    }
    autobuffer struct buffer b = {0};
    struct error *e = NULL;
    for (struct failure *i = j->failures; i <= last; i++) {
        buffer_printf(&b, "%s%s", i > j->failures ? "; " : "", error_text(i->error));
        if (strcmp(i->url, j->url) == 0)
            own = i;
    }
    autofree char *shown = url_redact(j->url);
    error_set(&e, error_kind(own->error), "%s: none of %zu places has it: %s", shown,
              j->failure_count, b.data);
    fail(j, e);
}

/* A candidate that did not do: the next one, unless this host is to blame. */
static void candidate_failed(struct job *j, struct error *e)
{
    enum error_kind kind = error_kind(e);
    autoerror struct error *why = NULL;
    if (kind != ERROR_TRUST && kind != ERROR_UNREACHABLE && kind != ERROR_INPUT) {
        fail(j, e);
        return;
    }
    if (kind != ERROR_UNREACHABLE && j->opened && !partial_restart(&j->partial, &why)) {
        error_free(e);
        fail(j, take_ptr(why));
        return;
    }
    const struct failure failed = {candidate(j), e};
    arena_append(j->arena, j->failures, j->failure_count, failed);
    j->tries = 0;
    j->whole = false;
    if (!candidate(j)) {
        all_failed(j);
        return;
    }
    autofree char *next = url_redact(candidate(j));
    if (!j->fetcher->options.offline)
        log_warning("%s; asking %s", error_text(e), next);
    j->state = JOB_OPEN;
}

/* --- trying again -------------------------------------------------------------------------------
 */

/* Between 0 and 1, so that many that failed together do not come back together. */
static double jitter(void)
{
    unsigned char byte = 128;
    (void)!getrandom(&byte, 1, GRND_NONBLOCK);
    return byte / 256.0;
}

static void try_again(struct job *j, struct error *e, unsigned allowed, uint64_t asked)
{
    if (j->opened && j->partial.blob.size >= j->before + GOOD_PROGRESS)
        j->tries = 0;
    if (++j->tries > allowed) {
        candidate_failed(j, e);
        return;
    }
    double seconds = asked ? (double)asked : (double)(1u << (j->tries < 6 ? j->tries - 1 : 5));
    if (seconds > MAX_WAIT)
        seconds = MAX_WAIT;
    seconds *= asked ? 1 + jitter() / 4 : 0.5 + jitter();
    log_info("%s; trying again in %.1f s", error_text(e), seconds);
    error_free(e);
    j->wake = job_now() + (uint64_t)(seconds * j->fetcher->scale_ms);
    j->state = JOB_PAUSE;
}

/* --- what came ----------------------------------------------------------------------------------
 */

static void start(struct job *j);

/* All over again, where what was resumed turned out to be something else. */
static void from_the_start(struct job *j)
{
    struct error *e = NULL;
    j->whole = true;
    if (!partial_restart(&j->partial, &e))
        fail(j, e);
    else
        start(j);
}

static bool size_is_right(const struct job *j, const char *shown, struct error **err)
{
    uint64_t size = j->partial.blob.size;
    if (!j->size || size == j->size)
        return true;
    return error_set(err, ERROR_TRUST,
                     "%s: %" PRIu64 " bytes were expected, %" PRIu64
                     " came; nothing of it was kept",
                     shown, j->size, size);
}

static void came(struct job *j)
{
    struct partial *p = &j->partial;
    const struct expectation *x = j->expect;
    const char *sha512 = j->request ? verify_sha512(j->request) : NULL;
    autofree char *shown = url_redact(candidate(j));
    struct error *e = NULL;
    j->got = p->blob.size;
    blob_digests(&p->blob, j->sha256, j->sha512);
    bool right =
        size_is_right(j, shown, &e) &&
        (!digest_known(j) ||
         verify_digest(shown, x->digest_kind, x->digest,
                       x->digest_kind == DIGEST_SHA512 ? j->sha512 : j->sha256, &e)) &&
        (!sha512 || verify_digest(shown, DIGEST_SHA512, sha512, j->sha512, &e)) &&
        (!j->request || verify_file(j->fetcher, j->arena, j->request, x, p->blob.temporary, &e));
    if (!right && error_kind(e) == ERROR_TRUST && j->resumed && !j->whole) {
        log_warning("%s: what was resumed has become something else: fetching all of it", shown);
        error_free(e);
        from_the_start(j);
        return;
    }
    if (!right) {
        const char *list = x && x->verified && text_starts_with(x->verified, "checksums ")
                               ? x->verified + strlen("checksums ")
                               : NULL;
        if (error_kind(e) == ERROR_TRUST && j->request && j->request->locked)
            error_wrap(&e, "it is not what the lock says (where it was meant to change: ingot lock "
                           "--update)");
        else if (error_kind(e) == ERROR_TRUST && list)
            error_wrap(&e,
                       "it is not what %s says (if the two were just published, try again later; "
                       "else tell the publisher)",
                       list);
        candidate_failed(j, e);
        return;
    }
    if (p->blob.size <= SMALL && j->all_count > 1) {
        j->state = JOB_HELD;
        j->wake = job_now() + HOLD;
        return;
    }
    jobs_commit(&j, 1);
}

static void keep_record(const struct job *j)
{
    struct store *s = j->fetcher->store;
    if (j->request)
        record_keep(s, j->request, j->sha256, j->sha512);
    else
        record_text_keep(s, j->url, candidate(j), j->sha256, j->etag, j->last_modified);
}

void jobs_commit(struct job **jobs, size_t count)
{
    struct partial *partials[JOBS_COMMITTED] = {0};
    const char *sha256[JOBS_COMMITTED] = {0};
    struct error *e = NULL;
    for (size_t i = 0; i < count; i++) {
        partials[i] = &jobs[i]->partial;
        sha256[i] = jobs[i]->sha256;
    }
    if (!partial_commit(partials, sha256, count, &e)) {
        fail(jobs[0], e);
        return;
    }
    autojson json_t *urls = json_object();
    for (size_t i = 0; i < count; i++) {
        struct job *j = jobs[i];
        autofree char *shown = url_redact(candidate(j));
        if (count > 1 && j->request && record_is_for_people(j->request)) {
            autofree char *url = url_redact(j->url);
            json_set_string(urls, j->sha256, url);
        } else {
            keep_record(j);
        }
        log_debug("fetched %s: %" PRIu64 " bytes, sha256 %s", shown, j->got, j->sha256);
    }
    if (json_object_size(urls))
        record_keep_urls(jobs[0]->fetcher->store, urls);
    for (size_t i = 0; i < count; i++)
        finish(jobs[i], false);
}

/* --- a transfer ---------------------------------------------------------------------------------
 */

static void keep_text(char **to, const char *value)
{
    free(*to);
    *to = value ? strdup(value) : NULL;
}

bool job_has_room(struct store *s, uint64_t bytes, const char *what, struct error **err)
{
    autofree char *inside = path_join(store_root(s), PARTIAL_FOLDER);
    return space_check(inside, bytes, what, err);
}

/* Room for what is still to come of all that run. */
static bool has_room(const struct job *j, struct error **err)
{
    uint64_t need = 0;
    for (const struct job *i = j->all; i < j->all + j->all_count; i++)
        if (i->opened && i->partial.whole > i->partial.blob.size)
            need += i->partial.whole - i->partial.blob.size;
    return job_has_room(j->fetcher->store, need, "what is being fetched", err);
}

/* A 206 goes on exactly where the file ends, and is of the same whole. */
static bool continues(const struct job *j, const struct http_answer *a, const char *validator,
                      uint64_t *whole)
{
    const struct partial *p = &j->partial;
    uint64_t first, last;
    if (!a->content_range || !http_content_range(a->content_range, &first, &last, whole) ||
        first != p->blob.size || (a->length_known && a->length != last - first + 1) ||
        (*whole && p->whole && *whole != p->whole))
        return false;
    if (!*whole)
        *whole = p->whole;
    return !validator || !partial_is_of(p, candidate(j)) || strcmp(validator, p->validator) == 0;
}

static bool fits(const struct job *j, uint64_t whole, struct error **err)
{
    char a[16], b[16];
    if (j->max_bytes && whole > j->max_bytes)
        return error_set(err, ERROR_INPUT,
                         "is larger than it may be: %s, where at most %s were "
                         "expected",
                         units_format_size(whole, a), units_format_size(j->max_bytes, b));
    if (j->size && whole && whole != j->size)
        return error_set(err, ERROR_TRUST, "has %" PRIu64 " bytes, where %" PRIu64 " were expected",
                         whole, j->size);
    return true;
}

static bool on_answer(void *data, const struct http_answer *a, struct error **err)
{
    struct job *j = data;
    struct partial *p = &j->partial;
    const char *validator = http_strong_validator(a->etag, a->last_modified, a->date);
    uint64_t whole = a->length_known ? a->length : 0;
    j->unchanged = a->status == 304;
    if (j->unchanged)
        return true;
    if (a->status == 206) {
        if (!continues(j, a, validator, &whole)) {
            j->restart = true;
            return error_set(err, ERROR_UNREACHABLE,
                             "the server's answer does not go on where the transfer was cut");
        }
        j->resumed = true;
    } else {
        j->resumed = false;
        if (!partial_restart(p, err))
            return false;
    }
    if (!fits(j, whole, err))
        return false;
    partial_note(p, candidate(j), validator, whole);
    keep_text(&j->etag, a->etag);
    keep_text(&j->last_modified, a->last_modified);
    return whole <= SMALL || has_room(j, err);
}

static bool on_data(void *data, const void *bytes, size_t size, struct error **err)
{
    struct job *j = data;
    struct partial *p = &j->partial;
    uint64_t now = p->blob.size + size, limit = j->size ? j->size : j->max_bytes;
    if (limit && now > limit)
        return error_set(err, ERROR_INPUT,
                         "is larger than it may be: more than %" PRIu64 " bytes came", limit);
    if (p->whole && now > p->whole)
        return error_set(err, ERROR_UNREACHABLE,
                         "more came than the %" PRIu64 " bytes that the server had said", p->whole);
    return partial_write(p, bytes, size, err);
}

/* The partial file is hashed as far as it goes. */
static void start(struct job *j)
{
    struct partial *p = &j->partial;
    const char *url = candidate(j);
    struct error *e = NULL;
    uint64_t size = p->blob.size;
    bool same = partial_is_of(p, url);
    bool resume = size && !j->whole && (same || verified_later(j));
    if (resume && verified_later(j) && p->whole == size) { /* killed just before the end */
        j->resumed = true;
        came(j);
        return;
    }
    if (!resume && !partial_restart(p, &e)) {
        fail(j, e);
        return;
    }
    bool asks = j->record && record_text_is_of(j->record, url);
    struct http_request r = {.url = url,
                             .etag = asks ? json_string_or(j->record, "etag", NULL) : NULL,
                             .last_modified =
                                 asks ? json_string_or(j->record, "last_modified", NULL) : NULL,
                             .from = p->blob.size,
                             .if_range = same && resume ? p->validator : NULL,
                             .on_answer = on_answer,
                             .on_data = on_data,
                             .data = j};
    j->before = p->blob.size;
    j->restart = j->unchanged = false;
    j->state = JOB_RUN;
    if (!http_start(j->fetcher->http, &r, &j->transfer, &e))
        candidate_failed(j, e);
}

static void unchanged(struct job *j)
{
    snprintf(j->sha256, sizeof j->sha256, "%s", json_string_or(j->record, "sha256", ""));
    j->cached = true;
    finish(j, false);
}

static void transfer_ended(struct job *j, enum http_fate fate)
{
    long status = http_answer_of(j->transfer)->status;
    uint64_t asked = http_asked_to_wait(j->transfer);
    struct error *e = http_take_error(j->transfer);
    unsigned retries = j->fetcher->options.retries ? j->fetcher->options.retries : RETRIES;
    const struct partial *p = &j->partial;
    http_end(take_ptr(j->transfer));
    if (fate == HTTP_DONE && j->unchanged) {
        unchanged(j);
    } else if (fate == HTTP_DONE && p->blob.size < p->whole) {
        autofree char *shown = url_redact(candidate(j));
        error_set(&e, ERROR_UNREACHABLE, "%s: the transfer was cut off", shown);
        try_again(j, e, retries, 0);
    } else if (fate == HTTP_DONE) {
        came(j);
    } else if (!j->whole && (j->restart || (status == 416 && j->before))) {
        log_debug("%s", error_text(e));
        error_free(e);
        from_the_start(j);
    } else if (fate == HTTP_AGAIN) {
        try_again(j, e, retries, asked);
    } else if (fate == HTTP_NO_ANSWER) {
        try_again(j, e, j->candidates[j->failure_count + 1] ? 0 : 1, 0);
    } else {
        candidate_failed(j, e);
    }
}

/* --- opening ------------------------------------------------------------------------------------
 */

static bool open_partial(struct job *j, struct error **err)
{
    bool sha512 =
        digest_known(j) && (j->expect->digest_kind == DIGEST_SHA512 || verify_sha512(j->request));
    if (j->opened)
        return true;
    j->opened =
        partial_open(j->fetcher->store, j->name, sha512, j->request != NULL, &j->partial, err);
    return j->opened;
}

static int open_local(const char *url, struct stat *st, struct error **err)
{
    autofree char *path = NULL;
    if (!url_local_path(url, &path, err))
        return -1;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) < 0) {
        error_errno(err, ERROR_INPUT, errno, "%s", path);
        return -1;
    }
    if (!S_ISREG(st->st_mode)) {
        error_set(err, ERROR_INPUT, "%s: is not a file", path);
        return -1;
    }
    return take_fd(&fd);
}

static bool copy_local(struct job *j, struct error **err)
{
    struct stat st;
    autoclose int fd = open_local(candidate(j), &st, err);
    if (fd < 0)
        return false;
    if (!fits(j, (uint64_t)st.st_size, err))
        return error_wrap(err, "%s", candidate(j));
    return job_has_room(j->fetcher->store, file_allocated(&st), "the copy of it", err) &&
           open_partial(j, err) && partial_copy(&j->partial, fd, err);
}

/* Another process may have brought it while this one waited for the lock. Where only a record would
 * say so, it counts if there was a wait: else it is the old one that was looked at before. */
static bool brought_meanwhile(struct job *j)
{
    if (!j->request || (!digest_known(j) && !j->waiting_said))
        return false;
    j->cached = record_find(j->fetcher->store, j->request, j->expect, j->sha256);
    return j->cached;
}

/* The last answer; without its blob, its validators mean nothing. */
static void recall_text(struct job *j)
{
    char sha256[DIGEST_HEX_MAX];
    j->record = store_recall(j->fetcher->store, j->name);
    if (!record_text_find(j->fetcher->store, j->record, sha256)) {
        json_decref(j->record);
        j->record = NULL;
    }
}

static void open_candidate(struct job *j)
{
    struct error *e = NULL;
    if (!j->failure_count && brought_meanwhile(j)) {
        finish(j, false);
        return;
    }
    if (!j->request && !j->record)
        recall_text(j);
    j->local = !url_is_http(candidate(j));
    bool ok = j->local ? copy_local(j, &e)
                       : http_allowed(j->fetcher->http, candidate(j), &e) && open_partial(j, &e);
    if (!ok)
        candidate_failed(j, e);
    else
        j->state = JOB_HASH;
}

static void hash(struct job *j)
{
    struct error *e = NULL;
    bool all;
    if (!partial_hash(&j->partial, HASH_SLICE, &all, &e))
        fail(j, e);
    else if (all && j->local)
        came(j);
    else if (all)
        start(j);
}

static void take_lock(struct job *j)
{
    struct error *e = NULL;
    if (job_now() < j->wake)
        return;
    j->lock = store_try_lock(j->fetcher->store, j->name, &e);
    if (j->lock >= 0) {
        j->locked = true;
        j->state = JOB_OPEN;
    } else if (error_kind(e) == ERROR_CONFLICT) {
        autofree char *shown = url_redact(j->url);
        if (!j->waiting_said)
            log_info("another ingot is fetching %s: waiting for it", shown);
        j->waiting_said = true;
        j->wake = job_now() + LOCK_POLL;
        error_free(e);
    } else {
        fail(j, e);
    }
}

void job_step(struct job *j)
{
    enum http_fate fate;
    switch (j->state) {
    case JOB_LOCK:
        take_lock(j);
        break;
    case JOB_OPEN:
        open_candidate(j);
        break;
    case JOB_HASH:
        hash(j);
        break;
    case JOB_PAUSE:
        if (job_now() >= j->wake)
            start(j);
        break;
    case JOB_RUN:
        fate = http_fate(j->transfer);
        if (fate != HTTP_RUNNING)
            transfer_ended(j, fate);
        break;
    case JOB_HELD:
    case JOB_DONE:
        break;
    }
}
