/* Reading NAME.lock: strict, since what it says is trusted. */
#include "resolve/lock.h"
#include "resolve/lock_internal.h"

#include "base/file.h"

#include <ctype.h>
#include <string.h>

#define MAX_SOURCES 20000

struct reader {
    struct arena *arena;
    const char *path, *dir;
};

static bool wrong(const struct reader *r, struct error **err, const char *where, const char *what)
{
    const struct place place = {.file = r->path};
    return error_set_at(err, ERROR_INPUT, place,
                        "%s%s%s; a lock is made by `ingot lock`, not by hand", where,
                        *where ? ": " : "", what);
}

/* Everything in the object is one of these names, ended by NULL. */
static bool check_keys(const struct reader *r, const json_t *j, const char *where,
                       const char *const *names, struct error **err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(j))
        return wrong(r, err, where, "an object is expected");
    json_object_foreach((json_t *)(uintptr_t)j, key, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return wrong(r, err, where,
                         arena_printf(r->arena, "'%.80s' is nothing that a lock says", key));
    }
    return true;
}

/* Text for people and comparisons: one line, not too long. */
static bool is_line(const char *s)
{
    for (const char *p = s; *p; p++)
        if (iscntrl((unsigned char)*p))
            return false;
    return strlen(s) < 4096;
}

static bool read_text(const struct reader *r, const json_t *j, const char *where, const char *key,
                      bool needed, const char **out, struct error **err)
{
    const json_t *value = json_object_get(j, key);
    *out = NULL;
    if (!value && !needed)
        return true;
    const char *s = json_string_value(value);
    if (!s || !*s || !is_line(s))
        return wrong(r, err, where, arena_printf(r->arena, "'%s' is no text", key));
    *out = arena_strdup(r->arena, s);
    return true;
}

static bool read_digest(const struct reader *r, const json_t *j, const char *where,
                        enum digest_kind kind, bool needed, const char **out, struct error **err)
{
    const char *name = digest_name(kind);
    if (!read_text(r, j, where, name, needed, out, err))
        return false;
    bool good = !*out || digest_is_valid(kind, *out);
    for (const char *p = *out; p && *p && good; p++)
        good = !isupper((unsigned char)*p);
    return good || wrong(r, err, where, arena_printf(r->arena, "'%s' is no digest", name));
}

static bool read_url(const struct reader *r, const char *name, const char **out, struct error **err)
{
    bool good = *name && is_line(name) &&
                (lock_local_prefix(name, true) >= 0 || lock_local_prefix(name, false) < 0);
    if (!good)
        return wrong(r, err, "",
                     arena_printf(r->arena, "'%.80s' is no URL or relative name", name));
    *out = lock_expand(r->arena, r->dir, name);
    autobuffer struct buffer plain = {0};
    lock_write_without_user(&plain, *out);
    return strcmp(plain.data, *out) == 0 ||
           wrong(r, err, "", "a URL has a user part: a lock holds no credentials");
}

static bool read_source(const struct reader *r, const char *name, const json_t *j,
                        struct lock_source *s, struct error **err)
{
    static const char *const keys[] = {"url", "sha256", "sha512", "bytes", "verified", NULL};
    const char *url;
    const json_t *bytes = json_object_get(j, "bytes");
    if (!check_keys(r, j, name, keys, err) || !read_url(r, name, &url, err))
        return false;
    s->url = lock_key(r->arena, url);
    if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
        return wrong(r, err, name, "'bytes' is no size");
    s->size = (uint64_t)json_integer_value(bytes);
    return read_digest(r, j, name, DIGEST_SHA256, true, &s->sha256, err) &&
           read_digest(r, j, name, DIGEST_SHA512, false, &s->sha512, err) &&
           read_text(r, j, name, "verified", true, &s->verified, err);
}

static int compare_source(const void *x, const void *y)
{
    const struct lock_source *a = x, *b = y;
    return strcmp(a->url, b->url);
}

