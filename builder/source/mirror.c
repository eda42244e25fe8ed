#include "source/mirror.h"
#include "source/url.h"

#include "base/buffer.h"
#include "base/digest.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

static const char by_digest[] = "sha256:";

/* --- the text -----------------------------------------------------------------------------------
 */

static bool is_replacement(const char *s)
{
    if (*s == '!')
        s++;
    return *s == '/' || url_is_http(s) || strncasecmp(s, "file:", strlen("file:")) == 0;
}

/* The `=` between prefix and replacement: a URL may hold others. */
static char *find_equals(char *item)
{
    for (char *p = strchr(item, '='); p; p = strchr(p + 1, '='))
        if (is_replacement(p + 1))
            return p;
    return NULL;
}

static bool has_host(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    return strcspn(authority, "/?#") > 0;
}

static bool parse_item(struct arena *a, char *item, const char *origin, struct mirror *m,
                       struct error **err)
{
    autofree char *path = NULL;
    char *equals = find_equals(item);
    if (!equals) {
        autofree char *shown = url_redact(item);
        bool user = strchr(item, '@') != NULL; /* and maybe a password, where no URL begins */
        size_t n = user ? strcspn(shown, "=") : strlen(shown);
        return error_set(err, ERROR_USAGE,
                         "%s: '%.*s%s' is not PREFIX=REPLACEMENT, where REPLACEMENT is a http, "
                         "https or file URL or an absolute path",
                         origin, (int)n, shown, shown[n] ? "=…" : "");
    }
    *equals = '\0';
    m->prefix = arena_strdup(a, item);
    m->only = equals[1] == '!';
    m->replacement = arena_strdup(a, equals + 1 + m->only);
    autofree char *prefix = url_redact(m->prefix), *replacement = url_redact(m->replacement);
    if (strcmp(m->prefix, by_digest) != 0 && !(url_is_http(m->prefix) && has_host(m->prefix)))
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' is no prefix of http and https URLs (https://host/…), and not "
                         "sha256:",
                         origin, prefix);
    if (strpbrk(m->prefix, "?#") || (url_is_http(m->replacement) && strpbrk(m->replacement, "?#")))
        return error_set(err, ERROR_USAGE,
                         "%s: '%s=%s': neither may have a query or a fragment: the rest of the "
                         "URL is put behind them",
                         origin, prefix, replacement);
    if (url_is_http(m->replacement) ? !has_host(m->replacement)
                                    : !url_local_path(m->replacement, &path, NULL))
        return error_set(err, ERROR_USAGE, "%s: '%s' cannot replace anything: no such URL", origin,
                         replacement);
    return true;
}

bool mirrors_parse(struct arena *a, const char *text, const char *origin, struct mirrors *m,
                   struct error **err)
{
    autofree char *copy = strdup(text);
    if (!copy)
        abort();
    struct mirror *items = NULL;
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++)
        arena_append(a, items, count, m->items[i]);
    char *rest = NULL;
    for (char *item = strtok_r(copy, " \t\r\n", &rest); item;
         item = strtok_r(NULL, " \t\r\n", &rest)) {
        struct mirror new = {0};
        if (!parse_item(a, item, origin, &new, err))
            return false;
        arena_append(a, items, count, new);
    }
    *m = (struct mirrors){items, count};
    return true;
}

/* --- the rewriting ------------------------------------------------------------------------------
 */

/* What follows the prefix in a URL, or NULL. Scheme and host are compared without case. */
static const char *rest_of(const char *url, const char *prefix)
{
    const char *authority = strstr(prefix, "://");
    if (!authority)
        return NULL;
    size_t n = strlen(prefix);
    size_t head = (size_t)(authority + 3 - prefix) + strcspn(authority + 3, "/");
    if (strlen(url) < n || strncasecmp(url, prefix, head) != 0 ||
        memcmp(url + head, prefix + head, n - head) != 0)
        return NULL;
    const char *rest = url + n;
    return prefix[n - 1] == '/' || !*rest || strchr("/?#", *rest) ? rest : NULL;
}

/* One slash between the two. A file has no query, and its URL is percent-encoded like the rest. */
static char *join(struct arena *a, const char *replacement, const char *rest)
{
    autobuffer struct buffer b = {0};
    bool remote = url_is_http(replacement);
    size_t size = remote ? strlen(rest) : strcspn(rest, "?#");
    if (*replacement == '/') {
        buffer_puts(&b, "file://");
        for (const char *p = replacement; *p; p++)
            buffer_puts(&b, *p == '%' ? "%25" : (char[]){*p, '\0'});
    } else {
        buffer_puts(&b, replacement);
    }
    bool slash = b.data[b.size - 1] == '/';
    if (size && slash && *rest == '/')
        rest++, size--;
    else if (size && !slash && !strchr("/?#", *rest))
        buffer_puts(&b, "/");
    buffer_add(&b, rest, size);
    return arena_strdup(a, b.data);
}

static void add(struct arena *a, const char ***list, size_t *count, const char *url)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp((*list)[i], url) == 0)
            return;
    arena_append(a, *list, *count, url);
}

/* The mirror to try next: the longest prefix behind `last` in the order (length, then place). */
static const struct mirror *next_mirror(const struct mirrors *m, const struct mirror *last)
{
    const struct mirror *best = NULL;
    for (size_t k = 0; k < m->count; k++) {
        const struct mirror *i = &m->items[k];
        size_t n = strlen(i->prefix), previous = last ? strlen(last->prefix) : SIZE_MAX;
        bool behind = n < previous || (n == previous && i > last);
        if (behind && (!best || n > strlen(best->prefix)))
            best = i;
    }
    return best;
}

const char *const *mirrors_candidates(struct arena *a, const struct mirrors *m, const char *url,
                                      const char *sha256)
{
    const char **list = NULL, *const end = NULL;
    size_t count = 0;
    bool only = false;
    bool digest = sha256 && digest_is_valid(DIGEST_SHA256, sha256);
    bool here = url[0] == '/';
    if (here) /* a file of this host is looked at before anybody is asked for it */
        add(a, &list, &count, url);
    for (const struct mirror *i = NULL; !only && (i = next_mirror(m, i)) != NULL;) {
        bool named = strcmp(i->prefix, by_digest) == 0;
        const char *rest = named ? (digest ? sha256 : NULL) : rest_of(url, i->prefix);
        if (!rest)
            continue;
        add(a, &list, &count, join(a, i->replacement, rest));
        only = i->only;
    }
    if (!only && !here)
        add(a, &list, &count, url);
    arena_append(a, list, count, end);
    return list;
}
