#include "source/fetch.h"
#include "source/curl.h"
#include "source/url.h"
#include "source/verify_checksums.h"
#include "source/verify_digest.h"

#include "base/file.h"
#include "base/log.h"
#include "base/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CHECKSUMS_MAX ((size_t)4 << 20)

struct fetcher {
    struct store *store;
    struct fetch_options options;
};

bool fetcher_new(struct store *s, const struct fetch_options *o, struct fetcher **out,
                 struct error **err)
{
    (void)err;
    struct fetcher *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->store = s;
    f->options = *o;
    *out = f;
    return true;
}

void fetcher_free(struct fetcher *f)
{
    free(f);
}

struct store *fetcher_store(const struct fetcher *f)
{
    return f->store;
}

bool fetcher_offline(const struct fetcher *f)
{
    return f->options.offline;
}

/* --- names of records ---------------------------------------------------------------------------
 */

/* Under which a source is remembered and locked: its URL and how it is verified. */
static char *record_name(const struct fetch_request *r)
{
    const struct verify *v = r->verify;
    char *s = NULL;
    int n = v->kind == VERIFY_CHECKSUMS
                ? asprintf(&s, "%s\nchecksums %s", r->url, v->checksums)
                : asprintf(&s, "%s\n%s %s", r->url, digest_name(v->digest_kind), v->digest);
    if (n < 0)
        abort();
    return s;
}

static bool set_sha256(char out[DIGEST_HEX_MAX], const char *hex)
{
    if (!hex || !digest_is_valid(DIGEST_SHA256, hex))
        return false;
    snprintf(out, DIGEST_HEX_MAX, "%s", hex);
    return true;
}

/* The blob that a record names, if the store still has it. */
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
    if (url_is_http(url) || !url_local_path(url, &path, NULL) || stat(path, &st) < 0)
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
    autofree char *now = url_is_http(url) ? NULL : local_stamp(url);
    if (url_is_http(url))
        return true;
    return now && strcmp(now, json_string_or(record, key, "")) == 0;
}

static void remember(struct store *s, const struct fetch_request *r, const char *sha256,
                     enum digest_kind kind, const char *digest)
{
    autofree char *name = record_name(r), *shown = url_redact(r->url);
    autofree char *stamp = local_stamp(r->url), *checksums_stamp = NULL;
    autojson json_t *j = json_object();
    json_set_string(j, "url", shown);
    json_set_string(j, "sha256", sha256);
    json_set_string(j, digest_name(kind), digest);
    json_set_string(j, "stamp", stamp);
    if (r->verify->kind == VERIFY_CHECKSUMS) {
        checksums_stamp = local_stamp(r->verify->checksums);
        json_set_string(j, "checksums_stamp", checksums_stamp);
    }
    json_set_integer(j, "fetched", (json_int_t)time(NULL));
    store_remember(s, name, j);
}

bool fetch_known(struct store *s, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX])
{
    const struct verify *v = r->verify;
    if (v->kind == VERIFY_NONE)
        return false;
    bool known;
    if (v->kind == VERIFY_DIGEST && v->digest_kind == DIGEST_SHA256) {
        known = store_has(s, v->digest) && set_sha256(sha256, v->digest);
    } else {
        autofree char *name = record_name(r);
        autojson json_t *record = store_recall(s, name);
        known =
            recalled_blob(s, record, sha256) &&
            (v->kind == VERIFY_DIGEST || (stamp_holds(record, "stamp", r->url) &&
                                          stamp_holds(record, "checksums_stamp", v->checksums)));
    }
    if (known)
        store_touch(s, sha256);
    return known;
}

/* --- getting bytes ------------------------------------------------------------------------------
 */

static bool to_blob(void *data, const void *bytes, size_t size, struct error **err)
{
    return blob_write(data, bytes, size, err);
}

static bool has_room(void *data, uint64_t bytes, struct error **err)
{
    const struct new_blob *b = data;
    return space_check(b->temporary, bytes, "the download", err);
}