static bool read_sources(const struct reader *r, const json_t *j, const char *where,
                         const struct lock_source **out, size_t *count, struct error **err)
{
    if (!j)
        return true;
    const char *name;
    json_t *one;
    size_t n = json_object_size(j);
    if (!json_is_object(j) || n > MAX_SOURCES)
        return wrong(r, err, where, "an object is expected");
    struct lock_source *list = arena_alloc(r->arena, (n + 1) * sizeof *list);
    json_object_foreach((json_t *)(uintptr_t)j, name, one)
    {
        if (json_object_get(one, "url"))
            return wrong(r, err, name, "'url' stands twice");
        if (!read_source(r, name, one, &list[(*count)++], err))
            return false;
    }
    qsort(list, *count, sizeof *list, compare_source);
    for (size_t i = 1; i < *count; i++)
        if (strcmp(list[i - 1].url, list[i].url) == 0)
            return wrong(r, err, where, arena_printf(r->arena, "%s stands twice", list[i].url));
    *out = list;
    return true;
}

static bool read_names(const struct reader *r, const json_t *j, const char *where,
                       const char *const **out, struct error **err)
{
    size_t n = json_array_size(j);
    if (j && (!json_is_array(j) || n > MAX_SOURCES))
        return wrong(r, err, where, "a list is expected");
    const char **list = arena_alloc(r->arena, (n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(j, i));
        if (!s || !*s || !is_line(s))
            return wrong(r, err, where, "holds what is no name");
        if (i && strcmp(list[i - 1], s) >= 0)
            return wrong(r, err, where, "is not sorted");
        list[i] = arena_strdup(r->arena, s);
    }
    *out = list;
    return true;
}

static bool check_entries(const struct reader *r, const json_t *list, const char *where,
                          const char *const *keys, struct error **err)
{
    size_t i;
    json_t *one;
    const char *url;
    json_array_foreach(list, i, one)
    {
        if (!check_keys(r, one, where, keys, err) ||
            !read_url(r, json_string_or(one, "url", ""), &url, err))
            return false;
        const char *archive = json_string_or(one, "archive", NULL);
        if (archive && !read_url(r, archive, &url, err))
            return false;
    }
    return true;
}

/* The names of local files are made absolute again. */
static bool read_resolution(const struct reader *r, const json_t *j, const char *where,
                            const struct resolution **out, struct error **err)
{
    static const char *const package_keys[] = {
        "name",   "version", "architecture", "url",       "filename", "size",
        "sha256", "sha512",  "verified",     "automatic", NULL};
    static const char *const index_keys[] = {"url", "sha256", "archive", "snapshot", NULL};
    const struct resolution *found;
    if (!check_entries(r, json_object_get(j, "packages"), where, package_keys, err) ||
        !check_entries(r, json_object_get(j, "indexes"), where, index_keys, err))
        return false;
    autoerror struct error *why = NULL;
    if (!resolution_from_json(r->arena, j, &found, &why))
        return wrong(r, err, where, error_text(why));
    struct package *packages =
        arena_memdup(r->arena, found->packages, (found->count + 1) * sizeof *packages);
    struct index_pin *pins =
        arena_memdup(r->arena, found->indexes, (found->index_count + 1) * sizeof *pins);
    for (size_t i = 0; i < found->count; i++) {
        if (!packages[i].digest)
            return wrong(r, err, where,
                         arena_printf(r->arena, "the package %s has no digest", packages[i].name));
        packages[i].url = lock_expand(r->arena, r->dir, packages[i].url);
    }
    for (size_t i = 0; i < found->index_count; i++) {
        pins[i].url = lock_expand(r->arena, r->dir, pins[i].url);
        if (pins[i].archive)
            pins[i].archive = lock_expand(r->arena, r->dir, pins[i].archive);
    }
    struct resolution *made = arena_new_of(r->arena, struct resolution);
    *made = (struct resolution){packages, found->count, pins, found->index_count};
    *out = made;
    return true;
}

static bool read_packages(const struct reader *r, const json_t *j, const char *where,
                          struct lock_packages *p, struct error **err)
{
    const json_t *recommends = json_object_get(j, "recommends");
    if (recommends && !json_is_boolean(recommends))
        return wrong(r, err, where, "'recommends' is neither true nor false");
    p->recommends = json_is_true(recommends);
    if (!read_names(r, json_object_get(j, "wanted"), where, &p->wanted, err) ||
        !read_names(r, json_object_get(j, "present"), where, &p->present, err) ||
        !read_text(r, j, where, "base", false, &p->base, err) ||
        !read_text(r, j, where, "repositories", false, &p->repositories, err) ||
        !read_text(r, j, where, "snapshot", false, &p->snapshot, err))
        return false;
    p->repositories = p->repositories ? p->repositories : "";
    return read_resolution(r, j, where, &p->resolution, err);
}

