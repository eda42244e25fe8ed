#include "updates/internal.h"

#include "source/url.h"
#include "updates/version.h"

#include <stdarg.h>
#include <string.h>

bool answer_wrong(struct error **err, const char *url, const char *fmt, ...)
{
    autofree char *message = NULL, *shown = url_redact(url);
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    return error_set(err, ERROR_INPUT, "%s: %s", shown, message);
}

bool answer_text(const struct update_service *s, const char *url, size_t max_bytes, char **text,
                 struct error **err)
{
    autofree char *got = NULL;
    size_t size = 0;
    if (!s->get(s->data, url, max_bytes, &got, &size, err))
        return false;
    if (size > max_bytes)
        return answer_wrong(err, url, "answers with more than %zu bytes", max_bytes);
    if (size && memchr(got, '\0', size))
        return answer_wrong(err, url, "answers with binary data");
    *text = malloc(size + 1);
    if (!*text)
        abort();
    if (size)
        memcpy(*text, got, size);
    (*text)[size] = '\0';
    return true;
}

bool answer_json(const struct update_service *s, const char *url, size_t max_bytes, json_t **out,
                 struct error **err)
{
    autofree char *text = NULL, *shown = url_redact(url);
    if (!answer_text(s, url, max_bytes, &text, err))
        return false;
    const char *first = text + strspn(text, " \t\r\n");
    if (!*first)
        return answer_wrong(err, url, "answers with nothing");
    if (*first == '<')
        return answer_wrong(err, url,
                            "answers with a web page where JSON is expected: a proxy or a login "
                            "page may stand between, or the URL is not the right one");
    return json_parse(text, strlen(text), shown, out, err);
}

bool answer_version(const json_t *j, const char *key, const char *url, const char **out,
                    struct error **err)
{
    const char *s = json_string_value(json_object_get(j, key));
    if (!s)
        return answer_wrong(err, url, "'%s' is missing or no text", key);
    if (!version_is_valid(s))
        return answer_wrong(err, url, "'%s' is no version", key);
    *out = s;
    return true;
}

bool answer_is_plain(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n >= 1024 || s[n] <= ' ' || s[n] > '~')
            return false;
    return n > 0;
}

const char *answer_url(struct arena *a, const json_t *j, const char *key)
{
    const char *s = json_string_or(j, key, "");
    if (!url_is_http(s) || !answer_is_plain(s))
        return NULL;
    autofree char *shown = url_redact(s);
    return arena_strdup(a, shown);
}

void update_note(struct arena *a, struct update *out, const char *fmt, ...)
{
    autofree char *message = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    out->note =
        out->note ? arena_printf(a, "%s; %s", out->note, message) : arena_strdup(a, message);
}

bool update_note_support(struct arena *a, const struct update_request *r, const json_t *eol,
                         const char *url, struct update *out, struct error **err)
{
    if (!eol || json_is_null(eol))
        return true;
    const char *date = json_string_value(eol);
    if (!date || !version_is_date(date))
        return answer_wrong(err, url, "the end of support is no date");
    if (r->today && strcmp(date, r->today) <= 0)
        update_note(a, out, "end of life since %s", date);
    else
        update_note(a, out, "supported until %s", date);
    return true;
}

void update_compare(struct arena *a, struct update *out, const char *whose)
{
    if (!out->current || !out->available)
        return;
    int c = version_compare(out->available, out->current);
    out->newer = c > 0;
    if (c < 0)
        update_note(a, out, "ahead of %s", whose);
}
