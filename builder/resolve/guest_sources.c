#include "resolve/guest_sources.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define MIRROR_LIST_MAX 65536
#define KEY_BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----"

static const char *const schemes[] = {"http://", "https://"};
static const char mirror_file[] = "mirror+file:";
static const char *const off[] = {"no", "false", "off", "0", "without", "disable"};

/* The fields and options that are taken over: deb822's name and the one-line option's. */
enum field { URIS, SUITES, COMPONENTS, SIGNED_BY, ARCHITECTURES, TYPES, ENABLED, FIELDS };
static const struct {
    const char *field, *option;
} field_names[FIELDS] = {
    [URIS] = {"URIs", NULL},
    [SUITES] = {"Suites", NULL},
    [COMPONENTS] = {"Components", NULL},
    [SIGNED_BY] = {"Signed-By", "signed-by"},
    [ARCHITECTURES] = {"Architectures", "arch"},
    [TYPES] = {"Types", NULL},
    [ENABLED] = {"Enabled", NULL},
};

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

/* The words of a text joined by single spaces, in the arena. */
static const char *words(struct arena *a, const char *text)
{
    char *out = arena_alloc(a, strlen(text) + 1);
    size_t used = 0;
    for (const char *s = text; *s; s++) {
        if (!isspace((unsigned char)*s))
            out[used++] = *s;
        else if (used && out[used - 1] != ' ')
            out[used++] = ' ';
    }
    while (used && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    return out;
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
    char *list = arena_strdup(p->sources->arena, value);
    for (char *s = list; *s; s++)
        if (*s == ',')
            *s = ' ';
    *out = words(p->sources->arena, list);
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

static bool add(struct parser *p, const char *const values[FIELDS], struct error **err)
{
    struct arena *a = p->sources->arena;
    struct guest_source s = {.components = ""};
    if (!values[URIS] || !values[SUITES])
        return wrong(p, err, "a source without URIs or Suites", "");
    if (!usable_uris(p, words(a, values[URIS]), &s.uris, err))
        return false;
    if (!s.uris)
        return true;
    s.suites = words(a, values[SUITES]);
    if (values[COMPONENTS])
        s.components = words(a, values[COMPONENTS]);
    if (values[ARCHITECTURES]) {
        char *list = arena_strdup(a, values[ARCHITECTURES]);
        for (char *c = list; *c; c++)
            if (*c == ',')
                *c = ' ';
        s.architectures = words(a, list);
    }
    if (values[SIGNED_BY] && !check_signed_by(p, values[SIGNED_BY], &s.signed_by, err))
        return false;
    arena_append(a, p->sources->items, p->sources->count, s);
    return true;
}

/* --- the one-line format
 * --------------------------------------------------------------------------- */

/* Takes `[ name=value … ]` at *at; moves behind it. */
static bool take_options(struct parser *p, char **at, const char *values[FIELDS],
                         struct error **err)
{
    if (**at != '[')
        return true;
    char *end = strchr(*at, ']');
    if (!end)
        return wrong(p, err, "an option list is not closed:", *at);
    *end = '\0';
    char *save = NULL;
    for (char *o = strtok_r(*at + 1, " \t", &save); o; o = strtok_r(NULL, " \t", &save)) {
        char *equal = strchr(o, '=');
        if (!equal)
            return wrong(p, err, "an option without a value:", o);
        *equal = '\0';
        bool taken = false;
        for (size_t i = 0; i < FIELDS && !taken; i++)
            if (field_names[i].option && strcasecmp(field_names[i].option, o) == 0) {
                values[i] = equal + 1;
                taken = true;
            }
        if (!taken)
            log_debug("%s of the base, line %u: option %s is not taken over", p->name, p->line, o);
    }
    *at = end + 1 + strspn(end + 1, " \t");
    return true;
}

static bool parse_line(struct parser *p, char *line, struct error **err)
{
    line[strcspn(line, "#\r")] = '\0';
    char *at = line + strspn(line, " \t");
    size_t n = strcspn(at, " \t");
    if (!*at || (n == 7 && strncmp(at, "deb-src", 7) == 0))
        return true;
    if (n != 3 || strncmp(at, "deb", 3) != 0)
        return wrong(p, err, "neither deb nor deb-src:", at);
    at += n + strspn(at + n, " \t");
    const char *values[FIELDS] = {0};
    if (!take_options(p, &at, values, err))
        return false;
    char *save = NULL;
    values[URIS] = strtok_r(at, " \t", &save);
    values[SUITES] = values[URIS] ? strtok_r(NULL, " \t", &save) : NULL;
    values[COMPONENTS] = values[SUITES] ? save : NULL;
    return add(p, values, err);
}

/* --- deb822
 * -------------------------------------------------------------------------------------------- */

static bool has_word(const char *list, const char *word)
{
    autofree char *copy = strdup(list);
    char *save = NULL;
    for (char *w = strtok_r(copy, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save))
        if (strcmp(w, word) == 0)
            return true;
    return false;
}

static bool is_off(const char *value)
{
    value += strspn(value, " \t\n");
    for (size_t i = 0; i < COUNT(off); i++)
        if (strncasecmp(value, off[i], strlen(off[i])) == 0)
            return true;
    return false;
}

static bool end_stanza(struct parser *p, const char *values[FIELDS], bool *any, struct error **err)
{
    bool wanted = *any && values[TYPES] && has_word(values[TYPES], "deb") &&
                  !(values[ENABLED] && is_off(values[ENABLED]));
    if (*any && !values[TYPES])
        return wrong(p, err, "a source without Types", "");
    if (wanted && !add(p, (const char *const *)values, err))
        return false;
    memset(values, 0, FIELDS * sizeof *values);
    *any = false;
    return true;
}

/* One field, continuation lines already joined by newlines. */
static bool take_field(struct parser *p, char *text, const char *values[FIELDS], struct error **err)
{
    char *colon = strchr(text, ':');
    if (!colon)
        return wrong(p, err, "no field:", text);
    *colon = '\0';
    for (size_t i = 0; i < FIELDS; i++)
        if (strcasecmp(field_names[i].field, text) == 0) {
            values[i] = colon + 1;
            return true;
        }
    log_debug("%s of the base, line %u: field %s is not taken over", p->name, p->line, text);
    return true;
}

static bool parse_deb822(struct parser *p, char *text, struct error **err)
{
    const char *values[FIELDS] = {0};
    bool any = false;
    char *next = text;
    while (next) {
        char *line = next;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        p->line++;
        line[strcspn(line, "\r")] = '\0';
        if (*line == '#')
            continue;
        if (line[strspn(line, " \t")] == '\0') {
            if (!end_stanza(p, values, &any, err))
                return false;
            continue;
        }
        if (*line == ' ' || *line == '\t')
            return wrong(p, err, "a continuation of nothing:", line);
        /* Join continuation lines by giving back the newline that cut them off. */
        while (next && (*next == ' ' || *next == '\t' || *next == '#')) {
            char *end = strchr(next, '\n');
            size_t n = end ? (size_t)(end - next) : strlen(next);
            if (*next == '#') {
                memset(next, ' ', n);
                continue;
            }
            next[-1] = '\n';
            for (char *c = line; c < next; c++)
                if (*c == '\0')
                    *c = ' ';
            p->line++;
            next = end ? end + 1 : NULL;
            if (end)
                *end = '\0';
        }
        any = true;
        if (!take_field(p, line, values, err))
            return false;
    }
    return end_stanza(p, values, &any, err);
}

bool guest_sources_parse(struct guest_sources *s, const char *name, const char *text, bool deb822,
                         const char *root, struct error **err)
{
    struct parser p = {.sources = s, .name = name, .root = root};
    char *copy = arena_strdup(s->arena, text);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' && !strchr("\t\n\r", *c))
            return error_set(err, ERROR_INPUT, "%s of the base has control characters", name);
    if (deb822)
        return parse_deb822(&p, copy, err);
    char *next = copy;
    while (next) {
        char *line = next;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        p.line++;
        if (!parse_line(&p, line, err))
            return false;
    }
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
