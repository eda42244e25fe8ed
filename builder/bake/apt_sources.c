#include "bake/apt_sources.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "resolve/source_list.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

enum { MAX_SOURCES_BYTES = 1 << 20 };

/* A stanza stands for each of its URIs with each of its suites. */
static void add_entry(struct arena *a, const struct source_entry *e, struct apt_sources *out)
{
    struct apt_source source = {.place = e->place};
    const char *const *v = e->values;
    const char *by = v[SOURCE_SIGNED_BY], *word;
    source.components = source_words(a, v[SOURCE_COMPONENTS] ? v[SOURCE_COMPONENTS] : "", "");
    if (v[SOURCE_ARCHITECTURES])
        source.architectures = source_words(a, v[SOURCE_ARCHITECTURES], ",");
    if (by && strstr(by, "-----BEGIN PGP PUBLIC KEY BLOCK-----"))
        source.key = by;
    else if (by)
        source.signed_by = source_words(a, by, ",");
    for (enum source_field f = SOURCE_TRUSTED; f <= SOURCE_ALLOW_WEAK; f++)
        if (v[f] && source_is_yes(source_words(a, v[f], "")))
            source.unsafe = true;
    const char *uris = source_words(a, v[SOURCE_URIS], "");
    const char *suites = source_words(a, v[SOURCE_SUITES], "");
    while ((word = source_next_word(a, &uris))) {
        source.uri = word;
        for (const char *rest = suites; (source.suite = source_next_word(a, &rest));)
            arena_append(a, out->items, out->count, source);
    }
}

