#include "source/job.h"
#include "source/url.h"

#include "base/buffer.h"
#include "base/interrupt.h"
#include "base/progress.h"

#include <string.h>

#define JOBS 8u
#define LONGEST_WAIT 200u /* ms between two looks at interruptions */
#define NAMED 3u          /* of those that run, in the progress' note */
#define NOTED 16u         /* of more jobs none is named: where notes are lines, it would be many */

static bool is_busy(const struct job *j)
{
    return j->state == JOB_OPEN || j->state == JOB_HASH || j->state == JOB_RUN;
}

/* Sums of all; the total is not known as long as one size is not. */
static void report(const struct job *jobs, size_t count)
{
    uint64_t done = 0, total = 0;
    bool known = true;
    for (const struct job *j = jobs; j < jobs + count; j++) {
        uint64_t whole = j->size, here = 0;
        if (j->state == JOB_DONE)
            whole = here = j->got;
        else if (j->opened) {
            here = j->partial.blob.size;
            whole = j->partial.whole ? j->partial.whole : whole;
        }
        known = known && (whole || j->state == JOB_DONE);
        done += here;
        total += whole;
    }
    progress_update(done, known ? total : 0);
}

static void note(const struct job *jobs, size_t count)
{
    char text[80] = "";
    size_t used = 0, running = 0;
    if (count > NOTED)
        return;
    for (const struct job *j = jobs; j < jobs + count; j++) {
        if (j->state != JOB_RUN && j->state != JOB_HASH)
            continue;
        if (running++ >= NAMED || !j->what || used >= sizeof text)
            continue;
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "", j->what);
    }
    if (running > NAMED && used < sizeof text)
        snprintf(text + used, sizeof text - used, " and %zu more", running - NAMED);
    if (running)
        progress_note("%s", text);
}

/* Between two steps, with its lock and its partial file open. */
static bool is_parked(const struct job *j)
{
    return j->state == JOB_HELD || j->state == JOB_PAUSE;
}

/* As far as it goes without waiting, but not more than one slice of hashing. */
static void advance(struct job *j)
{
    enum job_state before;
    do {
        before = j->state;
        job_step(j);
    } while (j->state != before && (j->state == JOB_OPEN || j->state == JOB_HASH));
}

/* No more begin than files can be open, however many come from this host or are put off at once. */
static bool may_go_on(const struct job *j, unsigned busy, unsigned limit, unsigned parked)
{
    return busy < limit && (is_parked(j) || parked < JOBS_COMMITTED);
}

/* One step of each; true if one is left. *wait: milliseconds until there is something to do. */
static bool step_all(struct job *jobs, size_t count, unsigned limit, unsigned *wait)
{
    unsigned busy = 0, parked = 0;
    bool left = false;
    uint64_t now = job_now();
    *wait = LONGEST_WAIT;
    for (struct job *j = jobs; j < jobs + count; j++) {
        busy += is_busy(j);
        parked += is_parked(j);
    }
    for (struct job *j = jobs; j < jobs + count; j++) {
        if (j->state == JOB_DONE)
            continue;
        bool was = is_busy(j), stood = is_parked(j);
        if (was || may_go_on(j, busy, limit, parked))
            advance(j);
        busy += (unsigned)is_busy(j) - (unsigned)was;
        parked += (unsigned)is_parked(j) - (unsigned)stood;
        left = left || j->state != JOB_DONE;
        if (j->state == JOB_OPEN || j->state == JOB_HASH)
            *wait = 0;
        else if (j->state == JOB_LOCK || j->state == JOB_PAUSE || j->state == JOB_HELD) {
            uint64_t until = j->wake > now ? j->wake - now : 1;
            if (until < *wait && (j->wake > now || may_go_on(j, busy, limit, parked)))
                *wait = (unsigned)until;
        }
    }
    return left;
}

/* Commits what is held, and says whether it did: when it is enough, when it has been held long
 * enough, or when nothing else is to be done. Others may wait for their locks. */
static bool commit_held(struct job *jobs, size_t count, bool now)
{
    struct job *held[JOBS_COMMITTED];
    size_t n = 0;
    bool busy = false, due = now;
    uint64_t time = job_now();
    for (struct job *j = jobs; j < jobs + count; j++) {
        busy = busy || is_busy(j);
        if (j->state != JOB_HELD || n == JOBS_COMMITTED)
            continue;
        held[n++] = j;
        due = due || j->wake <= time || n == JOBS_COMMITTED;
    }
    if (!n || (busy && !due))
        return false;
    jobs_commit(held, n);
    return true;
}

static struct job *first_failed(struct job *jobs, size_t count)
{
    for (struct job *j = jobs; j < jobs + count; j++)
        if (j->error)
            return j;
    return NULL;
}

/* Offline, all that lacks is said at once; NULL where it is one thing, or something else failed. */
static struct error *all_lacking(const struct job *jobs, size_t count)
{
    autobuffer struct buffer list = {0};
    struct error *e = NULL;
    size_t lacking = 0;
    for (const struct job *j = jobs; j < jobs + count; j++) {
        if (!j->error)
            continue;
        if (error_kind(j->error) != ERROR_UNREACHABLE)
            return NULL;
        autofree char *shown = url_redact(j->url);
        buffer_printf(&list, "%s%s", lacking++ ? ", " : "", shown);
    }
    if (lacking > 1)
        error_set(&e, ERROR_UNREACHABLE,
                  "%zu files are not in the cache, and --offline forbids to fetch them: %s",
                  lacking, list.data);
    return e;
}

static bool run(struct fetcher *f, struct job *jobs, size_t count, bool every, bool progress,
                struct error **err)
{
    bool offline = f->options.offline;
    unsigned limit = f->options.jobs ? f->options.jobs : JOBS, wait;
    while (step_all(jobs, count, limit, &wait)) {
        if (interrupted())
            return interrupt_error(err);
        if (commit_held(jobs, count, false))
            wait = 0;
        if (!every && !offline && first_failed(jobs, count))
            break;
        if (progress) {
            report(jobs, count);
            note(jobs, count);
        }
        if (!http_wait(f->http, wait, err))
            return false;
    }
    struct job *failed = every ? NULL : first_failed(jobs, count);
    if (!failed)
        return true;
    struct error *e = offline ? all_lacking(jobs, count) : NULL;
    if (!e)
        e = take_ptr(failed->error);
    if (err && !*err)
        *err = e;
    else
        error_free(e);
    return false;
}

bool jobs_run(struct fetcher *f, struct arena *a, struct job *jobs, size_t count, bool every,
              bool progress, struct error **err)
{
    for (struct job *j = jobs; j < jobs + count; j++) {
        j->fetcher = f;
        j->arena = a;
        j->lock = -1;
        j->all = jobs;
        j->all_count = count;
    }
    bool ok = run(f, jobs, count, every, progress, err);
    if (!ok && !interrupted()) /* what is verified is worth keeping */
        (void)commit_held(jobs, count, true);
    for (struct job *j = jobs; j < jobs + count; j++) {
        job_stop(j);
        if (!every) {
            error_free(j->error);
            j->error = NULL;
        }
    }
    return ok;
}
