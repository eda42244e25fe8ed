#include "recipe/merge.h"

#include "base/text.h"
#include "recipe/yaml.h"

#include <string.h>

static const struct type *type_of_key(const struct type *type, const char *name)
{
    if (!type)
        return NULL;
    if (!type->keys)
        return type->any ? NULL : type->item;
    const struct key *k = keys_find(type->keys, name, strlen(name));
    return k ? k->type : NULL;
}

/* True if `over` says something that makes `below` another thing, so that nothing of it is kept. */
static bool replaces_whole(const struct type *type, const struct node *below,
                           const struct node *over)
{
    for (const char *const *name = type ? type->whole : NULL; name && *name; name++) {
        const struct node *new = node_get(over, *name), *old = node_get(below, *name);
        if (!new)
            continue;
        if (!old || new->kind != old->kind)
            return true;
        if (new->kind == NODE_SCALAR && strcmp(new->text, old->text) != 0)
            return true;
    }
    for (const char *const *name = type ? type->whole_if_new : NULL; name && *name; name++)
        if (node_get(over, *name) && !node_get(below, *name))
            return true;
    return false;
}

static struct node *append(struct arena *a, const struct type *type, const struct node *below,
                           const struct node_entry *e, struct diagnostics *found)
{
    struct node *list = arena_memdup(a, e->value, sizeof *e->value);
    list->items = NULL;
    list->count = 0;
    if (below && below->kind == NODE_LIST) {
        for (size_t i = 0; i < below->count; i++)
            arena_append(a, list->items, list->count, below->items[i]);
    } else if (below && below->kind == NODE_SCALAR && type && type->one_is_list) {
        struct node *item = arena_memdup(a, below, sizeof *below);
        arena_append(a, list->items, list->count, item);
    } else if (below) {
        diagnostics_error(found, e->place, e->name, "`+` appends to a list, and %s:%u has %s",
                          below->place.file, below->place.line, node_kind_name(below));
    }
    for (size_t i = 0; i < e->value->count; i++)
        arena_append(a, list->items, list->count, e->value->items[i]);
    return list;
}

static void merge_entry(struct arena *a, const struct type *type, struct node *into,
                        const struct node_entry *e, struct diagnostics *found)
{
    size_t n = strlen(e->name);
    const char *name = e->name;
    if (n > 1 && name[n - 1] == '+' && e->value->kind == NODE_LIST) {
        name = arena_strndup(a, name, n - 1);
        const struct type *of = type_of_key(type, name);
        if (!of || of->shapes & SHAPE_LIST) {
            node_set(a, into, name, e->place, append(a, of, node_get(into, name), e, found));
            return;
        }
        name = e->name; /* wrong, and reported when it is bound */
    }
    node_set(a, into, name, e->place,
             merge(a, type_of_key(type, name), node_get(into, name), e->value, found));
}

struct node *merge(struct arena *a, const struct type *type, const struct node *below,
                   const struct node *over, struct diagnostics *found)
{
    if (over->kind != NODE_MAP)
        return node_copy(a, over);
    struct node *into;
    if (below && below->kind == NODE_SCALAR && type && type->scalar_key) {
        into = node_map(a, below);
        node_set(a, into, type->scalar_key, below->place, node_copy(a, below));
    } else if (below && below->kind == NODE_MAP) {
        into = node_copy(a, below);
    } else {
        into = node_map(a, over);
    }
    if (replaces_whole(type, into, over))
        into = node_map(a, over);
    into->place = over->place;
    into->origin = over->origin;
    into->dir = over->dir;
    for (size_t i = 0; i < over->count; i++)
        merge_entry(a, type, into, &over->entries[i], found);
    return into;
}

/* The next key of a dotted path; NULL if it is malformed. *path is advanced behind it and its dot.
 */
static char *next_key(struct arena *a, const char **path)
{
    const char *p = *path, *end;
    char *key;
    if (*p == '"') {
        end = strchr(++p, '"');
        if (!end)
            return NULL;
        key = arena_strndup(a, p, (size_t)(end - p));
        end++;
        if (*end == '+') {
            key = arena_printf(a, "%s+", key);
            end++;
        }
    } else {
        end = p + strcspn(p, ".\"");
        key = arena_strndup(a, p, (size_t)(end - p));
    }
    if (!*key || (*end && *end != '.') || (*end == '.' && !end[1]))
        return NULL;
    *path = *end ? end + 1 : end;
    return key;
}

struct node *override_tree(struct arena *a, const struct recipe_override *o,
                           struct diagnostics *found)
{
    autofree char *cwd = getcwd(NULL, 0);
    const char *origin = arena_strdup(a, o->origin);
    struct document_source source = {.name = origin,
                                     .dir = arena_strdup(a, cwd ? cwd : "/"),
                                     .origin = origin,
                                     .one_line = true};
    struct place place = {origin, 0, 0};
    const char *path = o->path;
    char *keys[DOCUMENT_MAX_DEPTH];
    size_t count = 0;
    struct node *n = document_parse(a, &source, o->value, strlen(o->value), found);
    if (!n)
        return NULL;
    while (*path || count == 0) {
        char *key = count < COUNT(keys) ? next_key(a, &path) : NULL;
        if (!key) {
            diagnostics_error(
                found, place, "",
                "'%s' is no path of keys: keys with dots between them, and a key that "
                "has dots itself in double quotes",
                o->path);
            return NULL;
        }
        keys[count++] = key;
    }
    while (count) {
        struct node *map = node_map(a, n);
        node_set(a, map, keys[--count], place, n);
        n = map;
    }
    return n;
}

bool recipe_override_parse(struct arena *a, const char *text, struct recipe_override *out,
                           struct error **err)
{
    const char *equals = text;
    for (bool quoted = false; *equals && (quoted || *equals != '='); equals++)
        quoted ^= *equals == '"';
    if (!*equals || equals == text)
        return error_set(err, ERROR_USAGE, "--set %s: this must be KEY=VALUE, such as disk=8GiB",
                         text);
    out->path = arena_strndup(a, text, (size_t)(equals - text));
    out->value = arena_strdup(a, equals + 1);
    bool secret = strstr(out->value, "://") && strchr(out->value, '@');
    out->origin = !secret && strlen(out->value) <= 60 && !strchr(out->value, '\n')
                      ? arena_printf(a, "--set %s", text)
                      : arena_printf(a, "--set %s=…", out->path);
    return true;
}

static int by_name(const void *x, const void *y)
{
    const struct recipe_override *a = x, *b = y;
    return strcmp(a->origin, b->origin);
}

void recipe_overrides_from_environment(struct arena *a, char *const *environment,
                                       struct recipe_override **out, size_t *count)
{
    static const char prefix[] = "INGOT_SET_";
    *out = NULL;
    *count = 0;
    for (; environment && *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        if (!equals || !text_starts_with(*environment, prefix))
            continue;
        const char *name = *environment + sizeof prefix - 1;
        char *path = arena_alloc(a, (size_t)(equals - name) + 1), *p = path;
        for (const char *s = name; s < equals; s++) {
            bool dot = s[0] == '_' && s + 1 < equals && s[1] == '_';
            *p++ = dot ? '.' : *s;
            s += dot;
        }
        struct recipe_override o = {
            path, arena_strdup(a, equals + 1),
            arena_strndup(a, *environment, (size_t)(equals - *environment))};
        arena_append(a, *out, *count, o);
    }
    if (*count)
        qsort(*out, *count, sizeof **out, by_name);
}
