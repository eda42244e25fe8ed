/* Memory that is released all at once: one arena per recipe, per plan.
 *
 * Allocation never fails (it aborts when memory is exhausted) and returns zeroed, aligned memory.
 * Strings put into an arena are constant from then on.
 */
#ifndef INGOT_BASE_ARENA_H
#define INGOT_BASE_ARENA_H

#include "base/attributes.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);
void *arena_memdup(struct arena *a, const void *p, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3);

#define arena_new_of(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* Appends *item (size bytes each) to the array *items of *count elements that lives in the arena.
 */
void *arena_append_(struct arena *a, void *items, size_t *count, size_t size, const void *item);
#define arena_append(a, items, count, item)                                                        \
    ((items) = arena_append_((a), (void *)(items), &(count), sizeof *(items), &(item)))

static inline void cleanup_arena(struct arena **a)
{
    arena_free(*a);
}
#define autoarena cleanup(cleanup_arena)

#endif
