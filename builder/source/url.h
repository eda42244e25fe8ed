/* URLs as far as fetching must look into them (RFC 3986). */
#ifndef INGOT_SOURCE_URL_H
#define INGOT_SOURCE_URL_H

#include "base/error.h"

/* The URL for messages and records: the password of its user part (a user without one: it may be a
 * token) and all values of its query (they may be signatures) starred, without fragment. Free it.
 */
char *url_redact(const char *url);
/* The last component of the path, percent-decoded, without query and fragment; also of a plain
 * path. NULL where there is none, or where it holds a slash, NUL or control character. Free it. */
char *url_basename(const char *url);
/* True for http: and https: URLs. */
bool url_is_http(const char *url);
/* The host path of an absolute path or a file: URL. ERROR_INPUT for anything else, and for a file:
 * URL with a host that is not this one. Free it. */
bool url_local_path(const char *url, char **path, struct error **err) must_check;

#endif
