/* Room on the host, asked before work starts: what is needed, and where. */
#ifndef INGOT_BASE_SPACE_H
#define INGOT_BASE_SPACE_H

#include "base/error.h"

#include <stdint.h>

struct process_result;

/* Bytes that a sparse copy of a file takes: those that are allocated. */
bool space_of_copy(const char *path, uint64_t *bytes, struct error **err) must_check;

/* ERROR_SPACE, naming both numbers and the folder, where the file system of `path` (or of its
 * nearest parent that exists) has fewer free bytes. what: "the disk of the base". */
bool space_check(const char *path, uint64_t bytes, const char *what, struct error **err) must_check;

/* True if a tool that failed (run with LC_ALL=C) said that the disk is full: they do in words only.
 */
bool space_ran_out(const struct process_result *r);

#endif
