/* One step of one job; see jobs.h. */
#ifndef INGOT_SOURCE_JOB_H
#define INGOT_SOURCE_JOB_H

#include "source/jobs.h"

/* Moves a job on that has something to do; it ends in JOB_DONE, with or without an error. */
void job_step(struct job *j);
/* Makes blobs of jobs in JOB_HELD, at most so many at once, and ends them. What fails is the error
 * of the first. */
#define JOBS_COMMITTED 64
void jobs_commit(struct job **jobs, size_t count);
/* Lets go of everything; a partial file stays to be resumed. */
void job_stop(struct job *j);
/* ERROR_SPACE that names the cache, if it has fewer free bytes. what: "what is to be fetched". */
bool job_has_room(struct store *s, uint64_t bytes, const char *what, struct error **err) must_check;
/* Milliseconds of a clock that only goes forward. */
uint64_t job_now(void);

#endif
