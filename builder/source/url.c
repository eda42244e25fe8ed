#include "source/url.h"

#include "base/buffer.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool has_scheme(const char *url, const char *scheme)
{
    return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

bool url_is_http(const char *url)
{
    return has_scheme(url, "https://") || has_scheme(url, "http://");
}

/* The user part: a name stays where a password follows it; one alone may be a token. */
static const char *redact_user(struct buffer *b, const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority)
        return url;
    authority += 3;
    size_t n = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', n);
    if (!at)
        return url;
    const char *colon = memchr(authority, ':', (size_t)(at - authority));
    buffer_add(b, url, (size_t)((colon ? colon + 1 : authority) - url));
    buffer_puts(b, "***");
    return at;
}

char *url_redact(const char *url)
{
    struct buffer b = {0};
    bool plain = *url == '/'; /* a path */
    const char *rest = plain ? url : redact_user(&b, url);
    const char *query = plain ? NULL : strchr(rest, '?');
    if (!query) {
        buffer_puts(&b, rest);
        return buffer_take(&b);
    }
    buffer_add(&b, rest, (size_t)(query - rest));
    for (const char *p = query; *p && *p != '#';) { /* ?name=value&name=value */
        size_t name = 1 + strcspn(p + 1, "=&#");
        buffer_add(&b, p, name);
        p += name;
        if (*p == '=') {
            buffer_puts(&b, "=***");
            p += strcspn(p, "&#");
        }
    }
    return buffer_take(&b);
}

static int hex_value(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* NULL for a % that is not followed by two digits, and for control characters. */
static char *decode(const char *s, size_t n)
{
    struct buffer b = {0};
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_value(s[i + 1]) : -1;
            int low = i + 2 < n ? hex_value(s[i + 2]) : -1;
            if (high < 0 || low < 0) {
                buffer_free(&b);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (iscntrl((unsigned char)c)) {
            buffer_free(&b);
            return NULL;
        }
        buffer_add(&b, &c, 1);
    }
    return buffer_take(&b);
}

char *url_basename(const char *url)
{
    bool plain = *url == '/';
    if (!plain) {
        const char *authority = strstr(url, "://");
        url = authority ? strpbrk(authority + 3, "/?#") : url;
        if (!url)
            return NULL;
    }
    size_t n = plain ? strlen(url) : strcspn(url, "?#");
    const char *slash = memrchr(url, '/', n);
    const char *name = slash ? slash + 1 : url;
    n -= (size_t)(name - url);
    char *decoded = plain ? strndup(name, n) : decode(name, n);
    if (decoded && (!*decoded || strchr(decoded, '/') || strcmp(decoded, "..") == 0)) {
        free(decoded);
        return NULL;
    }
    return decoded;
}

bool url_local_path(const char *url, char **path, struct error **err)
{
    if (*url == '/') {
        *path = strdup(url);
        if (!*path)
            abort();
        return true;
    }
    if (has_scheme(url, "file:")) {
        const char *rest = url + strlen("file:");
        static const char *const prefixes[] = {"//localhost/", "///"};
        for (size_t i = 0; i < COUNT(prefixes); i++)
            if (text_starts_with(rest, prefixes[i]))
                rest += strlen(prefixes[i]) - 1;
        *path = *rest == '/' && rest[1] != '/' ? decode(rest, strlen(rest)) : NULL;
        if (*path)
            return true;
    }
    autofree char *shown = url_redact(url);
    return error_set(
        err, ERROR_INPUT,
        "%s: is not something to fetch: an http, https or file URL, or an absolute path", shown);
}
