/* Alpine: releases.json says which releases and branches there are,
 *
 *   {"latest_stable": "v3.24", "release_branches": [{"rel_branch": "v3.24", "eol_date": DATE,
 *       "releases": [{"version": "3.24.2"}, …]}, …]}
 *
 * and the directory index of the cloud images which of them has an image; that comes later, and is
 * what counts. Images are called …-VERSION-…-rREVISION.SUFFIX, where all but the version and the
 * revision must be as it is now.
 */
#include "base/units.h"
#include "source/url.h"
#include "updates/internal.h"
#include "updates/version.h"

#include <string.h>
#include <strings.h>

#define MAX_RELEASES ((size_t)(4 * MIB))
#define MAX_INDEX ((size_t)(8 * MIB))
#define MAX_NAME 255

/* --- names of images
 * ------------------------------------------------------------------------------
 */

struct span {
    const char *start;
    size_t size;
};

/* nocloud_alpine - 3.24.1 -x86_64-bios-cloudinit -r 0 .qcow2 */
struct image_name {
    struct span before, version, middle, revision, after;
};

static bool same(struct span x, struct span y)
{
    return x.size == y.size && memcmp(x.start, y.start, x.size) == 0;
}

static bool split_name(const char *s, size_t size, struct image_name *out)
{
    static const char digits[] = "0123456789";
    const char *end = s + size, *v = s, *r;
    if (size > MAX_NAME)
        return false;
    while (v + 1 < end && !(v[0] == '-' && strchr(digits, v[1]) && v[1]))
        v++;
    if (v + 1 >= end)
        return false;
    const char *version = v + 1, *p = version;
    while (p < end && *p && strchr("0123456789.", *p))
        p++;
    out->before = (struct span){s, (size_t)(version - s)};
    out->version = (struct span){version, (size_t)(p - version)};
    for (r = end - 1; r > p; r--) { /* the last `-r` and digits with a suffix behind them */
        const char *q = r + 2;
        if (r[0] != '-' || q >= end || r[1] != 'r')
            continue;
        while (q < end && *q && strchr(digits, *q))
            q++;
        if (q == r + 2 || q >= end || *q != '.')
            continue;
        out->middle = (struct span){p, (size_t)(r + 2 - p)};
        out->revision = (struct span){r + 2, (size_t)(q - r - 2)};
        out->after = (struct span){q, (size_t)(end - q)};
        return *p == '-';
    }
    return false;
}

/* "3.24.1-r0" */
static const char *name_version(struct arena *a, const struct image_name *n)
{
    return arena_printf(a, "%.*s-r%.*s", (int)n->version.size, n->version.start,
                        (int)n->revision.size, n->revision.start);
}

/* --- the index ----------------------------------------------------------------------------------
 */

/* The next link's last component, and where to go on; NULL behind the last. */
static const char *next_link(const char *p, struct span *name)
{
    while ((p = strcasestr(p, "href=")) != NULL) {
        p += 5;
        if (*p != '"' && *p != '\'')
            continue;
        const char *start = p + 1, *end = strchr(start, *p);
        if (!end)
            return NULL;
        const char *slash = memrchr(start, '/', (size_t)(end - start));
        start = slash ? slash + 1 : start;
        *name = (struct span){start, (size_t)(end - start)};
        return end + 1;
    }
    return NULL;
}

static bool in_branch(const char *version, const char *branch)
{
    size_t n = strlen(branch);
    return strncmp(version, branch, n) == 0 && (version[n] == '.' || version[n] == '-');
}

