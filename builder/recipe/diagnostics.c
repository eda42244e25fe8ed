#include "recipe/diagnostics.h"

#include <stdarg.h>
#include <string.h>

/* More are only counted: hostile input shall not make us slow. */
#define MAX_ITEMS 1000

static void add(struct diagnostics *d, enum severity severity, struct place place, const char *key,
                const char *fmt, va_list ap) printf_like(5, 0);

static void add(struct diagnostics *d, enum severity severity, struct place place, const char *key,
                const char *fmt, va_list ap)
{
    autofree char *message = NULL;
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    d->errors += severity == SEVERITY_ERROR;
    if (d->count >= MAX_ITEMS)
        return;
    for (size_t i = 0; i < d->count; i++) {
        const struct diagnostic *o = &d->items[i];
        if (o->place.line == place.line && o->place.column == place.column &&
            strcmp(o->place.file, place.file ? place.file : "") == 0 &&
            strcmp(o->message, message) == 0) {
            d->errors -= severity == SEVERITY_ERROR;
            return;
        }
    }
    place.file = arena_strdup(d->arena, place.file ? place.file : "");
    struct diagnostic item = {severity, place, arena_strdup(d->arena, key ? key : ""),
                              arena_strdup(d->arena, message)};
    arena_append(d->arena, d->items, d->count, item);
}

void diagnostics_error(struct diagnostics *d, struct place place, const char *key, const char *fmt,
                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, SEVERITY_ERROR, place, key, fmt, ap);
    va_end(ap);
}

void diagnostics_warning(struct diagnostics *d, struct place place, const char *key,
                         const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, SEVERITY_WARNING, place, key, fmt, ap);
    va_end(ap);
}

/* Number of the file in order of first mention. */
static size_t file_rank(const struct diagnostics *d, const char *file)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->items[i].place.file, file) == 0)
            return i;
    return d->count;
}

struct ranked {
    struct diagnostic item;
    size_t rank, index;
};

static int by_place(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->item.place.line != b->item.place.line)
        return a->item.place.line < b->item.place.line ? -1 : 1;
    if (a->item.place.column != b->item.place.column)
        return a->item.place.column < b->item.place.column ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

void diagnostics_sort(struct diagnostics *d)
{
    if (d->count < 2)
        return;
    struct ranked *sorted = arena_alloc(d->arena, d->count * sizeof *sorted);
    for (size_t i = 0; i < d->count; i++)
        sorted[i] = (struct ranked){d->items[i], file_rank(d, d->items[i].place.file), i};
    qsort(sorted, d->count, sizeof *sorted, by_place);
    for (size_t i = 0; i < d->count; i++)
        d->items[i] = sorted[i].item;
}

bool diagnostics_fail(const struct diagnostics *d, enum error_kind kind, struct error **err)
{
    const struct diagnostic *first = NULL;
    for (size_t i = 0; i < d->count && !first; i++)
        if (d->items[i].severity == SEVERITY_ERROR)
            first = &d->items[i];
    if (!first)
        return error_set(err, ERROR_INTERNAL, "a recipe failed without a message");
    autofree char *more = NULL;
    if (d->count >= MAX_ITEMS)
        more = strdup(" (and very many more errors)");
    else if (d->errors > 1 && asprintf(&more, " (and %zu more %s)", d->errors - 1,
                                       d->errors == 2 ? "error" : "errors") < 0)
        abort();
    return error_set_at(err, kind, first->place, "%s%s%s%s", first->key, *first->key ? ": " : "",
                        first->message, more ? more : "");
}
