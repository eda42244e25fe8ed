#include "resolve/facts.h"

#include <string.h>

static const char *const init_names[] = {"systemd", "openrc", "unknown"};
static const char *const package_names[] = {"apt", "apk", "none"};

/* The plain strings of struct facts: one row each for both directions. */
#define TEXT(field)                                                                                \
    {                                                                                              \
#field, offsetof(struct facts, field)                                                      \
    }
static const struct {
    const char *key;
    size_t offset;
} texts[] = {
    TEXT(os),           TEXT(os_version), TEXT(pretty_name),     TEXT(codename),
    TEXT(architecture), TEXT(seed),       TEXT(partition_table), TEXT(package_database_digest),
};

static const char **text_at(struct facts *f, size_t i)
{
    return (const char **)((char *)f + texts[i].offset);
}

json_t *facts_to_json(const struct facts *f)
{
    json_t *j = json_object();
    for (size_t i = 0; i < COUNT(texts); i++)
        json_set_string(j, texts[i].key, *text_at((struct facts *)f, i));
    json_set_string(j, "init", init_names[f->init]);
    json_set_string(j, "packages", package_names[f->packages]);
    json_set_bool(j, "usr_merged", f->usr_merged);
    json_set_bool(j, "has_agent", f->has_agent);
    json_set_integer(j, "virtual_size", (json_int_t)f->virtual_size);
    json_t *mounts = json_array();
    for (size_t i = 0; i < f->mount_count; i++) {
        const struct fact_mount *m = &f->mounts[i];
        json_t *one = json_object();
        json_set_string(one, "mountpoint", m->mountpoint);
        json_set_string(one, "type", m->type);
        json_set_string(one, "label", m->label);
        json_set_string(one, "uuid", m->uuid);
        json_set_integer(one, "partition", m->partition);
        json_set_integer(one, "offset", (json_int_t)m->offset);
        json_set_integer(one, "size", (json_int_t)m->size);
        json_array_append_new(mounts, one);
    }
    json_set(j, "mounts", mounts);
    json_set(j, "installed", json_strings(f->installed));
    return j;
}

static bool read_text(struct arena *a, const json_t *j, const char *key, const char **out,
                      struct error **err)
{
    const char *s = json_string_value(json_object_get(j, key));
    if (!s)
        return error_set(err, ERROR_INPUT, "facts of the base: %s is no string", key);
    *out = arena_strdup(a, s);
    return true;
}

static bool read_number(const json_t *j, const char *key, uint64_t max, uint64_t *out,
                        struct error **err)
{
    const json_t *v = json_object_get(j, key);
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
        return error_set(err, ERROR_INPUT, "facts of the base: %s is no number in range", key);
    *out = (uint64_t)n;
    return true;
}

static bool read_bool(const json_t *j, const char *key, bool *out, struct error **err)
{
    const json_t *v = json_object_get(j, key);
    if (!json_is_boolean(v))
        return error_set(err, ERROR_INPUT, "facts of the base: %s is neither true nor false", key);
    *out = json_is_true(v);
    return true;
}

static bool read_word(const json_t *j, const char *key, const char *const *words, size_t count,
                      unsigned *out, struct error **err)
{
    const char *s = json_string_or(j, key, "");
    for (size_t i = 0; i < count; i++)
        if (strcmp(s, words[i]) == 0) {
            *out = (unsigned)i;
            return true;
        }
    return error_set(err, ERROR_INPUT, "facts of the base: %s is '%s', which is not known", key, s);
}

static bool read_mount(struct arena *a, const json_t *j, struct fact_mount *m, struct error **err)
{
    uint64_t partition = 0;
    if (!read_text(a, j, "mountpoint", &m->mountpoint, err) ||
        !read_text(a, j, "type", &m->type, err) || !read_text(a, j, "label", &m->label, err) ||
        !read_text(a, j, "uuid", &m->uuid, err) ||
        !read_number(j, "partition", 1024, &partition, err) ||
        !read_number(j, "offset", INT64_MAX, &m->offset, err) ||
        !read_number(j, "size", INT64_MAX, &m->size, err))
        return false;
    m->partition = (unsigned)partition;
    return true;
}

static bool read_mounts(struct arena *a, const json_t *j, struct facts *f, struct error **err)
{
    const json_t *mounts = json_object_get(j, "mounts");
    size_t n = json_array_size(mounts);
    if (!json_is_array(mounts) || n > FACTS_MAX_MOUNTS)
        return error_set(err, ERROR_INPUT, "facts of the base: mounts is no list of at most %d",
                         FACTS_MAX_MOUNTS);
    for (size_t i = 0; i < n; i++)
        if (!read_mount(a, json_array_get(mounts, i), &f->mounts[i], err))
            return false;
    if (n && strcmp(f->mounts[0].mountpoint, "/") != 0)
        return error_set(err, ERROR_INPUT, "facts of the base: the first mount is not the root");
    f->mount_count = n;
    return true;
}

static bool read_installed(struct arena *a, const json_t *j, struct facts *f, struct error **err)
{
    const json_t *list = json_object_get(j, "installed");
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return error_set(err, ERROR_INPUT, "facts of the base: installed is no list");
    const char **names = arena_alloc(a, (n + 1) * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || (i && strcmp(names[i - 1], name) >= 0))
            return error_set(err, ERROR_INPUT,
                             "facts of the base: installed is no sorted list of names");
        names[i] = arena_strdup(a, name);
    }
    f->installed = names;
    return true;
}

bool facts_from_json(struct arena *a, const json_t *j, const struct facts **out, struct error **err)
{
    struct facts *f = arena_new_of(a, struct facts);
    unsigned init = 0, packages = 0;
    if (!json_is_object(j))
        return error_set(err, ERROR_INPUT, "facts of the base: no JSON object");
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!read_text(a, j, texts[i].key, text_at(f, i), err))
            return false;
    if (!read_word(j, "init", init_names, COUNT(init_names), &init, err) ||
        !read_word(j, "packages", package_names, COUNT(package_names), &packages, err) ||
        !read_bool(j, "usr_merged", &f->usr_merged, err) ||
        !read_bool(j, "has_agent", &f->has_agent, err) ||
        !read_number(j, "virtual_size", INT64_MAX, &f->virtual_size, err) ||
        !read_mounts(a, j, f, err) || !read_installed(a, j, f, err))
        return false;
    f->init = (enum init_system)init;
    f->packages = (enum package_manager)packages;
    *out = f;
    return true;
}

bool facts_has_package(const struct facts *f, const char *name)
{
    size_t low = 0, high = 0;
    while (f->installed && f->installed[high])
        high++;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, f->installed[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
