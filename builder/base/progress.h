/* Progress of long work on stderr: a bar with rate and time left on a terminal, a plain line at the
 * start and the end of a step elsewhere, or JSON lines.
 *
 * JSON lines: {"event": "step"|"progress"|"done", "step": 2, "what": …, "done": bytes,
 * "total": bytes, "seconds": …}. Steps do not nest; one step runs at a time.
 */
#ifndef INGOT_BASE_PROGRESS_H
#define INGOT_BASE_PROGRESS_H

#include "base/attributes.h"

#include <stdint.h>

enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

void progress_set_mode(enum progress_mode mode);
/* Starts a step, ending the one before. Shown as said, so write it as a thing being done:
 * "fetch debian.qcow2". */
void progress_step(const char *fmt, ...) printf_like(1, 2);
/* done of total in bytes (total 0: unknown). Cheap enough to be called for each chunk. */
void progress_update(uint64_t done, uint64_t total);
/* The same for a share that is no number of bytes: 0 to 1000. */
void progress_share(unsigned per_mille);
/* Something seen while the step runs, shown beside it ("waiting for cloud-init"). */
void progress_note(const char *fmt, ...) printf_like(1, 2);
/* Draws the time that has gone by, for a step that says nothing else; cheap. */
void progress_tick(void);
/* Ends the step. */
void progress_done(void);

/* For log: take the bar off the terminal, put it back. */
void progress_hide(void);
void progress_show(void);

#endif
