#include "source/records.h"
#include "source/url.h"

#include "base/file.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

static bool set_sha256(char out[DIGEST_HEX_MAX], const char *hex)
{
    if (!hex || !digest_is_valid(DIGEST_SHA256, hex))
        return false;
    size_t i = 0;
    for (; hex[i]; i++)
        out[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + 'a' - 'A' : hex[i]);
    out[i] = '\0';
    return true;
}

static bool recalled_blob(const struct store *s, const json_t *record, char sha256[DIGEST_HEX_MAX])
{
    return record && set_sha256(sha256, json_string_or(record, "sha256", NULL)) &&
           store_has(s, sha256);
}

/* The stat stamp of a local source as text, so that it can be compared; NULL for a remote one or
 * one that is not there. */
static char *local_stamp(const char *url)
{
    autofree char *path = NULL;
    struct stat st;
    char *text = NULL;
    if (!url || url_is_http(url) || !url_local_path(url, &path, NULL) || stat(path, &st) < 0)
        return NULL;
    struct file_stamp f = file_stamp_of(&st);
    if (asprintf(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64, f.device,
                 f.inode, f.size, f.mtime_ns, f.ctime_ns) < 0)
        abort();
    return text;
}

/* A local source that has changed since is not what is remembered. */
static bool stamp_holds(const json_t *record, const char *key, const char *url)
{
    if (!url || url_is_http(url))
        return true;
    autofree char *now = local_stamp(url);
    return now && strcmp(now, json_string_or(record, key, "")) == 0;
}

/* The digest that alone decides, where there is one. */
static bool digest_of(const struct fetch_request *r, const struct expectation *e,
                      enum digest_kind *kind, const char **digest)
{
    const struct verify *v = r->verify;
    *kind = DIGEST_SHA256;
    *digest = r->locked;
    if (e && e->digest_known) {
        *kind = e->digest_kind;
        *digest = e->digest;
    } else if (!r->locked && v->kind == VERIFY_DIGEST) {
        *kind = v->digest_kind;
        *digest = v->digest;
    }
    return *digest && digest_is_valid(*kind, *digest);
}

/* A record says it of what was fetched; what was imported is looked at. */
static bool has_sha512(const struct store *s, const struct fetch_request *r, const char *sha256)
{
    const char *wanted = verify_sha512(r);
    char hex[DIGEST_HEX_MAX];
    if (!wanted)
        return true;
    autofree char *name = verify_record_name(r), *path = store_blob_path(s, sha256);
    autojson json_t *record = store_recall(s, name);
    if (strcmp(json_string_or(record, "sha256", ""), sha256) == 0 &&
        strcasecmp(json_string_or(record, "sha512", ""), wanted) == 0)
        return true;
    return digest_file(DIGEST_SHA512, path, hex, NULL, NULL) && strcasecmp(hex, wanted) == 0;
}

bool record_find(const struct store *s, const struct fetch_request *r, const struct expectation *e,
                 char sha256[DIGEST_HEX_MAX])
{
    const struct verify *v = r->verify;
    enum digest_kind kind;
    const char *digest;
    if (v->kind == VERIFY_NONE)
        return false;
    bool by_digest = digest_of(r, e, &kind, &digest);
    bool found;
    if (by_digest && kind == DIGEST_SHA256) {
        found = set_sha256(sha256, digest) && store_has(s, sha256) && has_sha512(s, r, sha256);
    } else if (r->anew && !by_digest) {
        found = false;
    } else {
        autofree char *name = verify_record_name(r);
        autojson json_t *record = store_recall(s, name);
        found = recalled_blob(s, record, sha256);
        if (found && by_digest)
            found = strcasecmp(json_string_or(record, digest_name(kind), ""), digest) == 0;
        else if (found)
            found = stamp_holds(record, "stamp", r->url) &&
                    stamp_holds(record, "checksums_stamp", v->checksums);
    }
    if (found)
        store_touch(s, sha256);
    return found;
}

void record_keep(struct store *s, const struct fetch_request *r, const char *sha256,
                 const char *sha512)
{
    autofree char *name = verify_record_name(r), *shown = url_redact(r->url);
    autofree char *stamp = local_stamp(r->url), *checksums = local_stamp(r->verify->checksums);
    autojson json_t *j = json_object();
    json_set_string(j, "url", shown);
    json_set_string(j, digest_name(DIGEST_SHA256), sha256);
    if (*sha512)
        json_set_string(j, digest_name(DIGEST_SHA512), sha512);
    json_set_string(j, "stamp", stamp);
    json_set_string(j, "checksums_stamp", checksums);
    json_set_integer(j, "fetched", (json_int_t)time(NULL));
    store_remember(s, name, j);
}

bool record_is_for_people(const struct fetch_request *r)
{
    return r->verify->kind == VERIFY_DIGEST && r->verify->digest_kind == DIGEST_SHA256 &&
           url_is_http(r->url);
}

void record_keep_urls(struct store *s, json_t *urls)
{
    autojson json_t *j = json_object();
    autofree char *name = json_canonical(urls);
    json_set(j, "urls", json_incref(urls));
    json_set_integer(j, "fetched", (json_int_t)time(NULL));
    store_remember(s, name, j);
}

/* --- texts --------------------------------------------------------------------------------------
 */

char *record_text_name(const char *url)
{
    char *name = NULL;
    if (asprintf(&name, "%s\nindex", url) < 0)
        abort();
    return name;
}

bool record_text_find(const struct store *s, const json_t *record, char sha256[DIGEST_HEX_MAX])
{
    if (!recalled_blob(s, record, sha256))
        return false;
    store_touch(s, sha256);
    return true;
}

static void digest_text(const char *text, char hex[DIGEST_HEX_MAX])
{
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
}

void record_text_keep(struct store *s, const char *url, const char *asked, const char *sha256,
                      const char *etag, const char *last_modified)
{
    autofree char *name = record_text_name(url), *shown = url_redact(url);
    char origin[DIGEST_HEX_MAX];
    autojson json_t *j = json_object();
    digest_text(asked, origin);
    json_set_string(j, "url", shown);
    json_set_string(j, "sha256", sha256);
    json_set_string(j, "origin", origin);
    json_set_string(j, "etag", etag);
    json_set_string(j, "last_modified", last_modified);
    json_set_integer(j, "fetched", (json_int_t)time(NULL));
    store_remember(s, name, j);
}

bool record_text_is_of(const json_t *record, const char *asked)
{
    char origin[DIGEST_HEX_MAX];
    digest_text(asked, origin);
    return strcmp(json_string_or(record, "origin", ""), origin) == 0;
}