static bool read_bootstrap(const struct reader *r, const json_t *j, struct lock_packages *p,
                           struct error **err)
{
    static const char *const keys[] = {"bootstrap", "wanted",  "snapshot",
                                       "packages",  "indexes", NULL};
    static const char *const what_keys[] = {"os", "suite", "mirror", NULL};
    const json_t *what = json_object_get(j, "bootstrap");
    if (!check_keys(r, j, "base", keys, err) || !check_keys(r, what, "base", what_keys, err) ||
        !read_text(r, what, "base", "os", true, &p->os, err) ||
        !read_text(r, what, "base", "suite", true, &p->suite, err) ||
        !read_text(r, what, "base", "mirror", false, &p->mirror, err) ||
        (p->mirror && !read_url(r, p->mirror, &p->mirror, err)))
        return false;
    return read_packages(r, j, "base", p, err);
}

static bool read_base(const struct reader *r, const json_t *j, struct lock_arch *l,
                      struct error **err)
{
    if (!j)
        return true;
    if (json_object_get(j, "bootstrap"))
        return read_bootstrap(r, j, &l->bootstrap, err);
    const char *url;
    return read_text(r, j, "base", "url", true, &url, err) && read_source(r, url, j, &l->base, err);
}

static bool read_arch(const struct reader *r, const json_t *j, enum architecture arch,
                      struct lock_arch *l, struct error **err)
{
    static const char *const keys[] = {"base", "sources", "keys", "packages", NULL};
    static const char *const package_keys[] = {"wanted",   "present",      "recommends",
                                               "base",     "repositories", "snapshot",
                                               "packages", "indexes",      NULL};
    const json_t *packages = json_object_get(j, "packages");
    if (!j)
        return true;
    l->present = true;
    return check_keys(r, j, architecture_name(arch), keys, err) &&
           read_base(r, json_object_get(j, "base"), l, err) &&
           read_sources(r, json_object_get(j, "sources"), "sources", &l->sources, &l->source_count,
                        err) &&
           read_sources(r, json_object_get(j, "keys"), "keys", &l->keys, &l->key_count, err) &&
           (!packages || (check_keys(r, packages, "packages", package_keys, err) &&
                          read_packages(r, packages, "packages", &l->packages, err)));
}

bool lock_parse(struct arena *a, const char *text, size_t size, const char *path, const char *dir,
                const struct lock **out, struct error **err)
{
    static const char *const keys[] = {"ingot_lock", "epoch", "amd64", "arm64", NULL};
    const struct reader r = {.arena = a, .path = arena_strdup(a, path), .dir = dir};
    autojson json_t *j = NULL;
    if (!json_parse(text, size, r.path, &j, err))
        return false;
    const json_t *format = json_object_get(j, "ingot_lock"), *epoch = json_object_get(j, "epoch");
    if (!json_is_integer(format) || json_integer_value(format) < 1)
        return wrong(&r, err, "", "this is no lock: 'ingot_lock' says no format");
    const struct place place = {.file = r.path};
    if (json_integer_value(format) > LOCK_FORMAT)
        return error_set_at(err, ERROR_UNSUPPORTED, place,
                            "this lock was written by a newer ingot (format %lld, this one reads "
                            "%d)",
                            (long long)json_integer_value(format), LOCK_FORMAT);
    struct lock *l = arena_new_of(a, struct lock);
    if (!check_keys(&r, j, "", keys, err))
        return false;
    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0 ||
        json_integer_value(epoch) > UINT32_MAX)
        return wrong(&r, err, "", "'epoch' is no time in seconds");
    l->epoch = json_integer_value(epoch);
    for (enum architecture i = 0; i < COUNT(l->arch); i++)
        if (!read_arch(&r, json_object_get(j, architecture_name(i)), i, &l->arch[i], err))
            return false;
    *out = l;
    return true;
}

bool lock_read(struct arena *a, const char *path, const struct lock **out, struct error **err)
{
    autofree char *text = NULL, *folder = lock_folder(path);
    size_t size;
    *out = NULL;
    if (access(path, F_OK) != 0)
        return true;
    return file_read(path, LOCK_MAX_BYTES, &text, &size, err) &&
           lock_parse(a, text, size, path, arena_strdup(a, folder), out, err);
}
