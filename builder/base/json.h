/* JSON through jansson (RFC 8259). This header is the only one that includes <jansson.h>. */
#ifndef INGOT_BASE_JSON_H
#define INGOT_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>

static inline void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define autojson cleanup(cleanup_json)

/* Duplicate keys, NUL and trailing text are refused; at most max_bytes are read.
 * The caller owns the result. */
bool json_read_file(const char *path, size_t max_bytes, json_t **out, struct error **err)
    must_check;
bool json_parse(const char *text, size_t size, const char *name, json_t **out, struct error **err)
    must_check;
/* Sorted keys, no white space: for hashing. Free the result. */
char *json_canonical(const json_t *j);
/* Indented by two, keys in the order in which they were set, newline at the end. Free the result.
 */
char *json_pretty(const json_t *j);
/* Writes atomically, mode as given. */
bool json_write_file(const char *path, const json_t *j, unsigned mode, struct error **err)
    must_check;

/* Member as a string, or fallback where it is absent or no string. Owned by j. */
const char *json_string_or(const json_t *j, const char *key, const char *fallback);
/* Set a member; a NULL string is left out. j is not NULL. */
void json_set_string(json_t *j, const char *key, const char *value);
void json_set_integer(json_t *j, const char *key, json_int_t value);
void json_set_bool(json_t *j, const char *key, bool value);
/* A new array of strings; texts ends in NULL, or is NULL for none. */
json_t *json_strings(const char *const *texts);
/* Set a member and take over the reference. */
void json_set(json_t *j, const char *key, json_t *value);

#endif
