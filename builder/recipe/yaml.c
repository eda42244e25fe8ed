#include "recipe/yaml.h"

#include "base/buffer.h"
#include "base/file.h"

#include <string.h>
#include <yaml.h>

struct span { /* characters of a scalar that may contain tabs */
    size_t begin, end;
};

struct parse {
    yaml_parser_t parser;
    struct arena *arena;
    const struct document_source *source;
    struct diagnostics *found;
    const char *text;
    size_t size;
    struct span *spans;
    size_t span_count;
    bool failed; /* the text cannot be read on */
};

static struct place place_of(const struct parse *p, const yaml_mark_t *mark)
{
    if (p->source->one_line)
        return (struct place){p->source->name, 0, 0};
    return (struct place){p->source->name, (unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

/* The place of a byte, for errors that libyaml reports by offset. */
static struct place place_of_byte(const struct parse *p, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < p->size; i++) {
        if (p->text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)p->text[i] & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return place_of(p, &mark);
}

/* Reports the first tab up to character `limit` that stands outside quotes; true if there is one.
 */
static bool report_tab(struct parse *p, size_t limit)
{
    size_t character = 0, span = 0; /* spans are in the order of the text */
    for (size_t i = 0; i < p->size && character <= limit; i++) {
        if (((unsigned char)p->text[i] & 0xC0) == 0x80)
            continue;
        while (span < p->span_count && p->spans[span].end <= character)
            span++;
        if (p->text[i] == '\t' && (span == p->span_count || p->spans[span].begin > character)) {
            diagnostics_error(p->found, place_of_byte(p, i), "",
                              "a tab: YAML is indented with spaces, and elsewhere a tab stands in "
                              "double quotes as \"\\t\"");
            return true;
        }
        character++;
    }
    return false;
}

static bool next(struct parse *p, yaml_event_t *event)
{
    if (yaml_parser_parse(&p->parser, event))
        return true;
    p->failed = true;
    const char *problem = p->parser.problem ? p->parser.problem : "unreadable";
    if (p->parser.error == YAML_READER_ERROR) {
        diagnostics_error(p->found, place_of_byte(p, p->parser.problem_offset), "",
                          "this is not YAML in UTF-8: %s", problem);
        return false;
    }
    const yaml_mark_t *mark = &p->parser.problem_mark;
    if (!report_tab(p, mark->index))
        diagnostics_error(p->found, place_of(p, mark), "", "this is not YAML: %s%s%s", problem,
                          p->parser.context ? ", " : "",
                          p->parser.context ? p->parser.context : "");
    return false;
}

static struct node *new_node(struct parse *p, enum node_kind kind, const yaml_event_t *event)
{
    struct node *n = arena_new_of(p->arena, struct node);
    n->kind = kind;
    n->place = place_of(p, &event->start_mark);
    n->dir = p->source->dir;
    n->origin = p->source->origin;
    return n;
}

static void refuse_properties(struct parse *p, const yaml_event_t *event, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    struct place place = place_of(p, &event->start_mark);
    if (anchor)
        diagnostics_error(p->found, place, "",
                          "an anchor (&%s): aliases are refused in recipes; `include:` does their "
                          "work",
                          (const char *)anchor);
    if (tag)
        diagnostics_error(p->found, place, "", "a tag (%s): tags are refused in recipes",
                          (const char *)tag);
}

static struct node *read_scalar(struct parse *p, const yaml_event_t *event)
{
    struct node *n = new_node(p, NODE_SCALAR, event);
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    refuse_properties(p, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (memchr(value, 0, length))
        diagnostics_error(p->found, n->place, "", "a NUL character is refused");
    n->text = arena_strndup(p->arena, value, length);
    if (!n->plain) {
        struct span s = {event->start_mark.index, event->end_mark.index};
        arena_append(p->arena, p->spans, p->span_count, s);
    }
    return n;
}

static struct node *read_node(struct parse *p, const yaml_event_t *event, unsigned depth);

static bool too_deep(struct parse *p, const yaml_event_t *event, unsigned depth)
{
    if (depth < DOCUMENT_MAX_DEPTH)
        return false;
    diagnostics_error(p->found, place_of(p, &event->start_mark), "", "nested deeper than %d levels",
                      DOCUMENT_MAX_DEPTH);
    p->failed = true;
    return true;
}

static struct node *read_list(struct parse *p, const yaml_event_t *start, unsigned depth)
{
    struct node *list = new_node(p, NODE_LIST, start);
    refuse_properties(p, start, start->data.sequence_start.anchor, start->data.sequence_start.tag);
    if (too_deep(p, start, depth))
        return list;
    for (;;) {
        yaml_event_t event;
        if (!next(p, &event))
            return list;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct node *item = end ? NULL : read_node(p, &event, depth + 1);
        yaml_event_delete(&event);
        if (p->failed || end)
            return list;
        if (list->count == DOCUMENT_MAX_ITEMS) {
            diagnostics_error(p->found, item->place, "", "more than %d items in one list",
                              DOCUMENT_MAX_ITEMS);
            p->failed = true;
            return list;
        }
        arena_append(p->arena, list->items, list->count, item);
    }
}

static void add_entry(struct parse *p, struct node *map, const struct node *key, struct node *value)
{
    if (key->kind != NODE_SCALAR) {
        diagnostics_error(p->found, key->place, "", "a key must be text");
        return;
    }
    if (key->plain && strcmp(key->text, "<<") == 0) {
        diagnostics_error(p->found, key->place, "<<",
                          "merge keys are refused in recipes; `include:` does their work");
        return;
    }
    if (map->count == DOCUMENT_MAX_KEYS) {
        diagnostics_error(p->found, key->place, "", "more than %d keys in one map",
                          DOCUMENT_MAX_KEYS);
        p->failed = true;
        return;
    }
    for (size_t i = 0; i < map->count; i++) {
        const char *x = map->entries[i].name, *y = key->text;
        while (*x && *x == *y)
            x++, y++;
        bool same = !*x && !*y;
        bool appended = (!*x && strcmp(y, "+") == 0) || (!*y && strcmp(x, "+") == 0);
        if (same || appended) {
            diagnostics_error(p->found, key->place, key->text, "%s, first in line %u",
                              same ? "a duplicate key" : "the same key with and without `+`",
                              map->entries[i].place.line);
            return;
        }
    }
    struct node_entry e = {key->text, key->place, value};
    arena_append(p->arena, map->entries, map->count, e);
}

static struct node *read_map(struct parse *p, const yaml_event_t *start, unsigned depth)
{
    struct node *map = new_node(p, NODE_MAP, start);
    refuse_properties(p, start, start->data.mapping_start.anchor, start->data.mapping_start.tag);
    if (too_deep(p, start, depth))
        return map;
    for (const struct node *key = NULL;;) {
        yaml_event_t event;
        if (!next(p, &event))
            return map;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        struct node *n = end ? NULL : read_node(p, &event, depth + 1);
        yaml_event_delete(&event);
        if (p->failed || end)
            return map;
        if (key)
            add_entry(p, map, key, n);
        key = key ? NULL : n;
    }
}

static struct node *read_node(struct parse *p, const yaml_event_t *event, unsigned depth)
{
    switch (event->type) {
    case YAML_SEQUENCE_START_EVENT:
        return read_list(p, event, depth);
    case YAML_MAPPING_START_EVENT:
        return read_map(p, event, depth);
    case YAML_SCALAR_EVENT:
        return read_scalar(p, event);
    case YAML_ALIAS_EVENT:
        diagnostics_error(p->found, place_of(p, &event->start_mark), "",
                          "an alias (*%s): aliases are refused in recipes; `include:` does their "
                          "work",
                          (const char *)event->data.alias.anchor);
        break;
    default:
        diagnostics_error(p->found, place_of(p, &event->start_mark), "", "unexpected YAML");
        p->failed = true;
    }
    struct node *n = new_node(p, NODE_SCALAR, event);
    n->text = "";
    return n;
}

/* The first document; a second one is an error. */
static struct node *read_stream(struct parse *p)
{
    struct node *root = NULL;
    for (bool end = false; !end && !p->failed;) {
        yaml_event_t event;
        if (!next(p, &event))
            break;
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            end = true;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root) {
                diagnostics_error(p->found, place_of(p, &event.start_mark), "",
                                  "a second document: a recipe is one YAML document");
                p->failed = true;
            } else if (event.data.document_start.version_directive ||
                       event.data.document_start.tag_directives.start !=
                           event.data.document_start.tag_directives.end) {
                diagnostics_error(p->found, place_of(p, &event.start_mark), "",
                                  "YAML directives are refused");
            }
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        default:
            root = read_node(p, &event, 0);
        }
        yaml_event_delete(&event);
    }
    return root;
}

static struct node *too_large(const struct document_source *source, struct diagnostics *found)
{
    diagnostics_error(found, (struct place){source->name, 0, 0}, "",
                      "larger than 1 MiB: a recipe is small; put large content into an overlay or "
                      "name it with `source:`");
    return NULL;
}

struct node *document_parse(struct arena *a, const struct document_source *source, const char *text,
                            size_t size, struct diagnostics *found)
{
    struct parse p = {.arena = a, .source = source, .found = found, .text = text, .size = size};
    size_t errors = found->errors;
    const char *nul = size ? memchr(text, 0, size) : NULL;
    if (size > DOCUMENT_MAX_BYTES)
        return too_large(source, found);
    if (nul) {
        diagnostics_error(found, place_of_byte(&p, (size_t)(nul - text)), "",
                          "a NUL character is refused");
        return NULL;
    }
    if (!yaml_parser_initialize(&p.parser))
        abort(); /* out of memory */
    yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)text, size);
    struct node *root = read_stream(&p);
    if (!p.failed)
        report_tab(&p, size);
    yaml_parser_delete(&p.parser);
    if (found->errors > errors)
        return NULL;
    if (!root) {
        root = arena_new_of(a, struct node);
        *root = (struct node){
            .kind = NODE_SCALAR,
            .place = {source->name, source->one_line ? 0 : 1, source->one_line ? 0 : 1},
            .dir = source->dir,
            .origin = source->origin,
            .text = "",
            .plain = true};
    }
    return root;
}

