/* The engine behind fetch_all and fetch_text: jobs, each of which brings one thing into the store
 * from the first of its candidates that gives the right bytes. All run in one thread: libcurl moves
 * the transfers, and what is local goes in slices between them.
 *
 * Locks. Each job takes the store's lock of its name before it touches its partial file, so eight
 * processes fetch one thing once. This cannot dead-lock: a job only ever *tries* its lock, and as
 * long as it has not got it holds nothing and is asked again later, while the other jobs go on. A
 * job that has its lock waits for the network, and (verify_file) for texts; a text's job holds its
 * own lock and waits for the network alone; a blob's name is locked innermost, for a rename. So
 * nobody waits for a lock whose holder waits for one of ours.
 */
#ifndef INGOT_SOURCE_JOBS_H
#define INGOT_SOURCE_JOBS_H

#include "source/curl.h"
#include "source/partial.h"
#include "source/verify.h"

struct text_memo; /* see fetch.c */

struct fetcher {
    struct store *store;
    struct fetch_options options;
    struct http *http;
    struct text_memo *texts;
    size_t text_count;
    unsigned depth;    /* of fetch_all */
    unsigned scale_ms; /* what a second of waiting is */
};

enum job_state {
    JOB_LOCK,  /* wants its lock */
    JOB_OPEN,  /* wants its next candidate */
    JOB_HASH,  /* reads back what is there */
    JOB_RUN,   /* is transferred */
    JOB_PAUSE, /* waits before another try */
    JOB_HELD,  /* is verified, and becomes a blob together with others */
    JOB_DONE
};

struct job {
    /* What is wanted. */
    const char *url, *what;              /* what: NULL for texts */
    const char *name;                    /* of lock, record and partial file */
    const struct fetch_request *request; /* NULL for texts */
    const struct expectation *expect;    /* likewise */
    const char *const *candidates;
    uint64_t max_bytes, size;

    /* What came of it. */
    char sha256[DIGEST_HEX_MAX], sha512[DIGEST_HEX_MAX];
    uint64_t got;
    bool cached;
    struct error *error; /* jobs_run with `every` leaves it to the caller */

    /* The engine's own. */
    struct fetcher *fetcher;
    struct arena *arena;
    enum job_state state;
    int lock;
    bool locked, opened, local, waiting_said;
    bool resumed;    /* bytes of an earlier try are in it */
    bool whole;      /* ask for all of it: resuming has gone wrong */
    bool restart;    /* on_answer: once more from the start */
    bool unchanged;  /* 304 */
    uint64_t before; /* bytes when the try began */
    unsigned tries;
    uint64_t wake; /* ms */
    struct partial partial;
    struct http_transfer *transfer;
    json_t *record; /* of a text */
    char *etag, *last_modified;
    struct failure *failures;
    size_t failure_count;
    struct job *all; /* of the same run */
    size_t all_count;
};

/* Runs them, up to options.jobs at once. Stops all at the first that fails (*err is its error);
 * with `every` it goes on, and each job has its own error. progress: for all together. */
bool jobs_run(struct fetcher *f, struct arena *a, struct job *jobs, size_t count, bool every,
              bool progress, struct error **err) must_check;

#endif
