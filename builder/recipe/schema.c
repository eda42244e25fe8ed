/* JSON Schema, draft 2020-12 (https://json-schema.org/draft/2020-12/json-schema-core), from the key
 * table. It says what an editor can know of one file: required keys of the top level may come from
 * an included recipe, and so may those of maps that are merged. */
#include "recipe/yaml.h"

#include "recipe/keys.h"

#include <string.h>

static json_t *schema_of(const struct type *type, bool complete);

static json_t *node_to_json(const struct node *n)
{
    if (n->kind == NODE_LIST) {
        json_t *list = json_array();
        for (size_t i = 0; i < n->count; i++)
            json_array_append_new(list, node_to_json(n->items[i]));
        return list;
    }
    if (n->kind == NODE_MAP) {
        json_t *map = json_object();
        for (size_t i = 0; i < n->count; i++)
            json_object_set_new(map, n->entries[i].name, node_to_json(n->entries[i].value));
        return map;
    }
    switch (node_scalar_kind(n)) {
    case SCALAR_NULL:
        return json_null();
    case SCALAR_BOOL:
        return json_boolean(n->text[0] == 't');
    case SCALAR_INTEGER:
        return json_integer(strtoll(n->text, NULL, 0));
    default:
        return json_string(n->text);
    }
}

static json_t *default_of(const char *yaml)
{
    autoarena struct arena *a = arena_new();
    struct diagnostics found = {.arena = a};
    struct document_source source = {
        .name = "default", .dir = "/", .origin = "default", .one_line = true};
    const struct node *n = document_parse(a, &source, yaml, strlen(yaml), &found);
    return n ? node_to_json(n) : json_null();
}

static json_t *schema_of_scalar(const struct type *type, bool complete)
{
    if (type->scalar_key)
        return schema_of(keys_find(type->keys, type->scalar_key, strlen(type->scalar_key))->type,
                         complete);
    if (type->one_is_list)
        return schema_of(type->item, complete);
    json_t *j = json_object();
    switch (type->scalars) {
    case SCALARS_INTEGER:
        json_set_string(j, "type", "integer");
        json_set_integer(j, "minimum", type->minimum);
        json_set_integer(j, "maximum", type->maximum);
        break;
    case SCALARS_BOOL:
        json_set_string(j, "type", "boolean");
        break;
    case SCALARS_NUMBERS:
        json_set(j, "type", json_pack("[ss]", "string", "number"));
        break;
    case SCALARS_TEXT:
    case SCALARS_QUOTED:
        json_set_string(j, "type", "string");
        break;
    }
    json_set_string(j, "pattern", type->pattern);
    if (type->choices) {
        json_t *choices = json_array();
        for (const char *const *c = type->choices; *c; c++)
            json_array_append_new(choices, json_string(*c));
        json_set(j, "enum", choices);
    }
    return j;
}

static void set_key(json_t *properties, const struct key *k, bool complete)
{
    json_t *j = k->not_yet ? json_object() : schema_of(k->type, complete);
    autofree char *plus = NULL;
    if (k->not_yet) {
        autofree char *what = NULL;
        if (asprintf(&what, "not yet: %s", k->help) < 0 || asprintf(&plus, "%s+", k->name) < 0)
            abort();
        json_set_string(j, "description", what);
        json_set(j, "not", json_object());
    } else {
        if (asprintf(&plus, "%s+", k->name) < 0)
            abort();
        json_set_string(j, "description", k->help);
        if (k->fallback)
            json_set(j, "default", default_of(k->fallback));
        if (key_is_list(k)) {
            json_t *list = schema_of(k->type, complete);
            json_set_string(list, "description", "appends to the list of what is included");
            json_set(properties, plus, list);
        }
    }
    json_set(properties, k->name, j);
}

static json_t *schema_of_map(const struct type *type, bool complete)
{
    json_t *j = json_object();
    json_set_string(j, "type", "object");
    if (type->any)
        return j;
    if (!type->keys) {
        json_set(j, "additionalProperties", schema_of(type->item, true));
        if (type->name->pattern || type->name->choices)
            json_set(j, "propertyNames", schema_of(type->name, true));
        return j;
    }
    json_t *properties = json_object(), *required = json_array();
    for (const struct key *k = type->keys; k->name; k++) {
        set_key(properties, k, complete);
        if (k->required)
            json_array_append_new(required, json_string(k->name));
    }
    json_set(j, "properties", properties);
    json_set(j, "additionalProperties", json_false());
    if (complete && json_array_size(required))
        json_object_set(j, "required", required);
    json_decref(required);
    return j;
}

static json_t *schema_of(const struct type *type, bool complete)
{
    json_t *shapes = json_array();
    if (type->shapes & SHAPE_SCALAR)
        json_array_append_new(shapes, schema_of_scalar(type, complete));
    if (type->shapes & SHAPE_LIST) {
        json_t *list = json_object();
        json_set_string(list, "type", "array");
        if (type->item)
            json_set(list, "items", schema_of(type->item, true));
        json_array_append_new(shapes, list);
    }
    if (type->shapes & SHAPE_MAP)
        json_array_append_new(shapes, schema_of_map(type, complete));
    if (json_array_size(shapes) == 1) {
        json_t *only = json_incref(json_array_get(shapes, 0));
        json_decref(shapes);
        return only;
    }
    json_t *j = json_object();
    json_set(j, "anyOf", shapes);
    return j;
}

static json_t *document(const struct type *type, const char *title, bool complete)
{
    json_t *j = json_object();
    autojson json_t *rest = schema_of(type, complete);
    json_set_string(j, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_set_string(j, "title", title);
    json_object_update(j, rest);
    return j;
}

json_t *recipe_schema(void)
{
    json_t *j = document(&recipe_type, "ingot recipe", false), *required = json_array();
    for (const struct key *k = recipe_type.keys; k->name; k++)
        if (k->required)
            json_array_append_new(required, json_string(k->name));
    /* What is required may be in an included recipe. */
    json_set(j, "anyOf",
             json_pack("[{s:o}, {s:[s]}]", "required", required, "required", "include"));
    return j;
}

json_t *recipe_profile_schema(enum recipe_lookup kind)
{
    if (kind == LOOKUP_BASE)
        return document(&base_profile_type, "ingot base profile", true);
    return document(&distribution_profile_type, "ingot distribution profile", true);
}
