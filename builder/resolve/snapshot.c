#include "resolve/snapshot.h"

#include "base/text.h"
#include "resolve/deb822.h"

#include <ctype.h>
#include <string.h>

#define PLACEHOLDER "@SNAPSHOTID@"

/* The table of apt (Acquire::Snapshots::URI). A label overrides what the Release file says, and
 * that the origin. */
static const struct {
    const char *field, *value, *url;
    bool overrides;
} services[] = {
    {"Label", "Debian-Security",
     "https://snapshot.debian.org/archive/debian-security/" PLACEHOLDER "/", true},
    {"Origin", "Debian", "https://snapshot.debian.org/archive/debian/" PLACEHOLDER "/", false},
    {"Origin", "Ubuntu", "https://snapshot.ubuntu.com/ubuntu/" PLACEHOLDER "/", false},
};

bool snapshot_is_template(const char *url)
{
    if (!text_starts_with(url, "https://") && !text_starts_with(url, "http://"))
        return false;
    for (const char *c = url; *c; c++)
        if (!isgraph((unsigned char)*c) || strchr("\"'\\<>", *c))
            return false;
    return strstr(url, PLACEHOLDER) && text_ends_with(url, "/");
}

const char *snapshot_template(struct arena *a, const char *release)
{
    const char *said = deb822_field(a, release, "Snapshots"), *by_origin = NULL;
    for (size_t i = 0; i < COUNT(services); i++) {
        const char *value = deb822_field(a, release, services[i].field);
        if (!value || strcmp(value, services[i].value) != 0)
            continue;
        if (services[i].overrides)
            return services[i].url;
        by_origin = services[i].url;
    }
    if (!said)
        return by_origin;
    if (!text_ends_with(said, "/"))
        said = arena_printf(a, "%s/", said);
    return snapshot_is_template(said) ? said : NULL; /* "no" says that there is none */
}

void snapshot_stamp(time_t t, char stamp[SNAPSHOT_STAMP])
{
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(stamp, SNAPSHOT_STAMP, "%Y%m%dT%H%M%SZ", &tm) == 0)
        stamp[0] = '\0';
}

static bool read_stamp(const char *stamp, time_t *out)
{
    struct tm tm = {0};
    const char *end = stamp ? strptime(stamp, "%Y%m%dT%H%M%SZ", &tm) : NULL;
    if (!end || *end)
        return false;
    *out = timegm(&tm);
    char again[SNAPSHOT_STAMP];
    snapshot_stamp(*out, again);
    return strcmp(again, stamp) == 0;
}

static const char *fill(struct arena *a, const char *url, const char *stamp, const char *path)
{
    const char *at = strstr(url, PLACEHOLDER);
    return arena_printf(a, "%.*s%s%s%s", (int)(at - url), url, stamp, at + strlen(PLACEHOLDER),
                        path);
}

/* The archive that the URL is below, by the longest name. */
static const struct index_pin *archive_of(const struct resolution *r, const char *url)
{
    const struct index_pin *best = NULL;
    for (size_t i = 0; i < r->index_count; i++) {
        const struct index_pin *pin = &r->indexes[i];
        if (pin->archive && text_starts_with(url, pin->archive) &&
            (!best || strlen(pin->archive) > strlen(best->archive)))
            best = pin;
    }
    return best;
}

const char *const *snapshot_urls(struct arena *a, const struct resolution *r, const char *url,
                                 const char *stamp)
{
    static const time_t day = 24 * 60 * 60;
    const struct index_pin *pin = archive_of(r, url);
    time_t t;
    if (!pin || !pin->snapshot || !snapshot_is_template(pin->snapshot) || !read_stamp(stamp, &t))
        return NULL;
    char later[SNAPSHOT_STAMP];
    snapshot_stamp(t + day, later);
    const char *path = url + strlen(pin->archive);
    const char **urls = arena_alloc(a, 3 * sizeof *urls);
    urls[0] = fill(a, pin->snapshot, stamp, path);
    urls[1] = fill(a, pin->snapshot, later, path);
    urls[2] = NULL;
    return urls;
}
