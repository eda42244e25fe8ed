#include "source/curl.h"
#include "source/http_fields.h"
#include "source/url.h"

#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CONNECT_SECONDS 30L
#define STALL_SECONDS 60L
#define STALL_SPEED 1024L /* bytes a second */
#define MAX_REDIRECTS 10L
#define MAX_FIELD 1024           /* of a header that is kept; a longer one is not */
#define MAX_HEADERS (256L << 10) /* of one transfer, redirects included */
#define MAX_IGNORED (64L << 10)  /* of the body of an answer that is no file */
#define RECEIVE_BUFFER (512L << 10)

struct http {
    bool offline;
    CURLM *multi;
};

struct http_transfer {
    struct http *http;
    CURL *curl;
    struct curl_slist *headers;
    char *url;
    bool asked_range, asked_if_changed;
    bool (*on_answer)(void *data, const struct http_answer *a, struct error **err);
    bool (*on_data)(void *data, const void *bytes, size_t size, struct error **err);
    void *data;
    struct http_answer answer;
    char *encoding, *retry_after, *location;
    size_t header_bytes, ignored;
    bool answered;
    enum http_fate fate;
    struct error *error;
    char message[CURL_ERROR_SIZE];
};

struct http *http_new(bool offline)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->offline = offline;
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    if (h->multi)
        curl_multi_cleanup(h->multi);
    free(h);
}

static bool open_multi(struct http *h, struct error **err)
{
    static bool initialised;
    if (h->multi)
        return true;
    if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERROR_HOST, "libcurl does not start");
    initialised = true;
    h->multi = curl_multi_init();
    return h->multi || error_set(err, ERROR_HOST, "libcurl does not start");
}

/* --- what comes ---------------------------------------------------------------------------------
 */

static void clear_answer(struct http_transfer *t)
{
    free(t->answer.etag);
    free(t->answer.last_modified);
    free(t->answer.date);
    free(t->answer.content_range);
    free(t->encoding);
    free(t->retry_after);
    free(t->location);
    t->answer = (struct http_answer){0};
    t->encoding = t->retry_after = t->location = NULL;
}

static bool is_wanted(const struct http_transfer *t, long status)
{
    return status == 200 || (status == 206 && t->asked_range) ||
           (status == 304 && t->asked_if_changed);
}

/* All headers are there; the body comes next. */
static bool begin_body(struct http_transfer *t)
{
    curl_off_t length = -1;
    t->answered = true;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->answer.status);
    if (!is_wanted(t, t->answer.status))
        return true;
    if (curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
        length >= 0) {
        t->answer.length_known = true;
        t->answer.length = (uint64_t)length;
    }
    if (t->encoding && strcasecmp(t->encoding, "identity") != 0)
        return error_set(&t->error, ERROR_UNREACHABLE,
                         "the server sends it packed (Content-Encoding: %s), which nobody asked "
                         "for: it would have to send the file as it is",
                         t->encoding);
    return !t->on_answer || t->on_answer(t->data, &t->answer, &t->error);
}

static size_t on_body(char *bytes, size_t one, size_t size, void *data)
{
    struct http_transfer *t = data;
    (void)one; /* always 1 */
    if (!t->answered && !begin_body(t))
        return 0;
    if (!is_wanted(t, t->answer.status)) { /* the text of an error page; keeps the connection */
        t->ignored += size;
        return t->ignored > MAX_IGNORED ? 0 : size;
    }
    return t->on_data(t->data, bytes, size, &t->error) ? size : 0;
}

static void keep_field(const char *line, size_t size, const char *name, char **out)
{
    size_t n = strlen(name);
    if (size <= n || size > MAX_FIELD || strncasecmp(line, name, n) != 0)
        return;
    const char *value = line + n, *end = line + size;
    while (value < end && strchr(" \t", *value))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]))
        end--;
    for (const char *p = value; p < end; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return;
    free(*out);
    *out = strndup(value, (size_t)(end - value));
}

