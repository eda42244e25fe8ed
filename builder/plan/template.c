#include "plan/template.h"

#include "base/text.h"

#include <string.h>

static const char *lookup(const struct template_value *values, size_t count, const char *name,
                          size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(values[i].name) == size && memcmp(values[i].name, name, size) == 0)
            return values[i].value;
    return NULL;
}

static bool unknown_name(const struct template_value *values, size_t count, struct place place,
                         const char *name, size_t size, struct error **err)
{
    autofree char *given = strndup(name, size);
    autofree const char **names = calloc(count + 1, sizeof *names);
    if (!given || !names)
        abort();
    for (size_t i = 0; i < count; i++)
        names[i] = values[i].name;
    const char *near = text_nearest(given, names, count);
    if (near)
        return error_set_at(err, ERROR_INPUT, place,
                            "@{%s}: there is no such value; did you mean @{%s}?", given, near);
    return error_set_at(err, ERROR_INPUT, place,
                        "@{%s}: there is no such value; for the text itself write @@{%s}", given,
                        given);
}

/* Characters of a name: what a key of a recipe is made of. */
static size_t name_length(const char *p)
{
    return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
}

bool template_fill(const struct template_value *values, size_t count, const char *name,
                   const char *text, size_t size, struct buffer *out, struct error **err)
{
    struct place at = {.file = name, .line = 1, .column = 1};
    const char *line = text, *end = text + size;
    if (memchr(text, '\0', size))
        return error_set(err, ERROR_INPUT, "%s: has NUL bytes: a template is text", name);
    for (const char *p = text; p < end;) {
        const char *stop = strpbrk(p, "@\n");
        if (!stop)
            stop = end;
        buffer_add(out, p, (size_t)(stop - p));
        p = stop;
        if (p == end)
            break;
        if (*p == '\n') {
            at.line++;
            line = p + 1;
        }
        at.column = (unsigned)(p - line) + 1;
        if (strncmp(p, "@@{", 3) == 0) {
            buffer_puts(out, "@{");
            p += 3;
        } else if (strncmp(p, "@{", 2) == 0) {
            size_t n = name_length(p + 2);
            if (n == 0 || p[2 + n] != '}')
                return error_set_at(err, ERROR_INPUT, at,
                                    "@{ begins a name but no } ends it; for the text itself write "
                                    "@@{");
            const char *value = lookup(values, count, p + 2, n);
            if (!value)
                return unknown_name(values, count, at, p + 2, n, err);
            buffer_puts(out, value);
            p += n + 3;
        } else {
            buffer_add(out, p++, 1);
        }
    }
    return true;
}
