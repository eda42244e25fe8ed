#include "source/curl.h"
#include "source/url.h"

#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define CONNECT_SECONDS 30L
#define STALL_SECONDS 60L
#define MAX_REDIRECTS 10L
#define MAX_HEADER 1024 /* of a validator; a longer one is not kept */

struct transfer {
    const struct http_request *request;
    struct http_response *response;
    CURL *curl;
    uint64_t received;
    struct error *failure; /* of on_data, or a limit */
};

static void cleanup_curl(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void cleanup_list(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

void http_response_free(struct http_response *r)
{
    free(r->etag);
    free(r->last_modified);
    *r = (struct http_response){0};
}

static size_t on_body(char *bytes, size_t one, size_t size, void *data)
{
    struct transfer *t = data;
    (void)one; /* always 1 */
    curl_off_t whole = -1;
    if (!t->received && t->request->on_size &&
        curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole) == CURLE_OK &&
        whole > 0 && !t->request->on_size(t->request->data, (uint64_t)whole, &t->failure))
        return 0;
    t->received += size;
    if (t->request->max_bytes && t->received > t->request->max_bytes) {
        error_set(&t->failure, ERROR_INPUT, "larger than %llu bytes",
                  (unsigned long long)t->request->max_bytes);
        return 0;
    }
    return t->request->on_data(t->request->data, bytes, size, &t->failure) ? size : 0;
}

static void keep_header(const char *line, size_t size, const char *name, char **out)
{
    size_t n = strlen(name);
    if (size <= n || size > MAX_HEADER || strncasecmp(line, name, n) != 0)
        return;
    const char *value = line + n, *end = line + size;
    while (value < end && strchr(" \t", *value))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]))
        end--;
    for (const char *p = value; p < end; p++)
        if ((unsigned char)*p < 0x20)
            return;
    free(*out);
    *out = strndup(value, (size_t)(end - value));
}

static size_t on_header(char *line, size_t one, size_t size, void *data)
{
    struct transfer *t = data;
    (void)one;
    if (size > 5 && strncmp(line, "HTTP/", 5) == 0) /* a new answer, after a redirect */
        http_response_free(t->response);
    keep_header(line, size, "ETag:", &t->response->etag);
    keep_header(line, size, "Last-Modified:", &t->response->last_modified);
    return size;
}

static int on_progress(void *data, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct transfer *t = data;
    (void)up_total, (void)up_now;
    if (t->request->progress && now > 0)
        progress_update((uint64_t)now, total > 0 ? (uint64_t)total : 0);
    return interrupted() != 0;
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
    autofree char *line = NULL;
    if (!value)
        return;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        abort();
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        abort();
    *list = longer;
}

static void set_protocols(CURL *c, bool secure)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    long https = CURLPROTO_HTTPS, both = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, both);
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, secure ? https : both);
#endif
}

static void set_up(struct transfer *t, struct curl_slist *headers, char *message)
{
    CURL *c = t->curl;
    const struct http_request *r = t->request;
    set_protocols(c, strncasecmp(r->url, "https:", strlen("https:")) == 0);
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "ingot/" INGOT_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static const char *status_advice(long status)
{
    static const struct {
        long status;
        const char *advice;
    } known[] = {{401, ": a password is asked for"},
                 {403, ": forbidden"},
                 {404, ": there is no such file; is the version right?"},
                 {407, ": the proxy asks for a password"},
                 {410, ": it is gone"}};
    for (size_t i = 0; i < COUNT(known); i++)
        if (known[i].status == status)
            return known[i].advice;
    return "";
}

static bool give_up(struct transfer *t, CURLcode code, const char *message, struct error **err)
{
    autofree char *shown = url_redact(t->request->url);
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (interrupted()) {
        error_free(t->failure);
        return interrupt_error(err);
    }
    if (t->failure) {
        if (err && !*err)
            *err = take_ptr(t->failure);
        return error_wrap(err, "%s", shown);
    }
    switch (code) {
    case CURLE_HTTP_RETURNED_ERROR:
        return error_set(err, ERROR_UNREACHABLE, "%s: HTTP %ld%s", shown, status,
                         status_advice(status));
    case CURLE_PARTIAL_FILE:
        return error_set(err, ERROR_UNREACHABLE, "%s: the transfer was cut off", shown);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(err, ERROR_TRUST,
                         "%s: is redirected to something other than https, which is not followed",
                         shown);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, ERROR_TRUST, "%s: the server's certificate cannot be verified: %s",
                         shown, message);
    default:
        return error_set(err, ERROR_UNREACHABLE, "%s: %s", shown,
                         *message ? message : curl_easy_strerror(code));
    }
}

bool http_get(const struct http_request *r, struct http_response *response, struct error **err)
{
    static bool initialised;
    if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERROR_HOST, "libcurl does not start");
    initialised = true;
    cleanup(cleanup_curl) CURL *c = curl_easy_init();
    cleanup(cleanup_list) struct curl_slist *headers = NULL;
    char message[CURL_ERROR_SIZE] = "";
    if (!c)
        abort();
    struct transfer t = {.request = r, .response = response, .curl = c};
    add_header(&headers, "If-None-Match", r->etag);
    add_header(&headers, "If-Modified-Since", r->last_modified);
    set_up(&t, headers, message);
    CURLcode code = curl_easy_perform(c);
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        return give_up(&t, code, message, err);
    error_free(t.failure);
    response->not_modified = status == 304;
    if (status == 200 || (response->not_modified && (r->etag || r->last_modified)))
        return true;
    autofree char *shown = url_redact(r->url);
    return error_set(err, ERROR_UNREACHABLE, "%s: HTTP %ld, where a file was expected", shown,
                     status);
}
