/* What writing and reading NAME.lock share. */
#ifndef INGOT_RESOLVE_LOCK_INTERNAL_H
#define INGOT_RESOLVE_LOCK_INTERNAL_H

#include "base/buffer.h"
#include "resolve/lock.h"

#define LOCK_FORMAT 1
#define LOCK_MAX_BYTES ((size_t)64 << 20)

/* The length of what stands in front of the path of a local URL: "", "file:", "file://"; -1 for
 * what is not local. With `relative` the path begins with `./` or `../`, else with a slash. */
int lock_local_prefix(const char *url, bool relative);
/* A name as it stands in a lock in the folder dir, as a URL or absolute path. */
const char *lock_expand(struct arena *a, const char *dir, const char *name);
/* Puts the URL without its user part. */
void lock_write_without_user(struct buffer *b, const char *url);
/* The absolute folder that names in this lock are relative to. Free it. */
char *lock_folder(const char *path);

#endif
