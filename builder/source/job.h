/* One step of one job; see jobs.h. */
#ifndef INGOT_SOURCE_JOB_H
#define INGOT_SOURCE_JOB_H

#include "source/jobs.h"

/* Moves a job on that has something to do; it ends in JOB_DONE, with or without an error. */
void job_step(struct job *j);
/* Lets go of everything; a partial file stays to be resumed. */
void job_stop(struct job *j);
/* Milliseconds of a clock that only goes forward. */
uint64_t job_now(void);

#endif
