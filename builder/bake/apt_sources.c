#include "bake/apt_sources.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { MAX_SOURCES_BYTES = 1 << 20 };

static bool is_yes(const char *s)
{
    static const char *const words[] = {"yes", "true", "with", "on", "enable", "1"};
    for (size_t i = 0; s && i < COUNT(words); i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool is_no(const char *s)
{
    static const char *const words[] = {"no", "false", "without", "off", "disable", "0"};
    for (size_t i = 0; s && i < COUNT(words); i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

/* True if `word` is among the space-separated words. */
static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; p && *p; p += strspn(p, " ")) {
        size_t length = strcspn(p, " ");
        if (length == n && memcmp(p, word, n) == 0)
            return true;
        p += length;
    }
    return false;
}

/* Words separated by white space or `also` become words separated by one space. */
static char *normal_words(struct arena *a, const char *s, const char *also)
{
    autobuffer struct buffer b = {0};
    autofree char *separators = NULL;
    if (asprintf(&separators, " \t\n\r%s", also) < 0)
        abort();
    for (s += strspn(s, separators); *s; s += strspn(s, separators)) {
        size_t n = strcspn(s, separators);
        if (b.size)
            buffer_puts(&b, " ");
        buffer_add(&b, s, n);
        s += n;
    }
    return arena_strdup(a, b.data ? b.data : "");
}

static const char *next_word(struct arena *a, const char **s)
{
    *s += strspn(*s, " \t");
    size_t n = strcspn(*s, " \t");
    if (!n)
        return NULL;
    const char *word = arena_strndup(a, *s, n);
    *s += n;
    return word;
}

static bool text_is_clean(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < ' ' && *p != '\n' && *p != '\t' && *p != '\r') || *p == 0x7f)
            return false;
    return true;
}

/* One option of a one-line source, NAME=VALUE; `+=` and `-=` change defaults, of which there are
 * none that matter here. */
static void line_option(struct arena *a, struct apt_source *s, char *option)
{
    char *value = strchr(option, '=');
    if (!value)
        return;
    *value++ = '\0';
    size_t n = strlen(option);
    if (n && (option[n - 1] == '+' || option[n - 1] == '-'))
        return;
    if (strcasecmp(option, "arch") == 0)
        s->architectures = normal_words(a, value, ",");
    else if (strcasecmp(option, "signed-by") == 0)
        s->signed_by = normal_words(a, value, ",");
    else if (strcasecmp(option, "trusted") == 0 || strcasecmp(option, "allow-insecure") == 0 ||
             strcasecmp(option, "allow-weak") == 0)
        s->unsafe = s->unsafe || is_yes(value);
}

static bool parse_line(struct arena *a, const char *line, struct place place,
                       struct apt_sources *out, struct error **err)
{
    const char *p = line, *type = next_word(a, &p);
    if (!type)
        return true;
    if (strcmp(type, "deb-src") == 0)
        return true;
    if (strcmp(type, "deb") != 0)
        return error_set_at(err, ERROR_HOST, place, "\"%s\" is no type of apt source", type);
    struct apt_source s = {.place = place};
    p += strspn(p, " \t");
    if (*p == '[') {
        const char *end = strchr(p, ']');
        if (!end)
            return error_set_at(err, ERROR_HOST, place, "the options have no closing bracket");
        char *options = arena_strndup(a, p + 1, (size_t)(end - p) - 1), *save = NULL;
        for (char *o = strtok_r(options, " \t", &save); o; o = strtok_r(NULL, " \t", &save))
            line_option(a, &s, o);
        p = end + 1;
    }
    s.uri = next_word(a, &p);
    s.suite = next_word(a, &p);
    s.components = normal_words(a, p, "");
    if (!s.uri || !s.suite)
        return error_set_at(err, ERROR_HOST, place, "an apt source needs a URI and a suite");
    if (!*s.components && !text_ends_with(s.suite, "/"))
        return error_set_at(err, ERROR_HOST, place, "the apt source names no component");
    arena_append(a, out->items, out->count, s);
    return true;
}

bool apt_sources_parse_lines(struct arena *a, const char *text, const char *file,
                             struct apt_sources *out, struct error **err)
{
    if (!text_is_clean(text))
        return error_set(err, ERROR_HOST, "%s: control characters in an apt source", file);
    struct place place = {.file = arena_strdup(a, file), .column = 1};
    while (*text) {
        place.line++;
        size_t n = strcspn(text, "\n");
        char *line = arena_strndup(a, text, n);
        line[strcspn(line, "#\r")] = '\0';
        if (!parse_line(a, line, place, out, err))
            return false;
        text += n + (text[n] == '\n');
    }
    return true;
}

/* The fields of a stanza that count. */
enum field {
    F_TYPES,
    F_URIS,
    F_SUITES,
    F_COMPONENTS,
    F_SIGNED_BY,
    F_ARCHITECTURES,
    F_ENABLED,
    F_TRUSTED,
    F_ALLOW_INSECURE,
    F_ALLOW_WEAK,
    FIELDS
};
static const char *const field_names[FIELDS] = {
    "Types",         "URIs",    "Suites",  "Components",     "Signed-By",
    "Architectures", "Enabled", "Trusted", "Allow-Insecure", "Allow-Weak",
};