static int open_local(const char *url, struct stat *st, struct error **err)
{
    autofree char *path = NULL;
    if (!url_local_path(url, &path, err))
        return -1;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) < 0) {
        error_errno(err, ERROR_INPUT, errno, "%s", path);
        return -1;
    }
    if (!S_ISREG(st->st_mode)) {
        error_set(err, ERROR_INPUT, "%s: is not a file", path);
        return -1;
    }
    return take_fd(&fd);
}

static bool get_local(const char *url, uint64_t max_bytes, struct new_blob *b, struct error **err)
{
    struct stat st;
    autoclose int fd = open_local(url, &st, err);
    if (fd < 0)
        return false;
    if (max_bytes && (uint64_t)st.st_size > max_bytes)
        return error_set(err, ERROR_INPUT, "%s: larger than %" PRIu64 " bytes", url, max_bytes);
    return space_check(b->temporary, file_allocated(&st), "the copy of it", err) &&
           blob_copy(b, fd, err);
}

static bool get(const struct fetch_request *r, struct new_blob *b, struct error **err)
{
    if (!url_is_http(r->url))
        return get_local(r->url, 0, b, err);
    struct http_request q = {
        .url = r->url, .progress = true, .on_size = has_room, .on_data = to_blob, .data = b};
    autoresponse struct http_response answer = {0};
    return http_get(&q, &answer, err);
}

/* --- verification -------------------------------------------------------------------------------
 */

/* The digest that the thing must have. A checksum file is asked for again each time: a release that
 * was replaced is noticed. */
static bool expected_digest(struct fetcher *f, const struct fetch_request *r,
                            enum digest_kind *kind, char hex[DIGEST_HEX_MAX], struct error **err)
{
    const struct verify *v = r->verify;
    autofree char *shown = url_redact(r->url);
    if (v->kind == VERIFY_DIGEST) {
        *kind = v->digest_kind;
        if (!digest_is_valid(v->digest_kind, v->digest))
            return error_set_at(err, ERROR_TRUST, v->place, "'%s' is no %s digest", v->digest,
                                digest_name(v->digest_kind));
        snprintf(hex, DIGEST_HEX_MAX, "%s", v->digest);
        return true;
    }
    autofree char *name = url_basename(r->url), *path = NULL, *text = NULL;
    char sha256[DIGEST_HEX_MAX];
    size_t size;
    if (!name)
        return error_set_at(err, ERROR_TRUST, v->place,
                            "%s: has no file name that a checksum file could say", shown);
    autofree char *checksums = url_redact(v->checksums);
    if (!fetch_text(f, v->checksums, CHECKSUMS_MAX, &path, sha256, err) ||
        !file_read(path, CHECKSUMS_MAX, &text, &size, err))
        return error_wrap(err, "the checksum file for %s", shown);
    return checksums_find(text, size, checksums, name, kind, hex, err);
}

/* What the store has already under this digest. */
static bool have_digest(struct store *s, const struct fetch_request *r, enum digest_kind kind,
                        const char *digest, char sha256[DIGEST_HEX_MAX])
{
    if (kind == DIGEST_SHA256)
        return store_has(s, digest) && set_sha256(sha256, digest);
    autofree char *name = record_name(r);
    autojson json_t *record = store_recall(s, name);
    return recalled_blob(s, record, sha256) &&
           strcmp(json_string_or(record, digest_name(kind), ""), digest) == 0;
}

static bool get_verified(struct store *s, const struct fetch_request *r, enum digest_kind kind,
                         const char *digest, char sha256[DIGEST_HEX_MAX], struct error **err)
{
    autoblob struct new_blob b = NEW_BLOB;
    char sha512[DIGEST_HEX_MAX] = "";
    autofree char *shown = url_redact(r->url);
    if (!blob_begin(s, kind == DIGEST_SHA512, &b, err) || !get(r, &b, err))
        return false;
    blob_digests(&b, sha256, sha512);
    return verify_digest(shown, kind, digest, kind == DIGEST_SHA512 ? sha512 : sha256, err) &&
           blob_commit(&b, sha256, err);
}