static void allow_redirects_to(CURL *c, bool http)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, http ? "http,https" : "https");
#else
    long https = CURLPROTO_HTTPS, both = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, http ? both : https);
#endif
}

static size_t on_header(char *line, size_t one, size_t size, void *data)
{
    struct http_transfer *t = data;
    (void)one;
    t->header_bytes += size;
    if (t->header_bytes > MAX_HEADERS) {
        error_set(&t->error, ERROR_UNREACHABLE,
                  "the server sends more than %ld KiB of headers: that is no file server",
                  MAX_HEADERS >> 10);
        return 0;
    }
    if (size > 5 && strncmp(line, "HTTP/", 5) == 0) { /* a new answer, maybe after a redirect */
        const char *at = NULL;
        clear_answer(t);
        curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &at);
        if (at && strncasecmp(at, "https:", strlen("https:")) == 0)
            allow_redirects_to(t->curl, false);
    }
    keep_field(line, size, "ETag:", &t->answer.etag);
    keep_field(line, size, "Last-Modified:", &t->answer.last_modified);
    keep_field(line, size, "Date:", &t->answer.date);
    keep_field(line, size, "Content-Range:", &t->answer.content_range);
    keep_field(line, size, "Content-Encoding:", &t->encoding);
    keep_field(line, size, "Retry-After:", &t->retry_after);
    keep_field(line, size, "Location:", &t->location);
    return size;
}

/* --- how it ends --------------------------------------------------------------------------------
 */

/* The URL, and where a redirect led. Free it. */
static char *shown_url(const struct http_transfer *t)
{
    const char *at = NULL;
    char *text = NULL;
    autofree char *asked = url_redact(t->url);
    curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &at);
    autofree char *led = url_redact(at ? at : t->url);
    long redirects = 0;
    curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_COUNT, &redirects);
    if (!redirects || strcmp(asked, led) == 0)
        return take_ptr(asked);
    if (asprintf(&text, "%s (redirected to %s)", asked, led) < 0)
        abort();
    return text;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* libcurl's message names the proxy that does not answer, but not that it is one. */
static const char *proxy_note(const char *url)
{
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY"}, *const https[] = {
                                                                                    "https_proxy",
                                                                                    "HTTPS_PROXY",
                                                                                    "all_proxy",
                                                                                    "ALL_PROXY"};
    bool secure = strncasecmp(url, "https:", strlen("https:")) == 0;
    const char *const *names = secure ? https : http;
    for (size_t i = 0; i < (secure ? COUNT(https) : COUNT(http)); i++)
        if (environment(names[i]))
            return " (a proxy is set in the environment; no_proxy names hosts without)";
    return "";
}

static enum http_fate fail_by_status(struct http_transfer *t, const char *shown)
{
    static const struct {
        long status;
        const char *advice;
    } known[] = {{401, ": a password is asked for (~/.netrc, or the file that NETRC names)"},
                 {403, ": forbidden"},
                 {404, ": there is no such file; is the version right?"},
                 {407, ": the proxy asks for a password"},
                 {410, ": it is gone"},
                 {429, ": too many requests"}};
    long status = t->answer.status;
    const char *advice = status < 400 ? ", where a file was expected" : "";
    for (size_t i = 0; i < COUNT(known); i++)
        if (known[i].status == status)
            advice = known[i].advice;
    error_set(&t->error, ERROR_UNREACHABLE, "%s: HTTP %ld%s", shown, status, advice);
    bool again = status == 408 || status == 429 || (status >= 500 && status != 501);
    return again ? HTTP_AGAIN : HTTP_FAILED;
}

static bool was_connected(const struct http_transfer *t)
{
    curl_off_t microseconds = 0;
    return curl_easy_getinfo(t->curl, CURLINFO_PRETRANSFER_TIME_T, &microseconds) == CURLE_OK &&
           microseconds > 0;
}

