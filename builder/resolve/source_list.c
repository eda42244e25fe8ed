#include "resolve/source_list.h"

#include "base/buffer.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *field, *option; /* deb822's name, and the one of an option of a line */
} names[SOURCE_FIELDS] = {
    [SOURCE_TYPES] = {"Types", NULL},
    [SOURCE_URIS] = {"URIs", NULL},
    [SOURCE_SUITES] = {"Suites", NULL},
    [SOURCE_COMPONENTS] = {"Components", NULL},
    [SOURCE_SIGNED_BY] = {"Signed-By", "signed-by"},
    [SOURCE_ARCHITECTURES] = {"Architectures", "arch"},
    [SOURCE_ENABLED] = {"Enabled", NULL},
    [SOURCE_TRUSTED] = {"Trusted", "trusted"},
    [SOURCE_ALLOW_INSECURE] = {"Allow-Insecure", "allow-insecure"},
    [SOURCE_ALLOW_WEAK] = {"Allow-Weak", "allow-weak"},
};

struct reader {
    struct arena *arena;
    const struct source_text *source;
    struct place place;
    struct source_entry **entries;
    size_t *count;
};

/* --- words --------------------------------------------------------------------------------------
 */

static bool is_one_of(const char *value, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

bool source_is_yes(const char *value)
{
    static const char *const words[] = {"yes", "true", "with", "on", "enable", "1"};
    return is_one_of(value, words, COUNT(words));
}

static bool is_no(const char *value)
{
    static const char *const words[] = {"no", "false", "without", "off", "disable", "0"};
    return is_one_of(value, words, COUNT(words));
}

char *source_words(struct arena *a, const char *value, const char *also)
{
    autobuffer struct buffer b = {0};
    autofree char *separators = NULL;
    if (asprintf(&separators, " \t\n\r%s", also) < 0)
        abort();
    for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
        size_t n = strcspn(value, separators);
        if (b.size)
            buffer_puts(&b, " ");
        buffer_add(&b, value, n);
        value += n;
    }
    return arena_strdup(a, b.data ? b.data : "");
}

bool source_has_word(const char *words, const char *word)
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

const char *source_next_word(struct arena *a, const char **words)
{
    *words += strspn(*words, " \t");
    size_t n = strcspn(*words, " \t");
    if (!n)
        return NULL;
    const char *word = arena_strndup(a, *words, n);
    *words += n;
    return word;
}

/* --- lines --------------------------------------------------------------------------------------
 */

static bool wrong(const struct reader *r, struct error **err, const char *what)
{
    return error_set_at(err, r->source->kind, r->place, "%s", what);
}

/* `[ name=value … ]` at *at. `+=` and `-=` change defaults, of which there are none that matter. */
static bool take_options(struct reader *r, const char **at, struct source_entry *e,
                         struct error **err)
{
    *at += strspn(*at, " \t");
    if (**at != '[')
        return true;
    const char *end = strchr(*at, ']');
    if (!end)
        return wrong(r, err, "the options have no closing bracket");
    char *options = arena_strndup(r->arena, *at + 1, (size_t)(end - *at) - 1), *save = NULL;
    for (char *o = strtok_r(options, " \t", &save); o; o = strtok_r(NULL, " \t", &save)) {
        char *value = strchr(o, '=');
        if (!value)
            return error_set_at(err, r->source->kind, r->place, "an option without a value: %s", o);
        *value++ = '\0';
        for (size_t i = 0; i < SOURCE_FIELDS; i++)
            if (names[i].option && strcasecmp(o, names[i].option) == 0)
                e->values[i] = value;
    }
    *at = end + 1;
    return true;
}

static bool read_line(struct reader *r, const char *line, struct error **err)
{
    struct source_entry e = {.place = r->place};
    const char *type = source_next_word(r->arena, &line);
    if (!type || strcmp(type, "deb-src") == 0)
        return true;
    if (strcmp(type, "deb") != 0)
        return error_set_at(err, r->source->kind, r->place, "\"%s\" is no type of apt source",
                            type);
    if (!take_options(r, &line, &e, err))
        return false;
    e.values[SOURCE_TYPES] = type;
    e.values[SOURCE_URIS] = source_next_word(r->arena, &line);
    e.values[SOURCE_SUITES] = source_next_word(r->arena, &line);
    e.values[SOURCE_COMPONENTS] = source_words(r->arena, line, "");
    if (!e.values[SOURCE_URIS] || !e.values[SOURCE_SUITES])
        return wrong(r, err, "an apt source needs a URI and a suite");
    if (!*e.values[SOURCE_COMPONENTS] && !text_ends_with(e.values[SOURCE_SUITES], "/"))
        return wrong(r, err, "the apt source names no component");
    arena_append(r->arena, *r->entries, *r->count, e);
    return true;
}

