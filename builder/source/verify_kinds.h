/* The rows of the table in verify.c, one for each way to verify. */
#ifndef INGOT_SOURCE_VERIFY_KINDS_H
#define INGOT_SOURCE_VERIFY_KINDS_H

#include "base/buffer.h"
#include "source/verify.h"

struct verify_ops {
    /* What must hold, known before the transfer. */
    bool (*expect)(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                   struct expectation *e, struct error **err);
    /* Looks at what came; NULL: its digest says all. */
    bool (*file)(struct fetcher *f, struct arena *a, const struct fetch_request *r,
                 const char *file, struct error **err);
    /* Adds what the kind is, for the name of the store's record. */
    void (*name)(const struct verify *v, struct buffer *b);
};
extern const struct verify_ops verify_by_digest, verify_by_checksums, verify_by_openpgp,
    verify_by_lock, verify_by_apk;

/* False (ERROR_TRUST) where nothing has to be fetched to know that it will be refused: there is no
 * key file. */
bool verify_can_ask(const struct openpgp *o, const char *what, struct error **err) must_check;
/* True only if the key that `o` names has signed the bytes, or where those are NULL the file. Gets
 * the signature and the key through the fetcher. what: the URL of what is signed, redacted. */
bool verify_signed(struct fetcher *f, const struct openpgp *o, const char *file, const void *bytes,
                   size_t size, const char *what, struct error **err) must_check;

#endif
