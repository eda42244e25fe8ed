#include "resolve/apk.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "resolve/apk_package.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define KEY_MAX 65536
#define INDEX_NAME "APKINDEX.tar.gz"

static const struct {
    const char *debian, *alpine;
} architectures[] = {{"amd64", "x86_64"}, {"arm64", "aarch64"}};

const char *apk_architecture(const char *name)
{
    for (size_t i = 0; i < COUNT(architectures); i++)
        if (strcmp(architectures[i].debian, name) == 0 ||
            strcmp(architectures[i].alpine, name) == 0)
            return architectures[i].alpine;
    return NULL;
}

/* --- repositories
 * --------------------------------------------------------------------------------- */

static bool is_web(const char *url)
{
    return text_starts_with(url, "http://") || text_starts_with(url, "https://");
}

static void add_repository(struct arena *a, struct apk_repositories *r, const char *tag,
                           const char *url, const struct package_repository *recipe)
{
    size_t n = strlen(url);
    while (n > 1 && url[n - 1] == '/')
        n--;
    struct apk_repository one = {.tag = tag ? arena_strdup(a, tag) : NULL,
                                 .url = arena_strndup(a, url, n),
                                 .recipe = recipe};
    one.index_url = arena_printf(a, "%s/%s/" INDEX_NAME, one.url, r->architecture);
    arena_append(a, r->items, r->count, one);
}

static bool read_line(struct arena *a, char *line, struct apk_repositories *r, struct error **err)
{
    line[strcspn(line, "#\r")] = '\0';
    char *save = NULL, *tag = NULL;
    char *url = strtok_r(line, " \t", &save);
    if (url && *url == '@') {
        tag = url;
        url = strtok_r(NULL, " \t", &save);
    }
    if (!url)
        return !tag ||
               error_set(err, ERROR_INPUT,
                         "/etc/apk/repositories of the base has a tag without a repository");
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '\\')
            return error_set(err, ERROR_INPUT,
                             "/etc/apk/repositories of the base has a bad address");
    if (tag && !path_is_plain_name(tag + 1))
        return error_set(err, ERROR_INPUT, "/etc/apk/repositories of the base has a bad tag");
    if (is_web(url))
        add_repository(a, r, tag, url, NULL);
    else
        log_info("/etc/apk/repositories of the base: %s is not used, only http and https are", url);
    return true;
}

bool apk_read_repositories(struct arena *a, const char *text,
                           const struct package_repository *recipe, size_t count,
                           struct apk_repositories *out, struct error **err)
{
    autofree char *copy = strdup(text);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
        if (!read_line(a, l, out, err))
            return false;
    for (size_t i = 0; i < count; i++)
        if (recipe[i].repository->kind == REPOSITORY_APK)
            add_repository(a, out, NULL, recipe[i].repository->url, &recipe[i]);
    return true;
}

void apk_put_locked(struct arena *a, struct apk_repositories *r, const struct resolution *locked)
{
    struct apk_repository *all = NULL;
    size_t count = 0;
    for (size_t i = 0; i < locked->index_count; i++) {
        const struct index_pin *pin = &locked->indexes[i];
        const struct apk_repository *same = NULL;
        bool present = false;
        for (size_t k = 0; k < r->count; k++) {
            if (strcmp(r->items[k].index_url, pin->url) != 0)
                continue;
            same = &r->items[k];
            present = present || (same->digest && strcmp(same->digest, pin->digest) == 0);
        }
        if (!same || present)
            continue;
        struct apk_repository one = *same;
        one.index = pin->path;
        one.digest = pin->digest;
        arena_append(a, all, count, one);
    }
    for (size_t k = 0; k < r->count; k++)
        if (r->items[k].index)
            arena_append(a, all, count, r->items[k]);
    r->items = all;
    r->count = count;
}

bool apk_add_key(struct arena *a, struct apk_repositories *r, const char *name, const char *text,
                 size_t size, struct error **err)
{
    bool plain = *name && *name != '.';
    for (const char *c = name; *c; c++)
        plain = plain && (isalnum((unsigned char)*c) || strchr("@._+-", *c));
    if (!plain || !text_ends_with(name, ".pub"))
        return error_set(err, ERROR_INPUT, "'%.80s' is no name of an apk key (NAME.rsa.pub)", name);
    struct apk_key key = {arena_strdup(a, name), arena_memdup(a, text, size), size};
    for (size_t i = 0; i < r->key_count; i++) {
        if (strcmp(r->keys[i].name, name) != 0)
            continue;
        if (r->keys[i].size == size && memcmp(r->keys[i].text, text, size) == 0)
            return true;
        return error_set(err, ERROR_TRUST, "there are two different keys of the name %s", name);
    }
    arena_append(a, r->keys, r->key_count, key);
    return true;
}