/* --- stanzas ------------------------------------------------------------------------------------
 */

struct stanza {
    struct place place;
    bool any;
    struct buffer fields[SOURCE_FIELDS];
    bool given[SOURCE_FIELDS];
    int last; /* field that a continuation line belongs to; -1: one that does not matter */
};

static void stanza_reset(struct stanza *s)
{
    for (size_t i = 0; i < SOURCE_FIELDS; i++)
        buffer_free(&s->fields[i]);
    *s = (struct stanza){.last = -1};
}

static bool need(struct reader *r, const struct source_entry *e, enum source_field f,
                 struct error **err)
{
    return (e->values[f] && *source_words(r->arena, e->values[f], "")) ||
           error_set_at(err, r->source->kind, e->place, "the apt source has no %s", names[f].field);
}

static bool end_stanza(struct reader *r, struct stanza *s, struct error **err)
{
    struct source_entry e = {.place = s->place};
    if (!s->any)
        return true;
    for (size_t i = 0; i < SOURCE_FIELDS; i++)
        if (s->given[i])
            e.values[i] = arena_strdup(r->arena, s->fields[i].data ? s->fields[i].data : "");
    stanza_reset(s);
    if (!need(r, &e, SOURCE_TYPES, err))
        return false;
    const char *enabled = e.values[SOURCE_ENABLED];
    if ((enabled && is_no(source_words(r->arena, enabled, ""))) ||
        !source_has_word(source_words(r->arena, e.values[SOURCE_TYPES], ""), "deb"))
        return true;
    if (!need(r, &e, SOURCE_URIS, err) || !need(r, &e, SOURCE_SUITES, err))
        return false;
    arena_append(r->arena, *r->entries, *r->count, e);
    return true;
}

static bool add_field(struct reader *r, struct stanza *s, char *line, struct error **err)
{
    if (*line == ' ' || *line == '\t') {
        if (!s->any)
            return wrong(r, err, "a continuation line without a field");
        if (s->last >= 0)
            buffer_printf(&s->fields[s->last], "\n%s", line);
        return true;
    }
    char *value = strchr(line, ':');
    if (!value || value == line)
        return wrong(r, err, "neither a field nor a comment");
    *value++ = '\0';
    if (!s->any)
        s->place = r->place;
    s->any = true;
    s->last = -1;
    for (int i = 0; i < SOURCE_FIELDS; i++) {
        if (strcasecmp(line, names[i].field) != 0)
            continue;
        if (s->given[i])
            return error_set_at(err, r->source->kind, r->place, "%s stands twice in one source",
                                names[i].field);
        s->given[i] = true;
        s->last = i;
        buffer_puts(&s->fields[i], value);
    }
    return true;
}

static bool read_stanza_line(struct reader *r, struct stanza *s, char *line, struct error **err)
{
    if (*line == '#')
        return true;
    for (size_t end = strlen(line); end && strchr(" \t\r", line[end - 1]);)
        line[--end] = '\0';
    return *line ? add_field(r, s, line, err) : end_stanza(r, s, err);
}

/* --- both ---------------------------------------------------------------------------------------
 */

static bool is_clean(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < ' ' && *p != '\n' && *p != '\t' && *p != '\r') || *p == 0x7f)
            return false;
    return true;
}

bool source_list_read(struct arena *a, const struct source_text *t, struct source_entry **entries,
                      size_t *count, struct error **err)
{
    struct reader r = {.arena = a,
                       .source = t,
                       .place = {.file = arena_strdup(a, t->name), .column = 1},
                       .entries = entries,
                       .count = count};
    cleanup(stanza_reset) struct stanza s = {.last = -1};
    if (!is_clean(t->text))
        return error_set(err, t->kind, "%s: control characters in an apt source", t->name);
    for (const char *text = t->text; *text; text += *text == '\n') {
        size_t n = strcspn(text, "\n");
        autofree char *line = strndup(text, n);
        if (!line)
            abort();
        r.place.line++;
        text += n;
        if (!t->deb822)
            line[strcspn(line, "#\r")] = '\0';
        if (!(t->deb822 ? read_stanza_line(&r, &s, line, err) : read_line(&r, line, err)))
            return false;
    }
    return end_stanza(&r, &s, err);
}
