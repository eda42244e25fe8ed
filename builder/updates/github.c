/* Releases of a repository on GitHub: the answer of …/releases/latest, an object with `tag_name`,
 * or of …/releases, a list of such objects in which drafts and pre-releases do not count. */
#include "base/units.h"
#include "updates/internal.h"
#include "updates/version.h"

#define MAX_ANSWER ((size_t)(16 * MIB))

static bool counts(const json_t *release)
{
    return !json_is_true(json_object_get(release, "draft")) &&
           !json_is_true(json_object_get(release, "prerelease"));
}

static bool take_newer(struct arena *a, const json_t *release, const char *url, struct update *out,
                       struct error **err)
{
    const char *tag;
    if (!json_is_object(release))
        return answer_wrong(err, url, "a release is no object");
    if (!counts(release))
        return true;
    if (!answer_version(release, "tag_name", url, &tag, err))
        return false;
    if (out->available && version_compare(tag, out->available) <= 0)
        return true;
    out->available = arena_strdup(a, tag);
    out->url = answer_url(a, release, "html_url");
    return true;
}

bool update_check_github(struct arena *a, const struct update_service *s,
                         const struct update_request *r, struct update *out, struct error **err)
{
    const char *url = r->source->url;
    autojson json_t *j = NULL;
    size_t i;
    json_t *one;
    if (!answer_json(s, url, MAX_ANSWER, &j, err))
        return false;
    if (!json_is_array(j) && !json_is_object(j))
        return answer_wrong(err, url, "is neither a release nor a list of releases");
    if (json_is_object(j) && !take_newer(a, j, url, out, err))
        return false;
    json_array_foreach(j, i, one) if (!take_newer(a, one, url, out, err)) return false;
    if (!out->available)
        return answer_wrong(err, url, "names no release but drafts and pre-releases");
    out->current = r->current ? arena_strdup(a, r->current) : NULL;
    update_compare(a, out, "the latest release");
    return true;
}