bool apt_sources_parse(struct arena *a, const char *text, const char *file, bool deb822,
                       struct apt_sources *out, struct error **err)
{
    const struct source_text t = {.name = file, .text = text, .deb822 = deb822, .kind = ERROR_HOST};
    struct source_entry *entries = NULL;
    size_t count = 0;
    if (!source_list_read(a, &t, &entries, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        add_entry(a, &entries[i], out);
    return true;
}

static bool read_one(struct arena *a, const char *path, struct apt_sources *out, struct error **err)
{
    autofree char *text = NULL;
    size_t size = 0;
    if (access(path, F_OK) != 0)
        return true;
    if (!file_read(path, MAX_SOURCES_BYTES, &text, &size, err))
        return false;
    if (strlen(text) != size)
        return error_set(err, ERROR_HOST, "%s: a NUL byte in an apt source", path);
    return apt_sources_parse(a, text, path, text_ends_with(path, ".sources"), out, err);
}

/* apt ignores names with other characters and other endings. */
static int is_sources_file(const struct dirent *e)
{
    for (const char *p = e->d_name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
            return 0;
    return e->d_name[0] != '.' &&
           (text_ends_with(e->d_name, ".list") || text_ends_with(e->d_name, ".sources"));
}

static int by_bytes(const struct dirent **x, const struct dirent **y)
{
    return strcmp((*x)->d_name, (*y)->d_name);
}

bool apt_sources_read(struct arena *a, const char *etc, struct apt_sources *out, struct error **err)
{
    autofree char *first = path_join(etc, "sources.list");
    autofree char *folder = path_join(etc, "sources.list.d");
    if (!read_one(a, first, out, err))
        return false;
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_sources_file, by_bytes);
    if (n < 0)
        return errno == ENOENT || error_errno(err, ERROR_HOST, errno, "cannot read %s", folder);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        autofree char *path = path_join(folder, names[i]->d_name);
        ok = ok && read_one(a, path, out, err);
        free(names[i]);
    }
    free(names);
    return ok;
}

const char *apt_uri_refused(const char *uri)
{
    static const char *const schemes[] = {"http://", "https://", "file:/", "copy:/"};
    bool known = false;
    for (size_t i = 0; i < COUNT(schemes); i++)
        known = known || text_starts_with(uri, schemes[i]);
    if (!known)
        return "only http, https, file and copy are known";
    for (const unsigned char *p = (const unsigned char *)uri; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || strchr("[]\"'\\<>|`", *p))
            return "it has characters that a URI cannot have";
    const char *host = strstr(uri, "://");
    if (host) {
        host += 3;
        const char *at = memchr(host, '@', strcspn(host, "/"));
        if (at)
            return "it holds a user name or password, which the image would keep";
    }
    return NULL;
}

/* Whether the index that apt fetched from there last says that it is Debian's. */
static bool origin_is_debian(const char *lists, const struct apt_source *s)
{
    const char *rest = strstr(s->uri, "://");
    if (!rest)
        return false;
    autobuffer struct buffer name = {0};
    buffer_printf(&name, "%s/", lists);
    for (rest += 3; *rest; rest++)
        if (*rest != '/' || rest[1])
            buffer_printf(&name, "%c", *rest == '/' ? '_' : *rest);
    buffer_printf(&name, "_dists_%s_InRelease", s->suite);
    autofree char *text = NULL;
    size_t size = 0;
    autoerror struct error *ignored = NULL;
    if (!file_read(name.data, MAX_SOURCES_BYTES, &text, &size, &ignored))
        return false;
    return strstr(text, "\nOrigin: Debian\n") != NULL;
}

/* NULL, or why a source of the right suite does not serve. */
static const char *not_served(const struct apt_selection *s, const struct apt_source *source)
{
    if (source->unsafe)
        return "its signatures are not checked";
    if (!source_has_word(source->components, "main"))
        return "it has no component main";
    if (source->architectures && !source_has_word(source->architectures, s->architecture))
        return "it is for another architecture";
    const char *uri = apt_uri_refused(source->uri);
    if (uri)
        return uri;
    bool debians =
        !source->key && (!source->signed_by || strcmp(source->signed_by, s->keyring) == 0);
    if (!debians && source->signed_by && strchr(source->signed_by, ' '))
        return "it names more than one keyring";
    if (!debians && source->signed_by && source->signed_by[0] != '/')
        return "it is signed by a key and not by a keyring";
    if (!debians && !origin_is_debian(s->lists, source))
        return "it is signed by another key than Debian's and its index is not Debian's";
    return NULL;
}

void apt_sources_select(struct arena *a, const struct apt_sources *all,
                        const struct apt_selection *s, struct apt_sources *out)
{
    const char *suites[] = {s->suite, arena_printf(a, "%s-updates", s->suite),
                            arena_printf(a, "%s-security", s->suite)};
    for (size_t k = 0; k < COUNT(suites); k++) {
        for (size_t i = 0; i < all->count; i++) {
            struct apt_source source = all->items[i];
            if (strcmp(source.suite, suites[k]) != 0)
                continue;
            const char *why = not_served(s, &source);
            if (why) {
                log_debug("%s:%u: %s is not used for the image: %s", source.place.file,
                          source.place.line, source.suite, why);
                continue;
            }
            if (!source.signed_by && !source.key)
                source.signed_by = s->keyring;
            bool known = false;
            for (size_t j = 0; j < out->count; j++)
                known = known || (strcmp(out->items[j].uri, source.uri) == 0 &&
                                  strcmp(out->items[j].suite, source.suite) == 0);
            if (!known)
                arena_append(a, out->items, out->count, source);
        }
        if (k == 0 && !out->count)
            return;
    }
}

char *apt_sources_deb822(struct arena *a, const struct apt_sources *s)
{
    autobuffer struct buffer b = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct apt_source *source = &s->items[i];
        buffer_printf(&b, "%sTypes: deb\nURIs: %s\nSuites: %s\nComponents: %s\n", i ? "\n" : "",
                      source->uri, source->suite, source->components);
        if (source->key)
            buffer_printf(&b, "Signed-By:%s\n", source->key);
        else if (source->signed_by)
            buffer_printf(&b, "Signed-By: %s\n", source->signed_by);
    }
    return arena_strdup(a, b.data ? b.data : "");
}