static bool is_redirect(const struct http_transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 300 && status < 400;
}

static enum http_fate fail_by_code(struct http_transfer *t, CURLcode code, const char *shown)
{
    static const struct {
        CURLcode code;
        enum http_fate fate;
        enum error_kind kind;
        const char *reason; /* in place of libcurl's own */
    } known[] = {
        {CURLE_PARTIAL_FILE, HTTP_AGAIN, ERROR_UNREACHABLE, "the transfer was cut off"},
        {CURLE_RECV_ERROR, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_SEND_ERROR, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_GOT_NOTHING, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_OPERATION_TIMEDOUT, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_HTTP2, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_HTTP2_STREAM, HTTP_AGAIN, ERROR_UNREACHABLE, NULL},
        {CURLE_COULDNT_CONNECT, HTTP_NO_ANSWER, ERROR_UNREACHABLE, NULL},
        {CURLE_COULDNT_RESOLVE_HOST, HTTP_NO_ANSWER, ERROR_UNREACHABLE, NULL},
        {CURLE_COULDNT_RESOLVE_PROXY, HTTP_NO_ANSWER, ERROR_UNREACHABLE, NULL},
        {CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAILED, ERROR_UNREACHABLE,
         "what answers there does not speak HTTP"},
        {CURLE_SSL_CACERT_BADFILE, HTTP_FAILED, ERROR_HOST, NULL},
        {CURLE_OUT_OF_MEMORY, HTTP_FAILED, ERROR_UNREACHABLE,
         "the server sends a header that is larger than any should be"},
    };
    const char *reason = *t->message ? t->message : curl_easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        error_set(&t->error, ERROR_TRUST,
                  "%s: the server's certificate cannot be verified: %s (CURL_CA_BUNDLE names a "
                  "file of other certificate authorities)",
                  shown, reason);
        return HTTP_FAILED;
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL && is_redirect(t)) {
        autofree char *to = url_redact(t->location ? t->location : "elsewhere");
        error_set(&t->error, ERROR_TRUST,
                  "%s: is redirected to %s, which is not followed: from https only to https, else "
                  "only to http and https",
                  shown, to);
        return HTTP_FAILED;
    }
    for (size_t i = 0; i < COUNT(known); i++)
        if (known[i].code == code) {
            error_set(&t->error, known[i].kind, "%s: %s%s", shown,
                      known[i].reason ? known[i].reason : reason,
                      known[i].fate == HTTP_NO_ANSWER ? proxy_note(t->url) : "");
            return code == CURLE_OPERATION_TIMEDOUT && !was_connected(t) ? HTTP_NO_ANSWER
                                                                         : known[i].fate;
        }
    error_set(&t->error, ERROR_UNREACHABLE, "%s: %s", shown, reason);
    return HTTP_FAILED;
}

static void finish(struct http_transfer *t, CURLcode code)
{
    autofree char *shown = shown_url(t);
    if (code == CURLE_OK && !t->answered && !begin_body(t))
        code = CURLE_WRITE_ERROR;
    if (t->error) { /* a callback's, or a limit */
        error_wrap(&t->error, "%s", shown);
        t->fate = HTTP_FAILED;
    } else if (t->answered && !is_wanted(t, t->answer.status)) {
        t->fate = fail_by_status(t, shown);
    } else {
        t->fate = code == CURLE_OK ? HTTP_DONE : fail_by_code(t, code, shown);
    }
}

/* --- asking -------------------------------------------------------------------------------------
 */

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