bool apk_add_recipe_keys(struct arena *a, struct apk_repositories *r, struct error **err)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct package_repository *p = r->items[i].recipe;
        if (!p || !p->key)
            continue; /* signed by a key that the guest has */
        autofree char *text = NULL;
        size_t size;
        if (!file_read(p->key, KEY_MAX, &text, &size, err) ||
            !apk_add_key(a, r, p->key_name ? p->key_name : path_basename(p->key), text, size, err))
            return error_wrap(err, "the key of the repository %s", r->items[i].url);
    }
    return true;
}

/* --- indexes
 * --------------------------------------------------------------------------------------- */

/* What may stand in a file's name: Alpine's package and version grammar. */
static bool is_word(const char *s)
{
    if (!isalnum((unsigned char)*s) && *s != '.' && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("+-._~", *s))
            return false;
    return true;
}

static bool end_entry(struct arena *a, struct apk_entry **all, size_t *count, struct apk_entry *e,
                      struct error **err)
{
    if (!e->name && !e->version)
        return true;
    if (!e->name || !e->version || !is_word(e->name) || !is_word(e->version))
        return error_set(err, ERROR_INPUT, "the package index has a bad entry '%.80s'",
                         e->name ? e->name : "");
    arena_append(a, *all, *count, *e);
    *e = (struct apk_entry){0};
    return true;
}

/* One line of n bytes; only what is used is kept: indexes have ten megabytes and more. */
static bool take_field(struct arena *a, const char *line, size_t n, struct apk_entry *e,
                       struct error **err)
{
    if (n < 2 || line[1] != ':')
        return error_set(err, ERROR_INPUT, "the package index has a bad line '%.*s'",
                         n < 80 ? (int)n : 80, line);
    const char **field = *line == 'P'   ? &e->name
                         : *line == 'V' ? &e->version
                         : *line == 'A' ? &e->architecture
                         : *line == 'C' ? &e->checksum
                                        : NULL;
    if (field)
        *field = arena_strndup(a, line + 2, n - 2);
    if (*line != 'S')
        return true;
    char *digits = NULL;
    errno = 0;
    e->size = strtoull(line + 2, &digits, 10);
    if (errno || digits != line + n || !isdigit((unsigned char)line[2]))
        return error_set(err, ERROR_INPUT, "the package index has a bad size '%.*s'",
                         n < 80 ? (int)n : 80, line);
    return true;
}

bool apk_parse_index(struct arena *a, const char *text, struct apk_index *out, struct error **err)
{
    struct apk_entry *all = NULL, e = {0};
    size_t count = 0;
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (!(n ? take_field(a, text, n, &e, err) : end_entry(a, &all, &count, &e, err)))
            return false;
        text += n + (text[n] != '\0');
    }
    if (!end_entry(a, &all, &count, &e, err))
        return false;
    *out = (struct apk_index){all, count};
    return true;
}

bool apk_read_index(struct arena *a, const char *path, struct apk_index *out, struct error **err)
{
    autofree char *text = NULL;
    return (apk_package_index(path, &text, err) && apk_parse_index(a, text, out, err)) ||
           error_wrap(err, "cannot read the package index '%s'", path);
}

/* --- what apk says
 * ------------------------------------------------------------------------------------ */

enum change { CHANGE_PUT, CHANGE_TAKE, CHANGE_NOTHING };
static const struct {
    const char *verb;
    enum change change;
} changes_known[] = {
    {"Installing ", CHANGE_PUT},   {"Upgrading ", CHANGE_PUT},
    {"Replacing ", CHANGE_PUT},    {"Reinstalling ", CHANGE_PUT},
    {"Downgrading ", CHANGE_TAKE}, {"Purging ", CHANGE_TAKE},
    {"Removing ", CHANGE_TAKE},    {"Updating pinning ", CHANGE_NOTHING},
};

/* `(1/3) Installing NAME (VERSION)`, `… Upgrading NAME (OLD -> NEW)`; NAME may have a tag, @edge.
 */
