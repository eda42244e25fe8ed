/* Fetching what a recipe names into the store, verified or refused. libcurl for http and https;
 * local paths and file: URLs are read in place and copied (reflinked where that works).
 */
#ifndef INGOT_SOURCE_FETCH_H
#define INGOT_SOURCE_FETCH_H

#include "recipe/recipe.h"
#include "source/store.h"

struct fetch_request {
    const char *url;             /* http, https or file URL, or an absolute path */
    const struct verify *verify; /* VERIFY_NONE is refused (ERROR_TRUST) */
    const char *what;            /* for progress and messages: "base image" */
};

/* Brings one thing into the store: *sha256 is its digest and names the blob. What is there already
 * (by its digest, or by what was remembered of the URL and its checksum) is not fetched again; with
 * a checksum file only that file is asked for again. A second process that wants the same waits.
 * ERROR_TRUST for a wrong digest (nothing is kept), ERROR_UNREACHABLE with the URL and the status.
 * Reports to base/progress, but starts no step of its own. */
bool fetch_blob(struct store *s, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX],
                struct error **err) must_check;

/* The same without any network or work: true if the store holds what this request would fetch (by
 * its digest, by what was remembered of its URL, or for a local path by its stat stamp). Marks the
 * blob as used, for cleaning up by age. */
bool fetch_known(struct store *s, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX]);

/* Fetches a small text without verification of its own: package indexes, which their package
 * manager verifies by signature. Kept in the store; asked again with the validators of the last
 * answer (ETag, Last-Modified), so that an unchanged index is not sent twice. path is the blob's;
 * free it. */
bool fetch_index(struct store *s, const char *url, size_t max_bytes, char **path,
                 char sha256[DIGEST_HEX_MAX], struct error **err) must_check;

#endif
