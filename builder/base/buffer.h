/* Growable bytes, always followed by a NUL that is not counted. Memory exhaustion aborts. */
#ifndef INGOT_BASE_BUFFER_H
#define INGOT_BASE_BUFFER_H

#include "base/attributes.h"

struct buffer {
    char *data; /* NULL while empty and never written */
    size_t size;
    size_t room;
};

void buffer_add(struct buffer *b, const void *bytes, size_t size);
void buffer_puts(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *fmt, ...) printf_like(2, 3);
/* Hands the bytes to the caller (free them), never NULL; the buffer is empty afterwards. */
char *buffer_take(struct buffer *b);
void buffer_free(struct buffer *b);

#define autobuffer cleanup(buffer_free)

#endif
