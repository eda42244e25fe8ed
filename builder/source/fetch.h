/* Fetching what a recipe names into the store, verified or refused: several at once over kept
 * connections, resumed where that is safe, tried again where that helps, from mirrors where they
 * are set. libcurl for http and https; local paths and file: URLs are read in place and copied
 * (reflinked where that works).
 */
#ifndef INGOT_SOURCE_FETCH_H
#define INGOT_SOURCE_FETCH_H

#include "recipe/recipe.h"
#include "source/mirror.h"
#include "source/store.h"

struct fetch_options {
    bool offline;  /* nothing remote is asked: what the cache lacks is ERROR_UNREACHABLE, and no
                      socket is opened */
    unsigned jobs; /* transfers at once; 0: 8 */
    struct mirrors mirrors;
    unsigned retries; /* of one transfer; 0: 4 (INGOT_TEST_RETRY_MS scales the waiting in tests) */
};

/* Connections and options that many fetches share. Keeps pointers to the store and the mirrors. */
struct fetcher;
bool fetcher_new(struct store *s, const struct fetch_options *o, struct fetcher **out,
                 struct error **err) must_check;
void fetcher_free(struct fetcher *f);
struct store *fetcher_store(const struct fetcher *f);
bool fetcher_offline(const struct fetcher *f);

struct fetch_request {
    const char *url;              /* http, https or file URL, or an absolute path */
    const struct verify *verify;  /* VERIFY_NONE is refused (ERROR_TRUST) */
    const char *what;             /* for progress and messages: "base image" */
    const char *locked;           /* SHA-256 that the lock says: then that is what it must have, and
                                     checksum files and signatures are not asked again; or NULL */
    uint64_t size;                /* that the lock or an index says; 0: not known */
    uint64_t max_bytes;           /* refuse more; 0: 64 GiB */
    const char *const *fallbacks; /* more URLs to try when all else fails and the digest is known
                                     (snapshot services); NULL at the end; or NULL */
    bool anew; /* what is remembered of the URL does not count: only a digest finds it in the store
                */
};

struct fetch_result {
    char sha256[DIGEST_HEX_MAX];
    uint64_t size;
    bool cached;          /* nothing was transferred */
    bool first_use;       /* VERIFY_LOCK without a locked digest: nothing else vouches for it */
    const char *verified; /* how, for people and the lock: "sha256", "sha512", "checksums URL",
                             "checksums URL, signed by FINGERPRINT", "signed by FINGERPRINT",
                             "first use", "lock", "package index"; in the arena */
};

/* Brings all of them into the store. Those that are there (by digest, or by what was remembered of
 * URL and verification) are not fetched again; a checksum file and its signature are asked again
 * unless `locked` is given. The same URL twice is fetched once; a second process that wants the
 * same waits. On the first failure the others are stopped (their partial files stay, to be resumed)
 * and *err says which: ERROR_TRUST for what verification refuses (nothing is kept),
 * ERROR_UNREACHABLE with URL and status, ERROR_SPACE, ERROR_INPUT for what is larger than it may
 * be. One progress step for all together, started by the caller. */
bool fetch_all(struct fetcher *f, struct arena *a, const struct fetch_request *r, size_t count,
               struct fetch_result *results, struct error **err) must_check;

/* One of them, for callers that need only the digest. */
bool fetch_blob(struct fetcher *f, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX],
                struct error **err) must_check;

/* The same without any network or work: true if the store holds what this request would fetch (by
 * its digest, by what was remembered of its URL, or for a local path by its stat stamp). Marks the
 * blob as used, for cleaning up by age. */
bool fetch_known(struct store *s, const struct fetch_request *r, char sha256[DIGEST_HEX_MAX]);

/* Fetches a small text without verification of its own (package indexes, which their package
 * manager verifies by signature; checksum files; signatures; keys, compared to a fingerprint; the
 * answers of update services). Kept in the store; asked again with the validators of the last
 * answer (ETag, Last-Modified), so that an unchanged one is not sent twice. path is the blob's;
 * free it. Offline, the last answer is given again. */
bool fetch_text(struct fetcher *f, const char *url, size_t max_bytes, char **path,
                char sha256[DIGEST_HEX_MAX], struct error **err) must_check;

static inline void cleanup_fetcher(struct fetcher **f)
{
    fetcher_free(*f);
}
#define autofetcher cleanup(cleanup_fetcher)

#endif
