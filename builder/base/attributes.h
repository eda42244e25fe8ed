/* Compiler attributes and cleanup attributes shared by all layers.
 *
 * A handle that is declared with one of the auto* attributes is released when it goes out of scope.
 * take_ptr hands ownership on: it returns the pointer and leaves NULL behind.
 */
#ifndef INGOT_BASE_ATTRIBUTES_H
#define INGOT_BASE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define cleanup(f) __attribute__((cleanup(f)))

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void *take_ptr_(void *p)
{
    void **where = p, *value = *where;
    *where = NULL;
    return value;
}

static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#define autofree cleanup(cleanup_free)
#define autoclose cleanup(cleanup_close)
#define autofclose cleanup(cleanup_fclose)
#ifdef __cppcheck__ /* it cannot read __typeof__ of a member */
#define take_ptr(p) take_ptr_(&(p))
#else
#define take_ptr(p) ((__typeof__(p))take_ptr_(&(p)))
#endif

#endif
