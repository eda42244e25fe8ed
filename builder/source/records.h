/* What the store remembers of sources: which blob a URL, verified in some way, led to. */
#ifndef INGOT_SOURCE_RECORDS_H
#define INGOT_SOURCE_RECORDS_H

#include "source/verify.h"

/* The blob that satisfies a request without asking anything but the store: by its digest, else by
 * what is remembered. e: what must hold of it, or NULL (then what is remembered of a checksum file
 * is believed). Marks it as used. */
bool record_find(const struct store *s, const struct fetch_request *r, const struct expectation *e,
                 char sha256[DIGEST_HEX_MAX]);
/* Remembers that the request led to this blob; sha512 may be "". */
void record_keep(struct store *s, const struct fetch_request *r, const char *sha256,
                 const char *sha512);

/* True for what is found by its SHA-256 alone: its record only tells people where it came from. */
bool record_is_for_people(const struct fetch_request *r);
/* One record for several such: {"urls": {SHA-256: URL}}. A file for each would take longer than the
 * files themselves. */
void record_keep_urls(struct store *s, json_t *urls);

/* The same for texts that are asked again: the last answer, or NULL. */
char *record_text_name(const char *url);
/* The blob of a text's record, if the store still has it. */
bool record_text_find(const struct store *s, const json_t *record, char sha256[DIGEST_HEX_MAX]);
/* asked: the URL that answered (a mirror's); etag and last_modified may be NULL. */
void record_text_keep(struct store *s, const char *url, const char *asked, const char *sha256,
                      const char *etag, const char *last_modified);
/* True if a text's validators are of this URL. */
bool record_text_is_of(const json_t *record, const char *asked);

#endif
