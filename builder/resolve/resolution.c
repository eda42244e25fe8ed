#include "resolve/resolution.h"

#include "base/path.h"
#include "base/text.h"
#include "resolve/snapshot.h"

#include <string.h>

#define MAX_PACKAGES 20000
#define MAX_INDEXES 256
#define FIRST_USE "first use"

const struct package *resolution_find(const struct resolution *r, const char *name, size_t n)
{
    for (size_t i = 0; i < r->count; i++)
        if (strlen(r->packages[i].name) == n && strncmp(r->packages[i].name, name, n) == 0)
            return &r->packages[i];
    return NULL;
}

json_t *resolution_to_json(const struct resolution *r)
{
    json_t *j = json_object(), *packages = json_array(), *indexes = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const struct package *p = &r->packages[i];
        json_t *one = json_object();
        json_set_string(one, "name", p->name);
        json_set_string(one, "version", p->version);
        json_set_string(one, "architecture", p->architecture);
        json_set_string(one, "url", p->url);
        json_set_string(one, "filename", p->filename);
        json_set_integer(one, "size", (json_int_t)p->size);
        if (p->digest)
            json_set_string(one, digest_name(p->digest_kind), p->digest);
        if (p->first_use)
            json_set_string(one, "verified", FIRST_USE);
        json_set_bool(one, "automatic", p->automatic);
        json_array_append_new(packages, one);
    }
    for (size_t i = 0; i < r->index_count; i++) {
        const struct index_pin *p = &r->indexes[i];
        json_t *one = json_object();
        json_set_string(one, "url", p->url);
        json_set_string(one, "sha256", p->digest);
        json_set_string(one, "path", p->path);
        json_set_string(one, "archive", p->archive);
        json_set_string(one, "snapshot", p->snapshot);
        json_array_append_new(indexes, one);
    }
    json_set(j, "packages", packages);
    json_set(j, "indexes", indexes);
    return j;
}

/* A string that must be there. */
static bool need(struct arena *a, const json_t *j, const char *what, const char *key,
                 const char **out, struct error **err)
{
    const char *s = json_string_or(j, key, "");
    if (!*s)
        return error_set(err, ERROR_INPUT, "%s has no '%s'", what, key);
    *out = arena_strdup(a, s);
    return true;
}

/* The digest under its kind's name, if one is given. */
static bool read_digest(struct arena *a, const json_t *j, struct package *p, struct error **err)
{
    static const enum digest_kind kinds[] = {DIGEST_SHA512, DIGEST_SHA256};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const json_t *value = json_object_get(j, digest_name(kinds[i]));
        if (!value)
            continue;
        const char *hex = json_string_value(value);
        if (!hex || !digest_is_valid(kinds[i], hex))
            return error_set(err, ERROR_INPUT, "package %s has a %s that is none", p->name,
                             digest_name(kinds[i]));
        p->digest_kind = kinds[i];
        p->digest = arena_strdup(a, hex);
        return true;
    }
    return true;
}

static bool read_package(struct arena *a, const json_t *j, struct package *p, struct error **err)
{
    if (!need(a, j, "a package", "name", &p->name, err) ||
        !need(a, j, p->name, "version", &p->version, err) ||
        !need(a, j, p->name, "architecture", &p->architecture, err) ||
        !need(a, j, p->name, "url", &p->url, err) ||
        !need(a, j, p->name, "filename", &p->filename, err))
        return false;
    if (strchr(p->filename, '/') || !path_stays_inside(p->filename))
        return error_set(err, ERROR_INPUT, "package %s: '%s' is no file name", p->name,
                         p->filename);
    const json_t *size = json_object_get(j, "size"), *automatic = json_object_get(j, "automatic");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return error_set(err, ERROR_INPUT, "package %s has no size", p->name);
    if (automatic && !json_is_boolean(automatic))
        return error_set(err, ERROR_INPUT, "package %s: automatic is neither true nor false",
                         p->name);
    p->size = (uint64_t)json_integer_value(size);
    p->automatic = json_is_true(automatic);
    p->first_use = strcmp(json_string_or(j, "verified", ""), FIRST_USE) == 0;
    return read_digest(a, j, p, err);
}

static bool read_index(struct arena *a, const json_t *j, struct index_pin *p, struct error **err)
{
    if (!need(a, j, "a package index", "url", &p->url, err) ||
        !need(a, j, p->url, "sha256", &p->digest, err))
        return false;
    if (!digest_is_valid(DIGEST_SHA256, p->digest))
        return error_set(err, ERROR_INPUT, "%s has a sha256 that is none", p->url);
    p->path = arena_strdup(a, json_string_or(j, "path", NULL));
    p->archive = arena_strdup(a, json_string_or(j, "archive", NULL));
    p->snapshot = arena_strdup(a, json_string_or(j, "snapshot", NULL));
    if (p->archive && !text_ends_with(p->archive, "/"))
        return error_set(err, ERROR_INPUT, "%s has an 'archive' that does not end in a slash",
                         p->url);
    if (p->snapshot && !snapshot_is_template(p->snapshot))
        return error_set(err, ERROR_INPUT, "%s has a 'snapshot' that is no URL with @SNAPSHOTID@",
                         p->url);
    return true;
}

bool resolution_from_json(struct arena *a, const json_t *j, const struct resolution **out,
                          struct error **err)
{
    const json_t *packages = json_object_get(j, "packages"),
                 *indexes = json_object_get(j, "indexes");
    size_t count = json_array_size(packages), index_count = json_array_size(indexes);
    if (!json_is_array(packages) || !json_is_array(indexes) || count > MAX_PACKAGES ||
        index_count > MAX_INDEXES)
        return error_set(err, ERROR_INPUT, "the resolved packages are not readable");
    struct package *all = arena_alloc(a, (count + 1) * sizeof *all);
    struct index_pin *pins = arena_alloc(a, (index_count + 1) * sizeof *pins);
    for (size_t i = 0; i < count; i++) {
        if (!read_package(a, json_array_get(packages, i), &all[i], err))
            return false;
        if (i && strcmp(all[i - 1].name, all[i].name) > 0)
            return error_set(err, ERROR_INPUT, "the resolved packages are not sorted by name");
    }
    for (size_t i = 0; i < index_count; i++)
        if (!read_index(a, json_array_get(indexes, i), &pins[i], err))
            return false;
    struct resolution *r = arena_new_of(a, struct resolution);
    *r = (struct resolution){all, count, pins, index_count};
    *out = r;
    return true;
}
