#include "recipe/node.h"

#include "base/buffer.h"

#include <ctype.h>
#include <string.h>

#define LINE_MAX_BYTES 200

struct node *node_scalar(struct arena *a, const struct node *like, const char *text)
{
    struct node *n = arena_memdup(a, like, sizeof *like);
    n->kind = NODE_SCALAR;
    n->text = text;
    n->plain = false;
    n->items = NULL;
    n->entries = NULL;
    n->count = 0;
    return n;
}

struct node *node_map(struct arena *a, const struct node *like)
{
    struct node *n = node_scalar(a, like, NULL);
    n->kind = NODE_MAP;
    return n;
}

struct node *node_get(const struct node *m, const char *name)
{
    if (!m || m->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->entries[i].name, name) == 0)
            return m->entries[i].value;
    return NULL;
}

void node_set(struct arena *a, struct node *m, const char *name, struct place place,
              struct node *value)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->entries[i].name, name) == 0) {
            m->entries[i].place = place;
            m->entries[i].value = value;
            return;
        }
    }
    struct node_entry e = {arena_strdup(a, name), place, value};
    arena_append(a, m->entries, m->count, e);
}

struct node *node_copy(struct arena *a, const struct node *n)
{
    struct node *copy = arena_memdup(a, n, sizeof *n);
    if (n->kind == NODE_MAP) {
        copy->entries = NULL;
        copy->count = 0;
        for (size_t i = 0; i < n->count; i++) {
            struct node_entry e = n->entries[i];
            e.value = node_copy(a, e.value);
            arena_append(a, copy->entries, copy->count, e);
        }
    } else if (n->kind == NODE_LIST) {
        copy->items = NULL;
        copy->count = 0;
        for (size_t i = 0; i < n->count; i++) {
            struct node *item = node_copy(a, n->items[i]);
            arena_append(a, copy->items, copy->count, item);
        }
    }
    return copy;
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static enum scalar_kind number_kind(const char *s)
{
    const char *p = s;
    bool digits = false, fraction = false;
    if (*p == '-' || *p == '+')
        p++;
    if (p == s && p[0] == '0' && (p[1] == 'x' || p[1] == 'o'))
        return p[2] && strspn(p + 2, "0123456789abcdefABCDEF") == strlen(p + 2) ? SCALAR_INTEGER
                                                                                : SCALAR_TEXT;
    for (; isdigit((unsigned char)*p); p++)
        digits = true;
    if (*p == '.') {
        fraction = true;
        for (p++; isdigit((unsigned char)*p); p++)
            digits = true;
    }
    if (!digits)
        return SCALAR_TEXT;
    if (*p == 'e' || *p == 'E') {
        fraction = true;
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!isdigit((unsigned char)*p))
            return SCALAR_TEXT;
        while (isdigit((unsigned char)*p))
            p++;
    }
    if (*p)
        return SCALAR_TEXT;
    return fraction ? SCALAR_FLOAT : SCALAR_INTEGER;
}

enum scalar_kind node_scalar_kind(const struct node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    static const char *const floats[] = {".inf",  ".Inf", ".INF", "-.inf", "-.Inf",
                                         "-.INF", ".nan", ".NaN", ".NAN",  NULL};
    if (!n->plain)
        return SCALAR_TEXT;
    if (is_one_of(n->text, nulls))
        return SCALAR_NULL;
    if (is_one_of(n->text, bools))
        return SCALAR_BOOL;
    return is_one_of(n->text, floats) ? SCALAR_FLOAT : number_kind(n->text);
}

const char *node_kind_name(const struct node *n)
{
    static const char *const scalars[] = {"text", "empty", "true or false", "a number", "a number"};
    if (n->kind == NODE_SCALAR)
        return scalars[node_scalar_kind(n)];
    return n->kind == NODE_LIST ? "a list" : "a map";
}

static void to_line(struct buffer *b, const struct node *n)
{
    if (b->size > LINE_MAX_BYTES)
        return;
    if (n->kind == NODE_SCALAR) {
        size_t length = strcspn(n->text, "\n");
        buffer_add(b, n->text, length > LINE_MAX_BYTES ? LINE_MAX_BYTES : length);
        if (n->text[length])
            buffer_puts(b, "…");
        return;
    }
    buffer_puts(b, n->kind == NODE_LIST ? "[" : "{");
    for (size_t i = 0; i < n->count; i++) {
        if (i)
            buffer_puts(b, ", ");
        if (n->kind == NODE_MAP)
            buffer_printf(b, "%s: ", n->entries[i].name);
        to_line(b, n->kind == NODE_LIST ? n->items[i] : n->entries[i].value);
    }
    buffer_puts(b, n->kind == NODE_LIST ? "]" : "}");
}

const char *node_to_line(struct arena *a, const struct node *n)
{
    autobuffer struct buffer b = {0};
    to_line(&b, n);
    if (b.size <= LINE_MAX_BYTES)
        return arena_strdup(a, b.data ? b.data : "");
    size_t cut = LINE_MAX_BYTES;
    while (cut && ((unsigned char)b.data[cut] & 0xC0) == 0x80) /* not inside a UTF-8 sequence */
        cut--;
    return arena_printf(a, "%.*s…", (int)cut, b.data);
}
