#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define MAX_LINKS 32

struct error {
    enum error_kind kind;
    struct place place;
    char *place_file;
    char *links[MAX_LINKS]; /* innermost first */
    size_t count;
    char *text;
};

const struct error_kind_info error_kinds[ERROR_KINDS] = {
    [ERROR_INTERNAL] = {"internal", 1, "internal error: please report it"},
    [ERROR_USAGE] = {"usage", 2, "the command line is wrong"},
    [ERROR_INPUT] = {"input", 3, "the recipe or another input is wrong"},
    [ERROR_TRUST] = {"trust", 4, "something cannot be trusted (digest, signature, lock)"},
    [ERROR_UNREACHABLE] = {"unreachable", 5, "unreachable, or not available offline"},
    [ERROR_HOST] = {"host", 6, "the host lacks something (tool, kernel, libvirt, permission)"},
    [ERROR_SPACE] = {"space", 7, "no space"},
    [ERROR_GUEST] = {"guest", 8, "the guest said no (package, command, assertion, boot, check)"},
    [ERROR_TIMEOUT] = {"timeout", 9, "time-out"},
    [ERROR_CHANGED] = {"changed", 10, "there are updates, or a difference"},
    [ERROR_CONFLICT] = {"conflict", 11, "conflict (exists, in use)"},
    [ERROR_UNSUPPORTED] = {"unsupported", 12,
                           "a bundle or contract that this version does not understand"},
    [ERROR_INTERRUPTED] = {"interrupted", 130, "interrupted (SIGINT)"},
    [ERROR_TERMINATED] = {"terminated", 143, "terminated (SIGTERM)"},
};

static char *format(const char *fmt, va_list ap) printf_like(1, 0);

static char *format(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    return s;
}

static bool set(struct error **err, enum error_kind kind, struct place place, char *message)
{
    if (!err || *err) {
        free(message);
        return false;
    }
    struct error *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    e->kind = kind;
    e->place = place;
    if (place.file) {
        e->place_file = strdup(place.file);
        e->place.file = e->place_file;
    }
    e->links[e->count++] = message;
    *err = e;
    return false;
}

bool error_set(struct error **err, enum error_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = format(fmt, ap);
    va_end(ap);
    return set(err, kind, (struct place){0}, message);
}

bool error_set_at(struct error **err, enum error_kind kind, struct place place, const char *fmt,
                  ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = format(fmt, ap);
    va_end(ap);
    return set(err, kind, place, message);
}

bool error_errno(struct error **err, enum error_kind kind, int errno_value, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    autofree char *what = format(fmt, ap);
    va_end(ap);
    if (errno_value == ENOSPC || errno_value == EDQUOT)
        kind = ERROR_SPACE;
    else if (errno_value == EINTR)
        kind = ERROR_INTERRUPTED;
    return error_set(err, kind, "%s: %s", what, strerror(errno_value));
}

bool error_wrap(struct error **err, const char *fmt, ...)
{
    if (!err || !*err)
        return false;
    struct error *e = *err;
    va_list ap;
    va_start(ap, fmt);
    char *message = format(fmt, ap);
    va_end(ap);
    if (e->count == MAX_LINKS) {
        free(message);
        return false;
    }
    e->links[e->count++] = message;
    free(e->text);
    e->text = NULL;
    return false;
}

void error_free(struct error *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->count; i++)
        free(e->links[i]);
    free(e->place_file);
    free(e->text);
    free(e);
}

enum error_kind error_kind(const struct error *e)
{
    return e->kind;
}

int error_exit_code(const struct error *e)
{
    return error_kinds[e->kind].exit_code;
}

struct place error_place(const struct error *e)
{
    return e->place;
}

const char *error_link(const struct error *e, size_t i)
{
    return i < e->count ? e->links[e->count - 1 - i] : NULL;
}

const char *error_text(const struct error *e)
{
    struct error *cached = (struct error *)e;
    if (e->text)
        return e->text;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    if (e->place.file) {
        fprintf(f, "%s:", e->place.file);
        if (e->place.line)
            fprintf(f, "%u:%u:", e->place.line, e->place.column);
        fputc(' ', f);
    }
    for (size_t i = 0; i < e->count; i++)
        fprintf(f, "%s%s", i ? ": " : "", error_link(e, i));
    fclose(f);
    cached->text = text;
    return text;
}
