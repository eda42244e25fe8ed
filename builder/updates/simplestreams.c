/* Simplestreams as cloud-images.ubuntu.com has them: an index at ROOT/streams/v1/index.json,
 *
 *   {"index": {NAME: {"datatype": "image-downloads", "path": PATH, "products": [PRODUCT, …]}}}
 *
 * and at ROOT/PATH the products,
 *
 *   {"products": {PRODUCT: {"support_eol": DATE, "versions": {SERIAL: {"items": {ITEM:
 *       {"path": PATH, "sha256": HEX}}}}}}}
 *
 * A release's folder is replaced in place, so that a URL does not say which serial it is: the
 * digest does.
 */
#include "base/digest.h"
#include "base/text.h"
#include "base/units.h"
#include "updates/internal.h"
#include "updates/version.h"

#include <string.h>

#define MAX_INDEX ((size_t)(4 * MIB))
#define MAX_PRODUCTS ((size_t)(32 * MIB))
#define INDEX_FOLDER "streams/v1/"

/* A path below the root: plain, relative, without `..`. */
static bool is_path(const char *s)
{
    return s && answer_is_plain(s) && s[0] != '/' && !strpbrk(s, "?#\\\"<>") && !strstr(s, "..") &&
           !strstr(s, "//");
}

static bool lists(const json_t *entry, const char *product)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(entry, "products"), i, one)
    {
        const char *s = json_string_value(one);
        if (s && strcmp(s, product) == 0)
            return true;
    }
    return false;
}

/* URL of the file that has the product, and the root that its paths are below. */
static bool find_products(struct arena *a, const struct update_service *s,
                          const struct update_source *u, const char **root, const char **url,
                          struct error **err)
{
    autojson json_t *j = NULL;
    const char *name, *folder = strstr(u->url, INDEX_FOLDER);
    json_t *entry;
    if (!folder)
        return answer_wrong(err, u->url,
                            "is no index of streams: those end in " INDEX_FOLDER "index.json");
    if (!answer_json(s, u->url, MAX_INDEX, &j, err))
        return false;
    json_t *index = json_object_get(j, "index");
    if (!json_is_object(index))
        return answer_wrong(err, u->url, "is no index of streams: 'index' is missing");
    *root = arena_strndup(a, u->url, (size_t)(folder - u->url));
    json_object_foreach(index, name, entry)
    {
        if (strcmp(json_string_or(entry, "datatype", "image-downloads"), "image-downloads") != 0 ||
            !lists(entry, u->product))
            continue;
        const char *path = json_string_value(json_object_get(entry, "path"));
        if (!is_path(path))
            return answer_wrong(err, u->url, "the stream of '%s' has no path below it", u->product);
        *url = arena_printf(a, "%s%s", *root, path);
        return true;
    }
    return answer_wrong(err, u->url, "has no stream with the product '%s'", u->product);
}

struct serial {
    const char *name, *sha256, *path;
};

/* The item of one version: name NULL where it has none of that type. */
static bool read_serial(const struct update_source *u, const char *url, const char *name,
                        const json_t *version, struct serial *out, struct error **err)
{
    *out = (struct serial){0};
    const json_t *items = json_object_get(version, "items");
    if (!version_is_valid(name))
        return answer_wrong(err, url, "a version of '%s' is no version", u->product);
    if (!json_is_object(items))
        return answer_wrong(err, url, "version %s of '%s' has no 'items'", name, u->product);
    const json_t *item = json_object_get(items, u->item);
    if (!item)
        return true;
    const char *sha256 = json_string_value(json_object_get(item, "sha256"));
    const char *path = json_string_value(json_object_get(item, "path"));
    if (!sha256 || !digest_is_valid(DIGEST_SHA256, sha256) || !is_path(path))
        return answer_wrong(err, url, "version %s of '%s': '%s' has no SHA-256 or no path", name,
                            u->product, u->item);
    *out = (struct serial){name, sha256, path};
    return true;
}

/* True if the URL is of that serial: …/release-20240423/…, …/20240423/…. */
static bool url_names(const char *url, const char *serial)
{
    size_t n = strlen(serial);
    for (const char *p = url; p && (p = strstr(p, serial)) != NULL; p++)
        if (p > url && strchr("/-", p[-1]) && p[n] == '/')
            return true;
    return false;
}

static bool compare_serials(struct arena *a, const struct update_request *r, const char *root,
                            const char *url, json_t *versions, struct update *out,
                            struct error **err)
{
    struct serial newest = {0}, one;
    const char *by_digest = NULL, *by_url = NULL, *name;
    json_t *version;
    json_object_foreach(versions, name, version)
    {
        if (!read_serial(r->source, url, name, version, &one, err))
            return false;
        if (!one.name)
            continue;
        if (!newest.name || version_compare(one.name, newest.name) > 0)
            newest = one;
        if (r->sha256 && strcmp(one.sha256, r->sha256) == 0 &&
            (!by_digest || version_compare(one.name, by_digest) > 0))
            by_digest = one.name;
        if (r->image && url_names(r->image, one.name))
            by_url = one.name;
    }
    if (!newest.name)
        return answer_wrong(err, url, "has no version of '%s' with '%s'", r->source->product,
                            r->source->item);
    const char *current = by_digest ? by_digest : by_url;
    out->current = current ? arena_strdup(a, current) : NULL;
    out->available = arena_strdup(a, newest.name);
    out->sha256 = arena_strdup(a, newest.sha256);
    out->url = arena_printf(a, "%s%s", root, newest.path);
    if (current) {
        update_compare(a, out, "the stream");
    } else if (r->sha256) {
        out->newer = true;
        update_note(a, out, "the image in use is not listed any more");
    } else {
        update_note(a, out, "no image is locked or fetched yet");
    }
    return true;
}

bool update_check_simplestreams(struct arena *a, const struct update_service *s,
                                const struct update_request *r, struct update *out,
                                struct error **err)
{
    const struct update_source *u = r->source;
    const char *root = NULL, *url = NULL;
    autojson json_t *j = NULL;
    if (!find_products(a, s, u, &root, &url, err) || !answer_json(s, url, MAX_PRODUCTS, &j, err))
        return false;
    const json_t *product = json_object_get(json_object_get(j, "products"), u->product);
    if (!json_is_object(product))
        return answer_wrong(err, url, "has no product '%s'", u->product);
    json_t *versions = json_object_get(product, "versions");
    if (!json_is_object(versions))
        return answer_wrong(err, url, "'%s' has no versions", u->product);
    return compare_serials(a, r, root, url, versions, out, err) &&
           update_note_support(a, r, json_object_get(product, "support_eol"), url, out, err);
}
