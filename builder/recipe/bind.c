#include "recipe/bind.h"

#include "base/path.h"
#include "base/text.h"
#include "base/units.h"
#include "recipe/check.h"
#include "recipe/yaml.h"

#include <stdarg.h>
#include <string.h>

void bind_error(struct binder *b, struct place place, const char *path, const char *fmt, ...)
{
    autofree char *message = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    b->errors++; /* also where both passes over a file say the same thing */
    diagnostics_error(b->found, place, path, "%s", message);
}

const char *node_origin(struct arena *a, const struct node *n)
{
    return n->place.line ? arena_printf(a, "%s:%u", n->place.file, n->place.line) : n->origin;
}

void bind_note(struct binder *b, const char *path, const char *value, const char *origin)
{
    if (b->partial || (strcmp(origin, "default") == 0 && strchr(path, '.')))
        return;
    if (b->prefix && *b->prefix)
        path = arena_printf(b->arena, "%s.%s", b->prefix, path);
    struct provenance p = {path, value, origin};
    arena_append(b->arena, b->provenance, b->provenance_count, p);
}

/* --- scalars ------------------------------------------------------------------------------------
 */

const char *host_path(struct arena *a, const struct node *n, const char *text)
{
    autofree char *expanded = path_expand_home(text);
    autofree char *absolute = path_absolute(n->dir, expanded);
    return arena_strdup(a, absolute);
}

void read_text(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    *(const char **)out = n->text;
}

void read_text_at(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    *(struct text_at *)out = (struct text_at){n->text, n->place};
}

void read_size(struct binder *b, const struct node *n, const char *path, void *out)
{
    const char *why;
    if (!units_parse_size(n->text, out, &why))
        bind_error(b, n->place, path, "'%s': %s", n->text, why);
}

void read_unsigned(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    *(unsigned *)out = (unsigned)strtoul(n->text, NULL, 10);
}

void read_bool(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    *(bool *)out = n->text[0] == 't';
}

void read_mode(struct binder *b, const struct node *n, const char *path, void *out)
{
    const char *why;
    if (!units_parse_mode(n->text, out, &why))
        bind_error(b, n->place, path, "'%s': %s", n->text, why);
}

void read_host_path(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)path;
    const char *text = strstr(n->text, "://") ? n->text : host_path(b->arena, n, n->text);
    *(struct text_at *)out = (struct text_at){text, n->place};
}

void read_any(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    ((struct node_at *)out)->node = n;
}

static size_t words_count(const char *const *words)
{
    size_t n = 0;
    while (words && words[n])
        n++;
    return n;
}