/* As curl(1): CURL_CA_BUNDLE alone, else SSL_CERT_DIR and SSL_CERT_FILE, else libcurl's own. */
static void set_authorities(CURL *c)
{
    const char *bundle = environment("CURL_CA_BUNDLE");
    const char *dir = bundle ? NULL : environment("SSL_CERT_DIR");
    if (!bundle)
        bundle = environment("SSL_CERT_FILE");
    if (bundle) {
        curl_easy_setopt(c, CURLOPT_CAINFO, bundle);
        curl_easy_setopt(c, CURLOPT_PROXY_CAINFO, bundle);
    }
    if (dir) {
        curl_easy_setopt(c, CURLOPT_CAPATH, dir);
        curl_easy_setopt(c, CURLOPT_PROXY_CAPATH, dir);
    }
}

static void set_credentials(CURL *c)
{
    const char *netrc = environment("NETRC");
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (netrc)
        curl_easy_setopt(c, CURLOPT_NETRC_FILE, netrc);
}

static void set_limits(CURL *c)
{
    const char *test = environment("INGOT_TEST_STALL_SECONDS");
    long stall = test ? strtol(test, NULL, 10) : 0;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_SPEED);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall > 0 ? stall : STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_up(struct http_transfer *t, const struct http_request *r)
{
    CURL *c = t->curl;
    char range[32];
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "ingot/" INGOT_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->message);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    allow_redirects_to(c, strncasecmp(r->url, "https:", strlen("https:")) != 0);
    set_limits(c);
    set_authorities(c);
    set_credentials(c);
    if (r->from) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)r->from);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
        add_header(&t->headers, "If-Range", r->if_range);
    }
    add_header(&t->headers, "If-None-Match", r->etag);
    add_header(&t->headers, "If-Modified-Since", r->last_modified);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
}

bool http_allowed(const struct http *h, const char *url, struct error **err)
{
    if (!h->offline)
        return true;
    autofree char *shown = url_redact(url);
    return error_set(err, ERROR_UNREACHABLE,
                     "%s: is not in the cache, and --offline forbids to fetch it", shown);
}

bool http_start(struct http *h, const struct http_request *r, struct http_transfer **out,
                struct error **err)
{
    if (!http_allowed(h, r->url, err) || !open_multi(h, err))
        return false;
    struct http_transfer *t = calloc(1, sizeof *t);
    if (!t || !(t->curl = curl_easy_init()) || !(t->url = strdup(r->url)))
        abort();
    t->http = h;
    t->asked_range = r->from > 0;
    t->asked_if_changed = r->etag || r->last_modified;
    t->on_answer = r->on_answer;
    t->on_data = r->on_data;
    t->data = r->data;
    set_up(t, r);
    if (curl_multi_add_handle(h->multi, t->curl) != CURLM_OK)
        abort();
    *out = t;
    return true;
}

bool http_wait(struct http *h, unsigned milliseconds, struct error **err)
{
    int running, left;
    if (!h->multi) {
        struct timespec t = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
        nanosleep(&t, NULL);
        return true;
    }
    CURLMcode code = curl_multi_poll(h->multi, NULL, 0, (int)milliseconds, NULL);
    if (code == CURLM_OK)
        code = curl_multi_perform(h->multi, &running);
    if (code != CURLM_OK)
        return error_set(err, ERROR_HOST, "libcurl: %s", curl_multi_strerror(code));
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        struct http_transfer *t = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        if (m->msg == CURLMSG_DONE && t)
            finish(t, m->data.result);
    }
    return true;
}

enum http_fate http_fate(const struct http_transfer *t)
{
    return t->fate;
}

const struct http_answer *http_answer_of(const struct http_transfer *t)
{
    return &t->answer;
}

uint64_t http_asked_to_wait(const struct http_transfer *t)
{
    uint64_t seconds = 0;
    if (!t->retry_after || !http_retry_after(t->retry_after, time(NULL), &seconds))
        return 0;
    return seconds;
}

struct error *http_take_error(struct http_transfer *t)
{
    return take_ptr(t->error);
}

void http_end(struct http_transfer *t)
{
    if (!t)
        return;
    curl_multi_remove_handle(t->http->multi, t->curl);
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    clear_answer(t);
    error_free(t->error);
    free(t->url);
    free(t);
}
