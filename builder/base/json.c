#include "base/json.h"

#include "base/file.h"

#include <string.h>

bool json_parse(const char *text, size_t size, const char *name, json_t **out, struct error **err)
{
    json_error_t why;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (*out)
        return true;
    struct place place = {name, why.line > 0 ? (unsigned)why.line : 0,
                          why.column > 0 ? (unsigned)why.column : 0};
    return error_set_at(err, ERROR_INPUT, place, "not valid JSON: %s", why.text);
}

bool json_read_file(const char *path, size_t max_bytes, json_t **out, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (!file_read(path, max_bytes, &text, &size, err))
        return false;
    return json_parse(text, size, path, out, err);
}

static char *dump(const json_t *j, size_t flags)
{
    char *s = json_dumps(j, flags | JSON_ENCODE_ANY);
    if (!s)
        abort();
    return s;
}

char *json_canonical(const json_t *j)
{
    return dump(j, JSON_COMPACT | JSON_SORT_KEYS);
}

char *json_pretty(const json_t *j)
{
    autofree char *s = dump(j, JSON_INDENT(2));
    char *line = NULL;
    if (asprintf(&line, "%s\n", s) < 0)
        abort();
    return line;
}

bool json_write_file(const char *path, const json_t *j, unsigned mode, struct error **err)
{
    autofree char *text = json_pretty(j);
    return file_write(path, text, strlen(text), mode, err);
}

const char *json_string_or(const json_t *j, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : fallback;
}

void json_set(json_t *j, const char *key, json_t *value)
{
    if (!value || json_object_set_new(j, key, value) != 0)
        abort();
}

void json_set_string(json_t *j, const char *key, const char *value)
{
    if (!value)
        return;
    json_t *text = json_string(value);
    if (!text) { /* not UTF-8: a guest may say anything */
        autofree char *plain = strdup(value);
        for (char *p = plain; p && *p; p++)
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        text = json_string(plain);
    }
    json_set(j, key, text);
}

void json_set_integer(json_t *j, const char *key, json_int_t value)
{
    json_set(j, key, json_integer(value));
}

void json_set_bool(json_t *j, const char *key, bool value)
{
    json_set(j, key, json_boolean(value));
}

json_t *json_strings(const char *const *texts)
{
    json_t *list = json_array();
    for (size_t i = 0; texts && texts[i]; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}
