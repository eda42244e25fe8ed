#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *head;
};

static struct block *block_new(size_t size, struct block *next)
{
    struct block *b = calloc(1, sizeof *b + size);
    if (!b)
        abort();
    b->size = size;
    b->next = next;
    return b;
}

struct arena *arena_new(void)
{
    struct arena *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        abort();
    size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (size > BLOCK_SIZE / 4) { /* large ones get a block of their own, behind the current */
        if (!a->head)
            a->head = block_new(BLOCK_SIZE, NULL);
        struct block *b = block_new(size, a->head->next);
        a->head->next = b;
        b->used = size;
        return b->bytes;
    }
    if (!a->head || a->head->size - a->head->used < size)
        a->head = block_new(BLOCK_SIZE, a->head);
    void *p = a->head->bytes + a->head->used;
    a->head->used += size;
    return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t size)
{
    void *copy = arena_alloc(a, size ? size : 1);
    if (size)
        memcpy(copy, p, size);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_memdup(a, s, strlen(s) + 1) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    autofree char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    return arena_strdup(a, s);
}

void *arena_append_(struct arena *a, void *items, size_t *count, size_t size, const void *item)
{
    size_t n = *count;
    if ((n & (n - 1)) == 0) { /* room is always the next power of two */
        size_t room = n ? n * 2 : 1;
        void *grown = arena_alloc(a, room * size);
        if (n)
            memcpy(grown, items, n * size);
        items = grown;
    }
    memcpy((char *)items + n * size, item, size);
    *count = n + 1;
    return items;
}
