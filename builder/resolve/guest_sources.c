#include "resolve/guest_sources.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "resolve/source_list.h"

#include <string.h>

#define MIRROR_LIST_MAX 65536
#define KEY_BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----"

static const char *const schemes[] = {"http://", "https://"};
static const char mirror_file[] = "mirror+file:";

struct parser {
    struct guest_sources *sources;
    const char *name, *root;
    unsigned line;
};

static bool wrong(const struct parser *p, struct error **err, const char *what, const char *text)
{
    return error_set(err, ERROR_INPUT, "%s of the base, line %u: %s '%.80s'", p->name, p->line,
                     what, text);
}

static bool is_web(const char *uri)
{
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (text_starts_with(uri, schemes[i]))
            return true;
    return false;
}

/* The first address of a mirror list (apt-transport-mirror(1)) that is in the guest's files. */
static bool read_mirrors(struct parser *p, const char *path, struct buffer *out, struct error **err)
{
    while (path[0] == '/' && path[1] == '/')
        path++;
    if (!path_is_clean_absolute(path))
        return wrong(p, err, "no path of a mirror list:", path);
    autofree char *host = NULL, *text = NULL;
    if (asprintf(&host, "%s%s", p->root, path) < 0)
        abort();
    size_t size;
    if (!file_read(host, MIRROR_LIST_MAX, &text, &size, err))
        return error_wrap(err, "%s of the base names a mirror list", p->name);
    char *save = NULL;
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        l += strspn(l, " \t");
        l[strcspn(l, " \t\r")] = '\0';
        if (!is_web(l))
            continue;
        buffer_printf(out, "%s%s", out->size ? " " : "", l);
        return true;
    }
    return wrong(p, err, "no http address in the mirror list", path);
}

/* Only what the host can fetch; *out is NULL where nothing is left. */
static bool usable_uris(struct parser *p, const char *list, const char **out, struct error **err)
{
    autobuffer struct buffer kept = {0};
    autofree char *copy = strdup(list);
    char *save = NULL;
    for (char *uri = strtok_r(copy, " ", &save); uri; uri = strtok_r(NULL, " ", &save)) {
        if (text_starts_with(uri, mirror_file)) {
            if (!read_mirrors(p, uri + strlen(mirror_file), &kept, err))
                return false;
        } else if (p->sources->local && text_starts_with(uri, "copy:/")) {
            buffer_printf(&kept, "%sfile:%s", kept.size ? " " : "", uri + strlen("copy:"));
        } else if (is_web(uri) || (p->sources->local && text_starts_with(uri, "file:/"))) {
            buffer_printf(&kept, "%s%s", kept.size ? " " : "", uri);
        } else {
            log_info("%s of the base: %s is not used, only http and https are", p->name, uri);
        }
    }
    *out = kept.size ? arena_strdup(p->sources->arena, kept.data) : NULL;
    return true;
}

/* Paths and fingerprints, or a whole key. */
static bool check_signed_by(struct parser *p, const char *value, const char **out,
                            struct error **err)
{
    const char *start = value + strspn(value, " \t\n");
    if (text_starts_with(start, KEY_BEGIN)) {
        *out = arena_strdup(p->sources->arena, start);
        return true;
    }
    *out = source_words(p->sources->arena, value, ",");
    autofree char *copy = strdup(*out);
    char *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        bool fingerprint = strlen(w) >= 40 && strspn(w, "0123456789abcdefABCDEF!") == strlen(w);
        if (!fingerprint && !path_is_clean_absolute(w))
            return wrong(p, err, "Signed-By is neither a path nor a fingerprint:", w);
    }
    if (!**out)
        *out = NULL;
    return true;
}

static bool add(struct parser *p, const struct source_entry *e, struct error **err)
{
    struct arena *a = p->sources->arena;
    const char *const *v = e->values;
    struct guest_source s = {.components = ""};
    p->line = e->place.line;
    if (!usable_uris(p, source_words(a, v[SOURCE_URIS], ""), &s.uris, err))
        return false;
    if (!s.uris)
        return true;
    s.suites = source_words(a, v[SOURCE_SUITES], "");
    if (v[SOURCE_COMPONENTS])
        s.components = source_words(a, v[SOURCE_COMPONENTS], "");
    if (v[SOURCE_ARCHITECTURES])
        s.architectures = source_words(a, v[SOURCE_ARCHITECTURES], ",");
    if (v[SOURCE_SIGNED_BY] && !check_signed_by(p, v[SOURCE_SIGNED_BY], &s.signed_by, err))
        return false;
    arena_append(a, p->sources->items, p->sources->count, s);
    return true;
}

bool guest_sources_parse(struct guest_sources *s, const char *name, const char *text, bool deb822,
                         const char *root, struct error **err)
{
    struct parser p = {.sources = s, .name = name, .root = root};
    const struct source_text t = {
        .name = name, .text = text, .deb822 = deb822, .kind = ERROR_INPUT};
    struct source_entry *entries = NULL;
    size_t count = 0;
    if (!source_list_read(s->arena, &t, &entries, &count, err))
        return error_wrap(err, "the base's apt sources");
    for (size_t i = 0; i < count; i++)
        if (!add(&p, &entries[i], err))
            return false;
    return true;
}

/* --- out
 * ------------------------------------------------------------------------------------------------
 */

static void write_key(const char *key, struct buffer *out)
{
    buffer_puts(out, "Signed-By:\n");
    autofree char *copy = strdup(key);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        l += strspn(l, " \t");
        buffer_printf(out, " %s\n", *l ? l : ".");
    }
}

static void write_signed_by(const char *list, const char *root, struct buffer *out)
{
    buffer_puts(out, "Signed-By:");
    autofree char *copy = strdup(list);
    char *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        buffer_printf(out, " %s%s", *w == '/' ? root : "", w);
    buffer_puts(out, "\n");
}

void guest_source_write(const struct guest_source *s, const char *root, struct buffer *out)
{
    buffer_printf(out, "Types: deb\nURIs: %s\nSuites: %s\n", s->uris, s->suites);
    if (*s->components)
        buffer_printf(out, "Components: %s\n", s->components);
    if (s->architectures)
        buffer_printf(out, "Architectures: %s\n", s->architectures);
    if (s->signed_by && text_starts_with(s->signed_by, KEY_BEGIN))
        write_key(s->signed_by, out);
    else if (s->signed_by)
        write_signed_by(s->signed_by, root, out);
    buffer_puts(out, "\n");
}

void guest_sources_write(const struct guest_sources *s, const char *root, struct buffer *out)
{
    for (size_t i = 0; i < s->count; i++)
        guest_source_write(&s->items[i], root, out);
}