bool fetch_blob(struct fetcher *f, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX],
                struct error **err)
{
    struct store *s = f->store;
    enum digest_kind kind;
    char digest[DIGEST_HEX_MAX];
    autofree char *shown = url_redact(r->url);
    if (r->verify->kind == VERIFY_NONE)
        return error_set_at(err, ERROR_TRUST, r->verify->place,
                            "%s: has nothing to verify it by: say verify: with its digest or a "
                            "checksum file",
                            shown);
    if (r->verify->kind == VERIFY_DIGEST && fetch_known(s, r, sha256))
        return true;
    autofree char *name = record_name(r), *waiting = NULL;
    if (asprintf(&waiting, "another ingot is fetching %s: waiting for it", shown) < 0)
        abort();
    autoclose int lock = store_lock(s, name, waiting, err);
    if (lock < 0)
        return false;
    if (!expected_digest(f, r, &kind, digest, err))
        return error_wrap(err, "cannot fetch the %s", r->what);
    if (have_digest(s, r, kind, digest, sha256))
        store_touch(s, sha256);
    else if (!get_verified(s, r, kind, digest, sha256, err))
        return error_wrap(err, "cannot fetch the %s", r->what);
    remember(s, r, sha256, kind, digest);
    return true;
}

/* --- indexes ------------------------------------------------------------------------------------
 */

static void remember_index(struct store *s, const char *name, const char *url, const char *sha256,
                           const struct http_response *answer)
{
    autofree char *shown = url_redact(url);
    autojson json_t *j = json_object();
    json_set_string(j, "url", shown);
    json_set_string(j, "sha256", sha256);
    json_set_string(j, "etag", answer->etag);
    json_set_string(j, "last_modified", answer->last_modified);
    json_set_integer(j, "fetched", (json_int_t)time(NULL));
    store_remember(s, name, j);
}

bool fetch_all(struct fetcher *f, struct arena *a, const struct fetch_request *r, size_t count,
               struct fetch_result *results, struct error **err)
{
    (void)a;
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct fetch_result){.verified = "sha256"};
        if (!fetch_blob(f, &r[i], results[i].sha256, err))
            return false;
    }
    return true;
}

bool fetch_text(struct fetcher *f, const char *url, size_t max_bytes, char **path,
                char sha256[DIGEST_HEX_MAX], struct error **err)
{
    struct store *s = f->store;
    autofree char *name = NULL;
    if (asprintf(&name, "%s\nindex", url) < 0)
        abort();
    autoclose int lock = store_lock(s, name, NULL, err);
    if (lock < 0)
        return false;
    autojson json_t *record = store_recall(s, name);
    bool have = recalled_blob(s, record, sha256);
    autoblob struct new_blob b = NEW_BLOB;
    autoresponse struct http_response answer = {0};
    if (!blob_begin(s, false, &b, err))
        return false;
    if (url_is_http(url)) {
        struct http_request q = {.url = url,
                                 .etag = have ? json_string_or(record, "etag", NULL) : NULL,
                                 .last_modified =
                                     have ? json_string_or(record, "last_modified", NULL) : NULL,
                                 .max_bytes = max_bytes,
                                 .on_data = to_blob,
                                 .data = &b};
        if (!http_get(&q, &answer, err))
            return false;
    } else if (!get_local(url, max_bytes, &b, err)) {
        return false;
    }
    if (answer.not_modified) {
        store_touch(s, sha256);
    } else {
        blob_digests(&b, sha256, NULL);
        if (!blob_commit(&b, sha256, err))
            return false;
        remember_index(s, name, url, sha256, &answer);
    }
    *path = store_blob_path(s, sha256);
    return true;
}
