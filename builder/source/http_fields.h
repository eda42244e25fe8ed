/* Fields of HTTP answers as RFC 9110 writes them: text from whoever answers, so anything may come.
 */
#ifndef INGOT_SOURCE_HTTP_FIELDS_H
#define INGOT_SOURCE_HTTP_FIELDS_H

#include "base/attributes.h"

#include <stdint.h>
#include <time.h>

/* `bytes FIRST-LAST/WHOLE` of a 206 (section 14.4); whole 0: `*`, not known. False for anything
 * else, and for numbers that contradict each other. */
bool http_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *whole)
    must_check;
/* A date in any of the three forms of section 5.6.7, `Sun, 06 Nov 1994 08:49:37 GMT`. */
bool http_date(const char *text, time_t *t) must_check;
/* Seconds that Retry-After (section 10.2.3) asks to wait, from seconds or a date; a date in the
 * past is 0. False where it is neither. */
bool http_retry_after(const char *text, time_t now, uint64_t *seconds) must_check;
/* The validator by which a range of the same representation can be asked (If-Range,
 * section 13.1.5): a strong ETag, else a Last-Modified that is strong (section 8.8.2.2: well before
 * the answer's Date). NULL: there is none. Points into its arguments, each of which may be NULL. */
const char *http_strong_validator(const char *etag, const char *last_modified, const char *date);

#endif
