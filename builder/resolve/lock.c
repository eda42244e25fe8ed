#include "resolve/lock.h"
#include "resolve/lock_internal.h"

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

char *lock_path(const char *recipe_path)
{
    static const char suffix[] = ".yaml";
    size_t n = strlen(recipe_path);
    char *path = NULL;
    if (text_ends_with(recipe_path, suffix))
        n -= sizeof suffix - 1;
    if (asprintf(&path, "%.*s.lock", (int)n, recipe_path) < 0)
        abort();
    return path;
}

/* --- names --------------------------------------------------------------------------------------
 */

/* The length of what stands in front of the path of a local URL: "", "file:", "file://" …; -1 for
 * what is not local. relative: also where `./` or `../` follows. */
int lock_local_prefix(const char *url, bool relative)
{
    static const char *const prefixes[] = {"file://localhost", "file://", "file:", ""};
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        if (!text_starts_with(url, prefixes[i]))
            continue;
        const char *rest = url + strlen(prefixes[i]);
        bool begins =
            relative ? text_starts_with(rest, "./") || text_starts_with(rest, "../") : *rest == '/';
        if (begins)
            return (int)strlen(prefixes[i]);
    }
    return -1;
}

/* dir/path without `.`, `..` and doubled slashes, by the text alone. A slash at the end stays. */
static char *clean(const char *dir, const char *path)
{
    autofree char *joined = path_join(dir, path);
    struct buffer b = {0};
    for (const char *p = joined; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (b.size && b.data[--b.size] != '/')
                ;
        } else if (n && !(n == 1 && *p == '.')) {
            buffer_puts(&b, "/");
            buffer_add(&b, p, n);
        }
        p += n;
        p += *p == '/';
    }
    if (!b.size || text_ends_with(joined, "/"))
        buffer_puts(&b, "/");
    b.data[b.size] = '\0';
    return buffer_take(&b);
}

/* How to get from the folder dir to path, both clean and absolute. */
static void write_relative(struct buffer *b, const char *dir, const char *path)
{
    size_t common = 0, i = 0;
    for (; dir[i] && dir[i] == path[i]; i++)
        if (dir[i] == '/')
            common = i + 1;
    if (!dir[i] && path[i] == '/')
        common = i + 1;
    bool up = false;
    for (const char *p = dir + (common <= i ? common : i); *p; p += strcspn(p, "/")) {
        p += *p == '/';
        if (*p) {
            buffer_puts(b, "../");
            up = true;
        }
    }
    if (!up)
        buffer_puts(b, "./");
    buffer_puts(b, path + common);
}

/* Puts the URL without its user part. */
void lock_write_without_user(struct buffer *b, const char *url)
{
    const char *authority = strstr(url, "://");
    const char *at = NULL;
    if (authority) {
        authority += 3;
        at = memrchr(authority, '@', strcspn(authority, "/?#"));
    }
    if (at) {
        buffer_add(b, url, (size_t)(authority - url));
        url = at + 1;
    }
    buffer_puts(b, url);
}

char *lock_name(const char *dir, const char *url)
{
    struct buffer b = {0};
    int prefix = lock_local_prefix(url, false);
    if (prefix < 0) {
        lock_write_without_user(&b, url);
    } else {
        autofree char *folder = clean("", dir), *path = clean("", url + prefix);
        buffer_add(&b, url, (size_t)prefix);
        write_relative(&b, folder, path);
    }
    return buffer_take(&b);
}

/* The other way round. */
const char *lock_expand(struct arena *a, const char *dir, const char *name)
{
    int prefix = lock_local_prefix(name, true);
    if (prefix < 0)
        return arena_strdup(a, name);
    autofree char *path = clean(dir, name + prefix);
    return arena_printf(a, "%.*s%s", prefix, name, path);
}

const char *lock_key(struct arena *a, const char *url)
{
    autobuffer struct buffer b = {0};
    int prefix = lock_local_prefix(url, false);
    if (prefix >= 0) {
        autofree char *path = clean("", url + prefix);
        return arena_strdup(a, path);
    }
    lock_write_without_user(&b, url);
    return arena_strdup(a, b.data);
}

