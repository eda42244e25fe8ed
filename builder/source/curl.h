/* HTTP and HTTPS through libcurl: the only file that sees it.
 *
 * Time-out for connecting 30 s, for a transfer that does not move 60 s; at most 10 redirects, and
 * from https only to https. Certificates are verified. Proxies are taken from the environment as
 * curl(1) does.
 */
#ifndef INGOT_SOURCE_CURL_H
#define INGOT_SOURCE_CURL_H

#include "base/error.h"

#include <stdint.h>

struct http_request {
    const char *url;
    const char *etag, *last_modified; /* validators of an earlier answer, or NULL */
    uint64_t max_bytes;               /* more is ERROR_INPUT; 0: no limit */
    bool progress;                    /* report to base/progress */
    /* Gets the size of the body, before its first piece, where the server says it; or NULL. */
    bool (*on_size)(void *data, uint64_t bytes, struct error **err);
    /* Gets each piece of the body; false ends the transfer with its error. */
    bool (*on_data)(void *data, const void *bytes, size_t size, struct error **err);
    void *data;
};

struct http_response {
    bool not_modified;          /* 304: what the validators belong to still holds */
    char *etag, *last_modified; /* of this answer, or NULL */
};

/* A GET. ERROR_UNREACHABLE with the URL and why (status, connection, cut off, stalled), ERROR_TRUST
 * for certificates that cannot be verified and for redirects to less than https. */
bool http_get(const struct http_request *r, struct http_response *response, struct error **err)
    must_check;
void http_response_free(struct http_response *r);
#define autoresponse cleanup(http_response_free)

#endif
