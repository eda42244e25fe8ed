/* Bundles: one file that carries artifacts, or all that a rebuild needs, over an air gap.
 *
 * A tar (POSIX ustar, pax headers for sizes beyond it; IEEE Std 1003.1 "pax"), nothing compressed:
 * what is in it is compressed already. The first member is `manifest.json`, the second its
 * signature where there is one (`manifest.json.sig` OpenSSH, `manifest.json.asc` OpenPGP), then the
 * members in the manifest's order, which is sorted by path. Regular files only, 0644, owner 0, the
 * epoch as their time; two zero blocks at the end and nothing behind them. So one set of members
 * gives one set of bytes.
 *
 *   {"bundle": 1, "requires": [], "kind": "artifacts"|"sources", "epoch": 1704067200,
 *    "names": ["demo"], "members": [{"path": "demo/image.json", "bytes": 12, "sha256": "…"}, …]}
 *
 * kind artifacts: TITLE/… as in out/TITLE/ (one or more), with recipe, lock and licences below it.
 * kind sources: blobs/sha256/HEX, and recipe/… with the recipe, its lock and its local files.
 *
 * Parts: F.001, F.002 …, which cat(1) joins to F. Readers take F, or F.001 with its neighbours.
 */
#ifndef INGOT_BUNDLE_BUNDLE_H
#define INGOT_BUNDLE_BUNDLE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

enum bundle_kind { BUNDLE_ARTIFACTS, BUNDLE_SOURCES };

struct bundle_member {
    const char *path;   /* in the bundle: relative, clean */
    const char *source; /* host file, when it is written; NULL when it was read */
    uint64_t size;
    const char *sha256; /* NULL when writing: computed */
};

struct bundle {
    enum bundle_kind kind;
    int64_t epoch;
    const char *const *names;            /* titles of artifacts or recipes; NULL at the end */
    const struct bundle_member *members; /* sorted by path, each once */
    size_t count;
    const char *manifest; /* text of manifest.json as it stands in the bundle (reading) */
    size_t manifest_size;
    const char *signature; /* text of the signature, or NULL (reading) */
    size_t signature_size;
    bool openpgp; /* the signature is OpenPGP, else OpenSSH */
};

struct bundle_write_options {
    uint64_t split;       /* bytes of a part; 0: one file */
    const char *sign_key; /* NULL; a file: OpenSSH's private key; 40 or 64 hexadecimal digits: the
                             OpenPGP secret key of that fingerprint */
};
/* Writes the bundle at `path` (or path.001 …), whole or not at all: temporary names, fsync, rename.
 * The sources are read twice (to hash, then to write) and a file that changes between is
 * ERROR_CHANGED. ERROR_CONFLICT where path exists, ERROR_SPACE is said beforehand. */
bool bundle_write(const struct bundle *b, const struct bundle_write_options *o, const char *path,
                  struct error **err) must_check;

struct bundle_reader;
/* Opens a bundle and reads and checks its manifest: ERROR_INPUT for what is none or is malformed,
 * ERROR_UNSUPPORTED for a newer format or unknown `requires`, ERROR_UNREACHABLE for parts that are
 * missing. No member has been looked at yet. */
bool bundle_open(const char *path, struct bundle_reader **out, struct error **err) must_check;
void bundle_close(struct bundle_reader *r);
/* Owned by the reader. */
const struct bundle *bundle_manifest(const struct bundle_reader *r);

/* The signature over the manifest against a public key file (OpenSSH) or a key file with a full
 * fingerprint (OpenPGP). ERROR_TRUST: none, or not by that key. */
bool bundle_check_signature(struct bundle_reader *r, const char *key, const char *fingerprint,
                            struct error **err) must_check;

/* Reads every member in order and compares it with the manifest; on_member, if not NULL, says with
 * a descriptor where a member's bytes also go (-1: nowhere), and on_done that they are there,
 * hashed and right. ERROR_TRUST for a wrong digest, ERROR_INPUT for any other difference between
 * members and manifest, bytes behind the end, links, other types, or a short file. Reports to
 * base/progress. */
struct bundle_sink {
    bool (*on_member)(void *data, const struct bundle_member *m, int *fd, struct error **err);
    bool (*on_done)(void *data, const struct bundle_member *m, int fd, struct error **err);
    void *data;
};
bool bundle_read(struct bundle_reader *r, const struct bundle_sink *sink, struct error **err)
    must_check;

static inline void cleanup_bundle(struct bundle_reader **r)
{
    bundle_close(*r);
}
#define autobundle cleanup(cleanup_bundle)

#endif