static const struct lock_source *find(const struct lock_source *list, size_t count, const char *url)
{
    autoarena struct arena *a = arena_new();
    const char *key = lock_key(a, url);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].url, key) == 0)
            return &list[i];
    return NULL;
}

const struct lock_source *lock_find_source(const struct lock_arch *l, const char *url)
{
    return find(l->sources, l->source_count, url);
}

const struct lock_source *lock_find_key(const struct lock_arch *l, const char *url)
{
    return find(l->keys, l->key_count, url);
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct writer {
    struct buffer text;
    const char *dir;
    unsigned depth;
    bool first; /* nothing stands in this object or array yet */
};

static void put_json(struct buffer *b, const json_t *j)
{
    autofree char *text = json_dumps(j, JSON_ENCODE_ANY);
    if (!text)
        abort();
    buffer_puts(b, text);
}

static void put_string(struct buffer *b, const char *s)
{
    autojson json_t *j = json_object();
    json_set_string(j, "s", s);
    put_json(b, json_object_get(j, "s"));
}

/* Begins a line with a member's name, or an array's element (name NULL). */
static void begin(struct writer *w, const char *name)
{
    buffer_printf(&w->text, "%s\n%*s", w->first ? "" : ",", (int)(2 * w->depth), "");
    w->first = false;
    if (!name)
        return;
    put_string(&w->text, name);
    buffer_puts(&w->text, ": ");
}

static void open_group(struct writer *w, const char *name, char bracket)
{
    begin(w, name);
    buffer_printf(&w->text, "%c", bracket);
    w->depth++;
    w->first = true;
}

static void close_group(struct writer *w, char bracket)
{
    w->depth--;
    if (w->first)
        buffer_printf(&w->text, "%c", bracket);
    else
        buffer_printf(&w->text, "\n%*s%c", (int)(2 * w->depth), "", bracket);
    w->first = false;
}

static void member(struct writer *w, const char *name, json_t *owned)
{
    autojson json_t *value = owned;
    begin(w, name);
    put_json(&w->text, value);
}

static void text_member(struct writer *w, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    begin(w, name);
    put_string(&w->text, value);
}

/* Words that are local paths are made relative too. */
static char *relative_words(const char *dir, const char *text)
{
    struct buffer b = {0};
    autoarena struct arena *a = arena_new();
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " ,");
        if (n) {
            autofree char *name = lock_name(dir, lock_key(a, arena_strndup(a, p, n)));
            buffer_puts(&b, name);
        } else {
            buffer_add(&b, p, n = 1);
        }
        p += n;
    }
    return buffer_take(&b);
}

static json_t *source_to_json(const struct lock_source *s, const char *dir, bool with_url)
{
    json_t *j = json_object();
    autofree char *name = lock_name(dir, s->url);
    autofree char *verified = relative_words(dir, s->verified ? s->verified : "");
    if (with_url)
        json_set_string(j, "url", name);
    json_set_string(j, "sha256", s->sha256);
    json_set_string(j, "sha512", s->sha512);
    json_set_integer(j, "bytes", (json_int_t)s->size);
    json_set_string(j, "verified", verified);
    return j;
}

struct named {
    char *name;
    const void *of;
};

static int compare_named(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    return strcmp(a->name, b->name);
}

static void write_sources(struct writer *w, const char *key, const struct lock_source *list,
                          size_t count)
{
    if (!count)
        return;
    struct named *sorted = calloc(count, sizeof *sorted);
    if (!sorted)
        abort();
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct named){lock_name(w->dir, list[i].url), &list[i]};
    qsort(sorted, count, sizeof *sorted, compare_named);
    open_group(w, key, '{');
    for (size_t i = 0; i < count; i++) {
        member(w, sorted[i].name, source_to_json(sorted[i].of, w->dir, false));
        free(sorted[i].name);
    }
    free(sorted);
    close_group(w, '}');
}

/* An element of packages or indexes: its URL without host and user, and no path of this host. */
static void write_entry(struct writer *w, const json_t *from)
{
    autojson json_t *j = json_copy((json_t *)(uintptr_t)from);
    static const char *const urls[] = {"url", "archive", "snapshot"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        const char *url = json_string_or(j, urls[i], NULL);
        if (!url)
            continue;
        autofree char *name = lock_name(w->dir, url);
        json_set_string(j, urls[i], name);
    }
    json_object_del(j, "path");
    begin(w, NULL);
    put_json(&w->text, j);
}

