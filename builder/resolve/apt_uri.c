#include "base/text.h"
#include "resolve/apt.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool bad_line(const char *line, struct error **err)
{
    return error_set(err, ERROR_INPUT, "apt-get says what is not understood: '%.200s'", line);
}

/* NAME_VERSION_ARCH.deb, as apt names the files that it keeps: `:` of an epoch is %3a. */
static bool split_filename(struct arena *a, const char *filename, struct package *p)
{
    const char *version = strchr(filename, '_'), *arch = strrchr(filename, '_');
    if (!version || arch == version || !text_ends_with(filename, ".deb"))
        return false;
    for (const char *c = filename; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("+-.~_%", *c))
            return false;
    p->filename = filename;
    p->name = arena_strndup(a, filename, (size_t)(version - filename));
    char *v = arena_strndup(a, version + 1, (size_t)(arch - version) - 1);
    char *colon = strstr(v, "%3a");
    if (colon) {
        *colon = ':';
        memmove(colon + 1, colon + 3, strlen(colon + 3) + 1);
    }
    p->version = v;
    p->architecture = arena_strndup(a, arch + 1, strlen(arch + 1) - 4);
    return *p->name && isalnum((unsigned char)*p->name) && *p->version && *p->architecture;
}

bool apt_parse_uri(struct arena *a, const char *line, struct package *out, struct error **err)
{
    static const char *const schemes[] = {"http://", "https://", "file:/"};
    *out = (struct package){.digest_kind = DIGEST_SHA256};
    const char *end = *line == '\'' ? strchr(line + 1, '\'') : NULL;
    if (!end || end[1] != ' ')
        return bad_line(line, err);
    out->url = arena_strndup(a, line + 1, (size_t)(end - line) - 1);
    bool known = false;
    for (size_t i = 0; i < COUNT(schemes); i++)
        known |= text_starts_with(out->url, schemes[i]);
    char *save = NULL, *rest = arena_strdup(a, end + 2);
    const char *filename = strtok_r(rest, " ", &save);
    const char *size = strtok_r(NULL, " ", &save), *hash = strtok_r(NULL, " ", &save);
    if (!known || !filename || !size || !split_filename(a, filename, out))
        return bad_line(line, err);
    char *digits = NULL;
    errno = 0;
    out->size = strtoull(size, &digits, 10);
    if (errno || *digits || !isdigit((unsigned char)*size))
        return bad_line(line, err);
    if (!hash || !text_starts_with(hash, "SHA256:") || !digest_is_valid(DIGEST_SHA256, hash + 7))
        return error_set(err, ERROR_TRUST, "there is no SHA-256 of the package %s in its index",
                         out->name);
    out->digest = hash + 7;
    return true;
}