static bool read_change(struct arena *a, char *line, struct apk_entry *e, enum change *change,
                        struct error **err)
{
    char *at = strstr(line, ") ");
    size_t i = 0;
    for (at += 2; i < COUNT(changes_known); i++)
        if (text_starts_with(at, changes_known[i].verb))
            break;
    if (i == COUNT(changes_known))
        return error_set(err, ERROR_GUEST, "apk says what is not understood: '%.120s'", line);
    *change = changes_known[i].change;
    char *name = at + strlen(changes_known[i].verb);
    char *open = strchr(name, '('), *close = strrchr(name, ')');
    if (!open || !close || close < open)
        return error_set(err, ERROR_GUEST, "apk says what is not understood: '%.120s'", line);
    *close = '\0';
    const char *arrow = strstr(open, " -> ");
    *e = (struct apk_entry){.name = arena_strndup(a, name, strcspn(name, " @(")),
                            .version = arena_strdup(a, arrow ? arrow + 4 : open + 1)};
    if (*change == CHANGE_PUT && (!is_word(e->name) || !is_word(e->version)))
        return error_set(err, ERROR_GUEST, "apk names a bad package: '%.120s'", line);
    return true;
}

bool apk_parse_simulation(struct arena *a, const char *output, struct apk_index *out,
                          struct error **err)
{
    struct apk_entry *all = NULL;
    size_t count = 0;
    autofree char *copy = strdup(output);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (*l != '(' || !strstr(l, ") "))
            continue;
        struct apk_entry e;
        enum change change = CHANGE_NOTHING;
        if (!read_change(a, l, &e, &change, err))
            return false;
        if (change == CHANGE_TAKE)
            return error_set(
                err, ERROR_INPUT,
                "to install the packages apk would take away or downgrade %s, which is "
                "in the base",
                e.name);
        if (change == CHANGE_PUT)
            arena_append(a, all, count, e);
    }
    *out = (struct apk_index){all, count};
    return true;
}

/* An index that is not trusted, or cannot be read, is only a warning, and its packages then seem
 * not to be there. */
bool apk_check_trust(const char *output, struct error **err)
{
    static const char *const signs[] = {"UNTRUSTED", "BAD signature", "BAD archive",
                                        "APKINDEX",  "opening ",      "Ignoring "};
    autofree char *copy = strdup(output);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        bool complaint = text_starts_with(l, "WARNING: ") || text_starts_with(l, "ERROR: ");
        for (size_t i = 0; complaint && i < COUNT(signs); i++)
            if (strstr(l, signs[i]))
                return error_set(err, ERROR_TRUST,
                                 "apk does not trust or cannot read a package index (does the "
                                 "recipe name the right key?): %s",
                                 l);
    }
    return true;
}

/* --- from names to files
 * -------------------------------------------------------------------------- */

static const struct apk_entry *find(const struct apk_index *index, const struct apk_entry *e)
{
    for (size_t i = 0; i < index->count; i++)
        if (strcmp(index->entries[i].name, e->name) == 0 &&
            strcmp(index->entries[i].version, e->version) == 0)
            return &index->entries[i];
    return NULL;
}

static bool is_wanted(const char *const *wanted, const char *name)
{
    for (size_t i = 0; wanted[i]; i++) {
        size_t n = strcspn(wanted[i], "=<>~@");
        if (strlen(name) == n && strncmp(wanted[i], name, n) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct package *)x)->name, ((const struct package *)y)->name);
}

/* The repository to take it from: the first that lists it; of one that is there in two editions the
 * later, which is the present one. */
static const struct apk_entry *locate(const struct apk_repositories *r,
                                      const struct apk_index *indexes, const struct apk_entry *e,
                                      size_t *which)
{
    const struct apk_entry *found = NULL;
    for (size_t k = 0; k < r->count; k++) {
        if (found && strcmp(r->items[k].index_url, r->items[*which].index_url) != 0)
            continue;
        const struct apk_entry *here = find(&indexes[k], e);
        if (here) {
            found = here;
            *which = k;
        }
    }
    return found;
}

/* An edition of an index that nothing is taken from need not be kept beside another. */
static bool is_superfluous(const struct apk_repositories *r, const bool *used, size_t n)
{
    for (size_t i = 0; i < r->count && !used[n]; i++)
        if (i != n && strcmp(r->items[i].index_url, r->items[n].index_url) == 0 &&
            (used[i] || i > n))
            return true;
    return false;
}