static int compare_index(const void *x, const void *y)
{
    const struct index_pin *a = x, *b = y;
    return strcmp(a->url, b->url);
}

static void write_resolution(struct writer *w, const struct resolution *r)
{
    struct index_pin *sorted = calloc(r->index_count + 1, sizeof *sorted);
    if (!sorted)
        abort();
    if (r->index_count)
        memcpy(sorted, r->indexes, r->index_count * sizeof *sorted);
    /* Of one index's several states the older ones come first: the order stays. */
    for (size_t i = 1; i < r->index_count; i++)
        for (size_t k = i; k && compare_index(&sorted[k - 1], &sorted[k]) > 0; k--) {
            struct index_pin t = sorted[k];
            sorted[k] = sorted[k - 1];
            sorted[k - 1] = t;
        }
    const struct resolution copy = {r->packages, r->count, sorted, r->index_count};
    autojson json_t *j = resolution_to_json(&copy);
    static const char *const lists[] = {"packages", "indexes"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        open_group(w, lists[i], '[');
        const json_t *list = json_object_get(j, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++)
            write_entry(w, json_array_get(list, k));
        close_group(w, ']');
    }
    free(sorted);
}

static void write_packages(struct writer *w, const struct lock_packages *p)
{
    member(w, "wanted", json_strings(p->wanted));
    if (p->present && p->present[0])
        member(w, "present", json_strings(p->present));
    if (!p->os)
        member(w, "recommends", json_boolean(p->recommends));
    text_member(w, "base", p->base);
    text_member(w, "repositories", p->repositories);
    text_member(w, "snapshot", p->snapshot);
    write_resolution(w, p->resolution);
}

static void write_base(struct writer *w, const struct lock_arch *l)
{
    if (l->base.url) {
        member(w, "base", source_to_json(&l->base, w->dir, true));
    } else if (l->bootstrap.resolution) {
        const struct lock_packages *b = &l->bootstrap;
        autofree char *mirror = b->mirror ? lock_name(w->dir, b->mirror) : NULL;
        json_t *what = json_object();
        json_set_string(what, "os", b->os);
        json_set_string(what, "suite", b->suite);
        json_set_string(what, "mirror", mirror);
        open_group(w, "base", '{');
        member(w, "bootstrap", what);
        write_packages(w, b);
        close_group(w, '}');
    }
}

char *lock_text(const struct lock *l, const char *dir)
{
    struct writer w = {.dir = dir, .first = true, .depth = 1};
    buffer_puts(&w.text, "{");
    member(&w, "ingot_lock", json_integer(LOCK_FORMAT));
    member(&w, "epoch", json_integer(l->epoch));
    for (enum architecture i = 0; i < COUNT(l->arch); i++) {
        const struct lock_arch *one = &l->arch[i];
        if (!one->present)
            continue;
        open_group(&w, architecture_name(i), '{');
        write_base(&w, one);
        write_sources(&w, "sources", one->sources, one->source_count);
        write_sources(&w, "keys", one->keys, one->key_count);
        if (one->packages.resolution) {
            open_group(&w, "packages", '{');
            write_packages(&w, &one->packages);
            close_group(&w, '}');
        }
        close_group(&w, '}');
    }
    buffer_puts(&w.text, "\n}\n");
    return buffer_take(&w.text);
}

/* The folder that names in this lock are relative to. */
char *lock_folder(const char *path)
{
    autofree char *dir = path_dirname(path);
    return path_absolute(".", dir);
}

bool lock_write(const struct lock *l, const char *path, bool *changed, struct error **err)
{
    autofree char *dir = lock_folder(path), *old = NULL;
    autofree char *text = lock_text(l, dir);
    size_t size = 0;
    *changed = false;
    if (file_read(path, LOCK_MAX_BYTES, &old, &size, NULL) && size == strlen(text) &&
        memcmp(old, text, size) == 0)
        return true;
    *changed = true;
    return file_write(path, text, strlen(text), 0644, err);
}
