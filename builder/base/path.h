/* Path names as strings: joining, splitting, and the question whether one would leave a folder. */
#ifndef INGOT_BASE_PATH_H
#define INGOT_BASE_PATH_H

#include "base/attributes.h"

/* dir/name, or name alone if it is absolute or dir is empty. Free the result. */
char *path_join(const char *dir, const char *name);
/* The part in front of the last slash ("." if there is none, "/" for "/x"). Free the result. */
char *path_dirname(const char *path);
/* What follows the last slash; points into path. */
const char *path_basename(const char *path);
/* Replaces a leading `~/` by $HOME; otherwise a copy. Free the result. */
char *path_expand_home(const char *path);
/* dir/path without symbolic links and dots where it exists, else a plain join. Free the result. */
char *path_absolute(const char *dir, const char *path);
/* True if a relative path stays below the folder that it is relative to: not absolute, no empty
 * name, no component `..`, no backslash, no NUL or control character. */
bool path_stays_inside(const char *path);
/* True for an absolute path without `.`, `..`, doubled or trailing slashes; "/" counts. */
bool path_is_clean_absolute(const char *path);
/* A name for one path component: letters, digits, `.`, `_`, `-`, not starting with `.` or `-`. */
bool path_is_plain_name(const char *name);

#endif