struct node *document_read(struct arena *a, const struct document_source *source, const char *path,
                           struct diagnostics *found)
{
    autoerror struct error *err = NULL;
    autofree char *text = NULL;
    struct stat st;
    size_t size;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > DOCUMENT_MAX_BYTES)
        return too_large(source, found);
    if (!file_read(path, DOCUMENT_MAX_BYTES, &text, &size, &err)) {
        diagnostics_error(found, (struct place){source->name, 0, 0}, "", "%s", error_text(err));
        return NULL;
    }
    return document_parse(a, source, text, size, found);
}

static void emit(yaml_emitter_t *e, yaml_event_t *event)
{
    if (!yaml_emitter_emit(e, event))
        abort(); /* out of memory: the output is a buffer and the events are well formed */
}

static void emit_text(yaml_emitter_t *e, const char *text, bool plain)
{
    yaml_event_t event;
    yaml_scalar_style_t style = plain                ? YAML_PLAIN_SCALAR_STYLE
                                : strchr(text, '\n') ? YAML_LITERAL_SCALAR_STYLE
                                                     : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text),
                                 plain, true, style);
    emit(e, &event);
}

static void emit_node(yaml_emitter_t *e, const struct node *n)
{
    yaml_event_t event;
    if (n->kind == NODE_SCALAR) {
        emit_text(e, n->text, n->plain);
        return;
    }
    if (n->kind == NODE_LIST)
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE);
    else
        yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    emit(e, &event);
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == NODE_MAP) {
            struct node key = {.kind = NODE_SCALAR, .text = n->entries[i].name, .plain = true};
            emit_text(e, key.text, node_scalar_kind(&key) == SCALAR_TEXT);
        }
        emit_node(e, n->kind == NODE_LIST ? n->items[i] : n->entries[i].value);
    }
    if (n->kind == NODE_LIST)
        yaml_sequence_end_event_initialize(&event);
    else
        yaml_mapping_end_event_initialize(&event);
    emit(e, &event);
}

static int collect(void *data, unsigned char *bytes, size_t size)
{
    buffer_add(data, bytes, size);
    return 1;
}

const char *document_write(struct arena *a, const struct node *n)
{
    autobuffer struct buffer out = {0};
    yaml_emitter_t e;
    yaml_event_t event;
    if (!yaml_emitter_initialize(&e))
        abort(); /* out of memory */
    yaml_emitter_set_output(&e, collect, &out);
    yaml_emitter_set_unicode(&e, 1);
    yaml_emitter_set_width(&e, -1);
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    emit(&e, &event);
    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
    emit(&e, &event);
    emit_node(&e, n);
    yaml_document_end_event_initialize(&event, 1);
    emit(&e, &event);
    yaml_stream_end_event_initialize(&event);
    emit(&e, &event);
    yaml_emitter_delete(&e);
    return arena_strdup(a, out.data ? out.data : "");
}
