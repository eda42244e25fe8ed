#include "base/buffer.h"

#include <stdarg.h>
#include <string.h>

void buffer_add(struct buffer *b, const void *bytes, size_t size)
{
    if (b->room - b->size <= size) {
        size_t room = b->room ? b->room : 256;
        while (room - b->size <= size)
            room *= 2;
        char *grown = realloc(b->data, room);
        if (!grown)
            abort();
        b->data = grown;
        b->room = room;
    }
    if (size)
        memcpy(b->data + b->size, bytes, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buffer_puts(struct buffer *b, const char *s)
{
    buffer_add(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    autofree char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    buffer_add(b, s, (size_t)n);
}

char *buffer_take(struct buffer *b)
{
    buffer_add(b, "", 0);
    char *data = b->data;
    *b = (struct buffer){0};
    return data;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
