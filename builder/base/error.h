/* One error object: a chain of messages, a kind that decides the exit code, and a place.
 *
 * Contract: a function that can fail returns bool and takes `struct error **err` last. On success
 * it leaves *err untouched; on failure it returns false and *err holds a new error, owned by the
 * caller (autoerror releases it). error_wrap puts a "because" in front: the chain reads from the
 * outside in, `cannot build 'x': cannot fetch the base: https://…: HTTP 404`. Only main prints and
 * exits. err may be NULL where the caller does not care.
 */
#ifndef INGOT_BASE_ERROR_H
#define INGOT_BASE_ERROR_H

#include "base/attributes.h"

/* Where in a text something stands. line and column count from 1; 0 means unknown. */
struct place {
    const char *file;
    unsigned line, column;
};

enum error_kind {
    ERROR_INTERNAL,
    ERROR_USAGE,
    ERROR_INPUT,
    ERROR_TRUST,
    ERROR_UNREACHABLE,
    ERROR_HOST,
    ERROR_SPACE,
    ERROR_GUEST,
    ERROR_TIMEOUT,
    ERROR_CHANGED,
    ERROR_CONFLICT,
    ERROR_UNSUPPORTED,
    ERROR_INTERRUPTED,
    ERROR_TERMINATED,
    ERROR_KINDS
};

/* The one table of kinds: name in JSON, exit code, and what --help and the docs say of it. */
struct error_kind_info {
    const char *name;
    int exit_code;
    const char *meaning;
};
extern const struct error_kind_info error_kinds[ERROR_KINDS];

struct error;

/* Each of these returns false, so that `return error_set (…)` reads well. An *err that is already
 * set is kept and the new message dropped: the first failure is the one to report. */
bool error_set(struct error **err, enum error_kind kind, const char *fmt, ...) printf_like(3, 4);
bool error_set_at(struct error **err, enum error_kind kind, struct place place, const char *fmt,
                  ...) printf_like(4, 5);
/* Appends strerror (errno_value); ENOSPC, EDQUOT become ERROR_SPACE and EINTR ERROR_INTERRUPTED. */
bool error_errno(struct error **err, enum error_kind kind, int errno_value, const char *fmt, ...)
    printf_like(4, 5);
/* Puts a message in front of the chain. */
bool error_wrap(struct error **err, const char *fmt, ...) printf_like(2, 3);

void error_free(struct error *e);
enum error_kind error_kind(const struct error *e);
int error_exit_code(const struct error *e);
/* The chain as one line, `place: outer: inner`. Owned by the error. */
const char *error_text(const struct error *e);
struct place error_place(const struct error *e);
/* Link i of the chain, outermost first; NULL behind the last. Owned by the error. */
const char *error_link(const struct error *e, size_t i);

static inline void cleanup_error(struct error **e)
{
    error_free(*e);
}
#define autoerror cleanup(cleanup_error)

#endif
