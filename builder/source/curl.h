/* HTTP and HTTPS through libcurl's multi interface: several transfers at once, over connections
 * that are kept. Only curl.c sees libcurl.
 *
 * Time-out for connecting 30 s, for a transfer that moves less than 1 KiB/s 60 s; at most 10
 * redirects, which never leave https once there and never lead to anything but http and https; at
 * most 256 KiB of headers. Certificates are verified. Proxies, CA certificates and netrc are taken
 * from the environment as curl(1) does (NETRC names the file). Nothing is decoded.
 */
#ifndef INGOT_SOURCE_CURL_H
#define INGOT_SOURCE_CURL_H

#include "base/error.h"

#include <stdint.h>

/* Connections. With offline nothing of libcurl is touched, and every transfer is refused: this is
 * the one gate to the network. */
struct http;
struct http *http_new(bool offline);
void http_free(struct http *h); /* its transfers are ended before */

/* The gate itself: true if it may be asked for, else ERROR_UNREACHABLE. */
bool http_allowed(const struct http *h, const char *url, struct error **err) must_check;

struct http_answer {
    long status; /* 200, 206 or 304 where the callbacks see it */
    bool length_known;
    uint64_t length;                                   /* of the body */
    char *etag, *last_modified, *date, *content_range; /* or NULL */
};

struct http_request {
    const char *url;
    const char *etag, *last_modified; /* validators of what is had: 304 if it is still that */
    uint64_t from;                    /* asks for what follows so many bytes; 0: for all */
    const char *if_range; /* the validator of what is had of it: all, if it is not that any more */
    /* Before the body, and once where there is none; false ends the transfer with its error. */
    bool (*on_answer)(void *data, const struct http_answer *a, struct error **err);
    /* Each piece of the body. */
    bool (*on_data)(void *data, const void *bytes, size_t size, struct error **err);
    void *data;
};

enum http_fate {
    HTTP_RUNNING,
    HTTP_DONE,
    HTTP_AGAIN,     /* failed, and another try may help: 408, 429, 5xx, cut, stalled */
    HTTP_NO_ANSWER, /* nobody there, or no such host: another try hardly helps */
    HTTP_FAILED     /* another try does not help */
};

struct http_transfer;
/* Starts a GET; what the request points to is not kept. False offline. */
bool http_start(struct http *h, const struct http_request *r, struct http_transfer **out,
                struct error **err) must_check;
/* Moves all transfers on, waiting up to so many milliseconds for something to do. */
bool http_wait(struct http *h, unsigned milliseconds, struct error **err) must_check;
enum http_fate http_fate(const struct http_transfer *t);
/* What came in front of the body; owned by the transfer. */
const struct http_answer *http_answer_of(const struct http_transfer *t);
/* Seconds that the server asked to wait; 0: it said nothing. */
uint64_t http_asked_to_wait(const struct http_transfer *t);
/* Why it failed: ERROR_UNREACHABLE with the URL and the reason (status, connection, cut off,
 * stalled), ERROR_TRUST for certificates that cannot be verified and for redirects to less, or what
 * a callback said. The caller owns it. */
struct error *http_take_error(struct http_transfer *t);
/* Stops it if it still runs, and frees it. */
void http_end(struct http_transfer *t);

#endif