/* The newest image in the folder that is called as ours but for version and revision. */
static bool find_newest(struct arena *a, const struct update_service *s,
                        const struct update_source *u, const char *branch,
                        const struct image_name *ours, struct update *out, struct error **err)
{
    autofree char *text = NULL;
    struct span link;
    struct image_name n;
    if (!answer_text(s, u->folder, MAX_INDEX, &text, err))
        return false;
    for (const char *p = text; (p = next_link(p, &link)) != NULL;) {
        if (!split_name(link.start, link.size, &n) || !same(n.before, ours->before) ||
            !same(n.middle, ours->middle) || !same(n.after, ours->after))
            continue;
        const char *version = name_version(a, &n);
        if (!version_is_valid(version) || !in_branch(version, branch) ||
            (out->available && version_compare(version, out->available) <= 0))
            continue;
        const char *slash = u->folder[strlen(u->folder) - 1] == '/' ? "" : "/";
        out->available = version;
        out->url = arena_printf(a, "%s%s%.*s", u->folder, slash, (int)link.size, link.start);
    }
    if (!out->available)
        return answer_wrong(err, u->folder, "lists no image of %s called %.*s…%.*s…%.*s", branch,
                            (int)ours->before.size, ours->before.start, (int)ours->middle.size,
                            ours->middle.start, (int)ours->after.size, ours->after.start);
    return true;
}

/* --- the releases -------------------------------------------------------------------------------
 */

static const char *without_v(const char *branch)
{
    return *branch == 'v' ? branch + 1 : branch;
}

static bool find_branch(const struct update_source *u, const char *branch, const json_t *j,
                        const json_t **out, struct error **err)
{
    const json_t *branches = json_object_get(j, "release_branches");
    json_t *one;
    size_t i;
    if (!json_is_array(branches))
        return answer_wrong(err, u->url, "'release_branches' is missing or no list");
    json_array_foreach(branches, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "rel_branch"));
        if (!name)
            return answer_wrong(err, u->url, "a branch has no 'rel_branch'");
        if (strcmp(without_v(name), branch) == 0) {
            *out = one;
            return true;
        }
    }
    return answer_wrong(err, u->url, "has no branch '%s'", branch);
}

static bool newest_release(const struct update_source *u, const json_t *branch, const char **out,
                           struct error **err)
{
    const json_t *releases = json_object_get(branch, "releases");
    const char *version;
    json_t *one;
    size_t i;
    *out = NULL;
    if (!json_is_array(releases))
        return answer_wrong(err, u->url, "'releases' of the branch is missing or no list");
    json_array_foreach(releases, i, one)
    {
        if (!answer_version(one, "version", u->url, &version, err))
            return false;
        if (!*out || version_compare(version, *out) > 0)
            *out = version;
    }
    if (!*out)
        return answer_wrong(err, u->url, "the branch has no release");
    return true;
}

static bool read_releases(struct arena *a, const struct update_service *s,
                          const struct update_request *r, const char *branch, struct update *out,
                          struct error **err)
{
    const struct update_source *u = r->source;
    autojson json_t *j = NULL;
    const json_t *ours = NULL;
    const char *latest, *release;
    if (!answer_json(s, u->url, MAX_RELEASES, &j, err) || !find_branch(u, branch, j, &ours, err) ||
        !newest_release(u, ours, &release, err) ||
        !answer_version(j, "latest_stable", u->url, &latest, err))
        return false;
    /* What has an image is at least its revision 0. */
    if (version_compare(release, out->available) > 0)
        update_note(a, out, "%s is released and has no image yet", release);
    if (version_compare(latest, branch) > 0)
        update_note(a, out, "there is a newer branch, %s", without_v(latest));
    return update_note_support(a, r, json_object_get(ours, "eol_date"), u->url, out, err);
}

bool update_check_alpine(struct arena *a, const struct update_service *s,
                         const struct update_request *r, struct update *out, struct error **err)
{
    autofree char *name = r->image ? url_basename(r->image) : NULL;
    const char *branch = without_v(r->source->product);
    struct image_name ours;
    if (!name || !split_name(name, strlen(name), &ours))
        return answer_wrong(err, r->image ? r->image : "",
                            "is not called as Alpine's cloud images are: "
                            "NAME-VERSION-ARCHITECTURE-FIRMWARE-…-rN.qcow2");
    out->current = name_version(a, &ours);
    if (!find_newest(a, s, r->source, branch, &ours, out, err) ||
        !read_releases(a, s, r, branch, out, err))
        return false;
    update_compare(a, out, "the index of images");
    return true;
}
