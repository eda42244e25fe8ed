/* Release channels as k3s has them: {"data": [{"id": "stable", "latest": "v1.36.4+k3s1"}, …]}. */
#include "base/text.h"
#include "base/units.h"
#include "updates/internal.h"

#include <string.h>

#define MAX_ANSWER ((size_t)(4 * MIB))
#define MAX_CHANNELS 256

static bool no_channel(struct error **err, const struct update_source *u, const char *const *ids,
                       size_t count)
{
    const char *near = text_nearest(u->product, ids, count);
    return answer_wrong(err, u->url, "has no channel '%s'%s%s%s", u->product,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool update_check_channel(struct arena *a, const struct update_service *s,
                          const struct update_request *r, struct update *out, struct error **err)
{
    const struct update_source *u = r->source;
    autojson json_t *j = NULL;
    const char *ids[MAX_CHANNELS];
    size_t count = 0, i;
    json_t *one;
    if (!answer_json(s, u->url, MAX_ANSWER, &j, err))
        return false;
    const json_t *data = json_object_get(j, "data");
    if (!json_is_array(data))
        return answer_wrong(err, u->url, "is no list of channels: 'data' is missing or no list");
    json_array_foreach(data, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id")), *latest;
        if (!id)
            return answer_wrong(err, u->url, "a channel has no 'id'");
        if (count < COUNT(ids) && answer_is_plain(id))
            ids[count++] = id;
        if (strcmp(id, u->product) != 0)
            continue;
        if (!answer_version(one, "latest", u->url, &latest, err))
            return error_wrap(err, "channel '%s'", u->product);
        out->current = r->current ? arena_strdup(a, r->current) : NULL;
        out->available = arena_strdup(a, latest);
        update_compare(a, out, arena_printf(a, "the channel '%s'", u->product));
        return true;
    }
    return no_channel(err, u, ids, count);
}