static const char *words_join(struct arena *a, const char *const *words)
{
    const char *s = "";
    for (size_t i = 0; words[i]; i++)
        s = arena_printf(a, "%s%s%s", s, i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    return s;
}

static bool is_word_of(const char *s, const char *const *words)
{
    for (; words && *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

/* "did you mean" in front of the list, where a choice is near. */
static const char *did_you_mean(struct arena *a, const char *given, const char *const *names,
                                size_t count)
{
    const char *nearest = text_nearest(given, names, count);
    return nearest ? arena_printf(a, "; did you mean '%s'?", nearest) : "";
}

static bool check_choice(struct binder *b, const struct type *type, const struct node *n,
                         const char *path)
{
    if (!type->choices || is_word_of(n->text, type->choices))
        return true;
    if (is_word_of(n->text, type->choices_not_yet))
        bind_error(b, n->place, path, "not yet: '%s' comes in a later version; now there is %s",
                   n->text, words_join(b->arena, type->choices));
    else
        bind_error(b, n->place, path, "'%s' is not one of %s%s", n->text,
                   words_join(b->arena, type->choices),
                   did_you_mean(b->arena, n->text, type->choices, words_count(type->choices)));
    return false;
}

static bool check_integer(struct binder *b, const struct type *type, const struct node *n,
                          const char *path)
{
    char *end;
    unsigned long v = strtoul(n->text, &end, 10);
    if (node_scalar_kind(n) == SCALAR_INTEGER && n->text[0] >= '0' && n->text[0] <= '9' && !*end &&
        v >= type->minimum && v <= type->maximum)
        return true;
    if (type->minimum == type->maximum)
        bind_error(b, n->place, path, "must be %u", type->minimum);
    else
        bind_error(b, n->place, path, "must be a whole number from %u to %u", type->minimum,
                   type->maximum);
    return false;
}

static bool check_scalar(struct binder *b, const struct type *type, const struct node *n,
                         const char *path)
{
    enum scalar_kind kind = node_scalar_kind(n);
    const char *why;
    if (kind == SCALAR_NULL) {
        bind_error(b, n->place, path, "is empty: give a value (%s), or leave the key out",
                   type->label);
        return false;
    }
    if (type->scalars == SCALARS_INTEGER)
        return check_integer(b, type, n, path);
    if (type->scalars == SCALARS_BOOL) {
        if (kind == SCALAR_BOOL && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0))
            return true;
        bind_error(b, n->place, path, "must be true or false");
        return false;
    }
    if (type->scalars == SCALARS_QUOTED && n->plain) {
        bind_error(b, n->place, path, "must be in quotes: \"%s\"", n->text);
        return false;
    }
    bool number = kind == SCALAR_INTEGER || kind == SCALAR_FLOAT;
    if (kind == SCALAR_BOOL || (number && type->scalars == SCALARS_TEXT)) {
        bind_error(b, n->place, path, "must be text (%s); put it in quotes if you mean \"%s\"",
                   type->label, n->text);
        return false;
    }
    if (!check_choice(b, type, n, path))
        return false;
    if (type->check && !type->check(n->text, &why)) {
        bool secret = strstr(n->text, "://") && strchr(n->text, '@'); /* not into any log */
        bind_error(b, n->place, path, "%s%s%s%s", secret ? "" : "'",
                   secret ? "" : node_to_line(b->arena, n), secret ? "" : "': ", why);
        return false;
    }
    return true;
}

/* --- lists and maps -----------------------------------------------------------------------------
 */

struct vector { /* as all structures have it: a pointer, and behind it the count */
    void *items;
    size_t count;
};

/* Items that are wrong are left out, so that nobody behind here meets half an item. */
static void bind_list(struct binder *b, const struct type *type, const struct node *n,
                      const char *path, void *out)
{
    struct vector v = {arena_alloc(b->arena, n->count * type->item_size + 1), 0};
    for (size_t i = 0; i < n->count; i++) {
        size_t errors = b->errors;
        char *item = (char *)v.items + v.count * type->item_size;
        const char *item_path =
            type->one_is_list && n->count == 1 ? path : arena_printf(b->arena, "%s[%zu]", path, i);
        bind_node(b, type->item, n->items[i], item_path, item);
        if (b->errors == errors)
            v.count++;
        else
            memset(item, 0, type->item_size);
    }
    memcpy(out, &v, sizeof v);
}

static void bind_map_of(struct binder *b, const struct type *type, const struct node *n,
                        const char *path, void *out)
{
    struct vector v = {arena_alloc(b->arena, n->count * type->item_size + 1), 0};
    for (size_t i = 0; i < n->count; i++) {
        const struct node_entry *e = &n->entries[i];
        size_t errors = b->errors;
        char *item = (char *)v.items + v.count * type->item_size;
        const char *quote = strpbrk(e->name, ".\"") ? "\"" : ""; /* as --set has it */
        const char *item_path = arena_printf(b->arena, "%s.%s%s%s", path, quote, e->name, quote);
        struct node name = *e->value;
        name.kind = NODE_SCALAR;
        name.text = e->name;
        name.plain = false;
        name.place = e->place;
        if (check_scalar(b, type->name, &name, item_path))
            type->name->read(b, &name, item_path, item);
        bind_node(b, type->item, e->value, item_path, item);
        if (b->errors == errors)
            v.count++;
        else
            memset(item, 0, type->item_size);
    }
    memcpy(out, &v, sizeof v);
}

static void unknown_key(struct binder *b, const struct type *type, const struct node_entry *e,
                        const char *path)
{
    const char *names[64] = {0};
    size_t count = 0;
    for (const struct key *k = type->keys; k->name && count < COUNT(names); k++)
        names[count++] = k->name;
    const char *meant = did_you_mean(b->arena, e->name, names, count);
    const char *all = "";
    if (!*meant && count <= 12)
        for (size_t i = 0; i < count; i++)
            all = arena_printf(b->arena, "%s%s%s", all, i ? ", " : "; there are ", names[i]);
    bind_error(b, e->place, path, "unknown key%s%s", meant, all);
}

static void bind_entry(struct binder *b, const struct type *type, const struct node_entry *e,
                       const char *path, void *out)
{
    size_t length = strlen(e->name);
    const struct key *k = keys_find(type->keys, e->name, length);
    if (!k && length > 1 && e->name[length - 1] == '+') {
        k = keys_find(type->keys, e->name, length - 1);
        if (k && !key_is_list(k)) {
            bind_error(b, e->place, path, "`+` appends to lists, and '%s' is none", k->name);
            return;
        }
        if (k && e->value->kind != NODE_LIST) {
            bind_error(b, e->value->place, path, "must be a list: what is to be appended");
            return;
        }
    }
    if (!k)
        unknown_key(b, type, e, path);
    else if (k->not_yet)
        bind_error(b, e->place, path, "not yet: this key will say %s", k->not_yet);
    else
        bind_node(b, k->type, e->value, path, (char *)out + k->offset);
}

static const char *join_path(struct arena *a, const char *path, const char *name)
{
    return *path ? arena_printf(a, "%s.%s", path, name) : name;
}

static void bind_default(struct binder *b, const struct key *k, const char *path, void *out)
{
    struct document_source source = {
        .name = "default", .dir = "/", .origin = "default", .one_line = true};
    const struct node *n =
        document_parse(b->arena, &source, k->fallback, strlen(k->fallback), b->found);
    if (n)
        bind_node(b, k->type, n, path, (char *)out + k->offset);
}

/* True if a wrong key, reported already, was meant for k: then k is not also missing. */
static bool stands_for(const struct type *type, const struct node *n, const struct key *k,
                       bool nested)
{
    for (size_t i = 0; i < n->count; i++) {
        const char *name = n->entries[i].name;
        const struct key *known = keys_find(type->keys, name, strlen(name));
        if (known ? nested && known->not_yet : text_nearest(name, &k->name, 1) != NULL)
            return true;
    }
    return false;
}

static void bind_record(struct binder *b, const struct type *type, const struct node *n,
                        const char *path, void *out)
{
    for (size_t i = 0; i < n->count; i++)
        bind_entry(b, type, &n->entries[i], join_path(b->arena, path, n->entries[i].name), out);
    for (const struct key *k = type->keys; k->name && !b->partial; k++) {
        if (node_get(n, k->name) || node_get(n, arena_printf(b->arena, "%s+", k->name)))
            continue;
        const char *key_path = join_path(b->arena, path, k->name);
        if (k->required && !stands_for(type, n, k, *path))
            bind_error(b, n->place, *path ? path : k->name,
                       *path ? "'%s' is missing: %s" : "%s is missing: %s",
                       *path ? k->name : "the key", k->help);
        else if (!k->required && k->fallback)
            bind_default(b, k, key_path, out);
    }
}

static const char *shapes_name(const struct type *type)
{
    static const char *const names[] = {
        [0] = "nothing",
        [SHAPE_SCALAR] = "a single value",
        [SHAPE_LIST] = "a list",
        [SHAPE_SCALAR | SHAPE_LIST] = "a single value or a list",
        [SHAPE_MAP] = "a map",
        [SHAPE_SCALAR | SHAPE_MAP] = "a single value or a map",
        [SHAPE_LIST | SHAPE_MAP] = "a list or a map",
        [SHAPE_SCALAR | SHAPE_LIST | SHAPE_MAP] = "a value",
    };
    return names[type->shapes & 7];
}

static const char *keys_line(struct arena *a, const struct key *keys)
{
    const char *s = "";
    for (const struct key *k = keys; k->name; k++)
        if (!k->not_yet)
            s = arena_printf(a, "%s%s%s: …", s, *s ? ", " : "", k->name);
    return s;
}

void bind_node(struct binder *b, const struct type *type, const struct node *n, const char *path,
               void *out)
{
    static const unsigned shape_of[] = {SHAPE_SCALAR, SHAPE_LIST, SHAPE_MAP};
    size_t errors = b->errors;
    if (!(type->shapes & shape_of[n->kind])) {
        bind_error(b, n->place, path, "must be %s (%s), not %s", shapes_name(type),
                   type->shapes == SHAPE_MAP && type->keys ? keys_line(b->arena, type->keys)
                                                           : type->label,
                   node_kind_name(n));
        return;
    }
    const struct node *bound = n;
    bool inner = false; /* its parts note themselves */
    if (n->kind == NODE_SCALAR && type->scalar_key) {
        struct node *map = node_map(b->arena, n);
        struct node *value = arena_memdup(b->arena, n, sizeof *n);
        node_set(b->arena, map, type->scalar_key, n->place, value);
        bound = map;
    } else if (n->kind == NODE_SCALAR && type->one_is_list) {
        struct node *list = node_map(b->arena, n);
        list->kind = NODE_LIST;
        struct node *item = arena_memdup(b->arena, n, sizeof *n);
        arena_append(b->arena, list->items, list->count, item);
        bound = list;
    }
    if (bound->kind == NODE_SCALAR) {
        if (check_scalar(b, type, bound, path))
            type->read(b, bound, path, out);
    } else if (type->read) {
        inner = type->keys != NULL;
        type->read(b, bound, path, out);
    } else if (bound->kind == NODE_LIST) {
        bind_list(b, type, bound, path, out);
    } else if (type->keys) {
        inner = true;
        bind_record(b, type, bound, path, out);
    } else {
        inner = bound->count > 0;
        bind_map_of(b, type, bound, path, out);
    }
    if (type->finish && !b->partial && b->errors == errors)
        type->finish(b, bound, path, out);
    if (!inner && !strpbrk(path, "[") && *path)
        bind_note(b, path, node_to_line(b->arena, n), node_origin(b->arena, n));
}