bool apk_locate(struct arena *a, const struct apk_repositories *r, const struct apk_index *indexes,
                const struct apk_index *changes, const char *const *wanted,
                const struct resolution **out, struct error **err)
{
    struct resolution *made = arena_new_of(a, struct resolution);
    struct package *all = NULL;
    bool *used = arena_alloc(a, r->count + 1);
    for (size_t i = 0; i < changes->count; i++) {
        const struct apk_entry *e = &changes->entries[i];
        size_t k = 0;
        const struct apk_entry *found = locate(r, indexes, e, &k);
        if (!found)
            return error_set(err, ERROR_GUEST, "apk wants %s-%s, which is in no package index",
                             e->name, e->version);
        struct package p = {.name = e->name,
                            .version = e->version,
                            .architecture = r->architecture,
                            .filename = arena_printf(a, "%s-%s.apk", e->name, e->version),
                            .size = found->size,
                            .digest_kind = DIGEST_SHA256,
                            .automatic = !is_wanted(wanted, e->name)};
        if (apk_package_comparable(found->checksum))
            p.apk_checksum = arena_strdup(a, found->checksum);
        p.url = arena_printf(a, "%s/%s/%s", r->items[k].url, r->architecture, p.filename);
        arena_append(a, all, made->count, p);
        used[k] = true;
    }
    if (made->count)
        qsort(all, made->count, sizeof *all, by_name);
    made->packages = all;
    struct index_pin *pins = NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct index_pin pin = {
            .url = r->items[i].index_url, .digest = r->items[i].digest, .path = r->items[i].index};
        if (!is_superfluous(r, used, i))
            arena_append(a, pins, made->index_count, pin);
    }
    made->indexes = pins;
    *out = made;
    return true;
}

/* --- wishes -------------------------------------------------------------------------------------
 */

/* The length of the name in a wish: `name`, `name@tag`, `name>=version`. */
static size_t name_of(const char *wish)
{
    return strcspn(wish, "@<>=~\n");
}

/* The wish for that name, or NULL. */
static const char *wish_for(const char *const *wanted, const char *name)
{
    for (size_t i = 0; wanted[i]; i++)
        if (strlen(name) == name_of(wanted[i]) && strncmp(wanted[i], name, strlen(name)) == 0)
            return wanted[i];
    return NULL;
}

static const char *pin_of(struct arena *a, const struct package *p, const char *const *wanted)
{
    const char *wish = wish_for(wanted, p->name), *tag = wish ? strchr(wish, '@') : NULL;
    return arena_printf(a, "%s%.*s=%s", p->name, tag ? (int)strcspn(tag, "<>=~") : 0,
                        tag ? tag : "", p->version);
}

const char *const *apk_wishes(struct arena *a, const char *const *wanted,
                              const struct resolution *pins)
{
    const char **all = NULL, *end = NULL;
    size_t n = 0;
    for (size_t i = 0; wanted[i]; i++)
        if (!pins || !resolution_find(pins, wanted[i], name_of(wanted[i])))
            arena_append(a, all, n, wanted[i]);
    for (size_t i = 0; pins && i < pins->count; i++) {
        const char *pin = pin_of(a, &pins->packages[i], wanted);
        arena_append(a, all, n, pin);
    }
    arena_append(a, all, n, end);
    return all;
}

/* The line of a world for that name, or NULL. */
static const char *line_for(struct arena *a, const char *world, const char *name)
{
    size_t length = strlen(name);
    for (const char *l = world; *l; l += strcspn(l, "\n"), l += *l == '\n') {
        size_t n = strcspn(l, "\n");
        if (name_of(l) == length && strncmp(l, name, length) == 0)
            return arena_strndup(a, l, n);
    }
    return NULL;
}

const char *apk_world(struct arena *a, const char *before, const char *after,
                      const char *const *wanted, const struct resolution *pins)
{
    autobuffer struct buffer out = {0};
    autofree char *copy = strdup(after);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        const struct package *p = resolution_find(pins, l, name_of(l));
        const char *kept = l;
        if (p && strcmp(l, pin_of(a, p, wanted)) == 0) {
            kept = wish_for(wanted, p->name);
            if (!kept)
                kept = line_for(a, before, p->name);
        }
        if (kept)
            buffer_printf(&out, "%s\n", kept);
    }
    return arena_strdup(a, out.data ? out.data : "");
}

size_t apk_repository_of(const struct apk_repositories *r, const char *url)
{
    size_t i = 0;
    for (; i < r->count; i++) {
        size_t n = strlen(r->items[i].url);
        if (strncmp(r->items[i].url, url, n) == 0 && url[n] == '/' &&
            strncmp(url + n + 1, r->architecture, strlen(r->architecture)) == 0 &&
            url[n + 1 + strlen(r->architecture)] == '/' &&
            !strchr(url + n + 2 + strlen(r->architecture), '/'))
            break;
    }
    return i;
}