struct stanza {
    struct place place;
    bool any;
    struct buffer fields[FIELDS];
    bool given[FIELDS];
    int last; /* field that a continuation line belongs to; -1: one that does not count */
};

static const char *value_of(const struct stanza *s, enum field f)
{
    return s->given[f] ? s->fields[f].data ? s->fields[f].data : "" : NULL;
}

static void stanza_reset(struct stanza *s)
{
    for (size_t i = 0; i < FIELDS; i++)
        buffer_free(&s->fields[i]);
    *s = (struct stanza){.last = -1};
}

/* A stanza stands for each of its URIs with each of its suites. */
static bool end_stanza(struct arena *a, struct stanza *s, struct apt_sources *out,
                       struct error **err)
{
    if (!s->any)
        return true;
    static const enum field needed[] = {F_TYPES, F_URIS, F_SUITES};
    for (size_t i = 0; i < COUNT(needed); i++)
        if (!value_of(s, needed[i]) || !*normal_words(a, value_of(s, needed[i]), ""))
            return error_set_at(err, ERROR_HOST, s->place, "the apt source has no %s",
                                field_names[needed[i]]);
    const char *enabled = value_of(s, F_ENABLED);
    const char *types = normal_words(a, value_of(s, F_TYPES), "");
    if ((enabled && is_no(normal_words(a, enabled, ""))) || !has_word(types, "deb"))
        return true;
    struct apt_source source = {.place = s->place};
    const char *components = value_of(s, F_COMPONENTS), *by = value_of(s, F_SIGNED_BY);
    source.components = normal_words(a, components ? components : "", "");
    if (value_of(s, F_ARCHITECTURES))
        source.architectures = normal_words(a, value_of(s, F_ARCHITECTURES), ",");
    if (by && strstr(by, "-----BEGIN PGP PUBLIC KEY BLOCK-----"))
        source.key = arena_strdup(a, by);
    else if (by)
        source.signed_by = normal_words(a, by, ",");
    for (enum field f = F_TRUSTED; f <= F_ALLOW_WEAK; f++)
        if (value_of(s, f) && is_yes(normal_words(a, value_of(s, f), "")))
            source.unsafe = true;
    const char *uris = normal_words(a, value_of(s, F_URIS), "");
    const char *suites = normal_words(a, value_of(s, F_SUITES), "");
    while ((source.uri = next_word(a, &uris)))
        for (const char *rest = suites; (source.suite = next_word(a, &rest));)
            arena_append(a, out->items, out->count, source);
    return true;
}

static bool add_field(struct stanza *s, char *line, struct place place, struct error **err)
{
    if (*line == ' ' || *line == '\t') {
        if (!s->any)
            return error_set_at(err, ERROR_HOST, place, "a continuation line without a field");
        if (s->last >= 0)
            buffer_printf(&s->fields[s->last], "\n%s", line);
        return true;
    }
    char *value = strchr(line, ':');
    if (!value || value == line)
        return error_set_at(err, ERROR_HOST, place, "neither a field nor a comment");
    *value++ = '\0';
    if (!s->any)
        s->place = place;
    s->any = true;
    s->last = -1;
    for (int i = 0; i < FIELDS; i++) {
        if (strcasecmp(line, field_names[i]) != 0)
            continue;
        if (s->given[i])
            return error_set_at(err, ERROR_HOST, place, "%s stands twice in one source",
                                field_names[i]);
        s->given[i] = true;
        s->last = i;
        buffer_puts(&s->fields[i], value);
    }
    return true;
}

bool apt_sources_parse_deb822(struct arena *a, const char *text, const char *file,
                              struct apt_sources *out, struct error **err)
{
    if (!text_is_clean(text))
        return error_set(err, ERROR_HOST, "%s: control characters in an apt source", file);
    struct place place = {.file = arena_strdup(a, file), .column = 1};
    cleanup(stanza_reset) struct stanza s = {.last = -1};
    while (*text) {
        place.line++;
        size_t n = strcspn(text, "\n");
        autofree char *line = strndup(text, n);
        if (!line)
            abort();
        text += n + (text[n] == '\n');
        for (size_t end = strlen(line); end && strchr(" \t\r", line[end - 1]);)
            line[--end] = '\0';
        if (*line == '#')
            continue;
        if (!*line) {
            if (!end_stanza(a, &s, out, err))
                return false;
            stanza_reset(&s);
        } else if (!add_field(&s, line, place, err)) {
            return false;
        }
    }
    return end_stanza(a, &s, out, err);
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
    return text_ends_with(path, ".sources") ? apt_sources_parse_deb822(a, text, path, out, err)
                                            : apt_sources_parse_lines(a, text, path, out, err);
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
    if (!has_word(source->components, "main"))
        return "it has no component main";
    if (source->architectures && !has_word(source->architectures, s->architecture))
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
