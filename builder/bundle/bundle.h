/* Bundles: one file that carries artifacts, or all that a rebuild needs, over an air gap.
 *
 * A tar (POSIX ustar; a pax header with `path` and `size` where ustar cannot say them; IEEE Std
 * 1003.1 "pax"), nothing compressed: what is in it is compressed already. The first member is
 * `manifest.json`, the second its signature where there is one (`manifest.json.sig` OpenSSH,
 * `manifest.json.asc` OpenPGP), then the members in the manifest's order, which is sorted by the
 * bytes of their paths. Regular files only, owner 0, the epoch as their time; two zero blocks at
 * the end and nothing behind them. So the manifest decides every byte that is no payload: one set
 * of members gives one set of bytes, and a reader compares instead of interpreting.
 *
 *   {"bundle": 1, "requires": [], "kind": "artifacts"|"sources", "epoch": 1704067200,
 *    "names": ["demo"],
 *    "members": [{"path": "demo/image.json", "bytes": 12, "sha256": "…"}, …],
 *    "folders": ["recipe/overlays/x/var/empty"],
 *    "links": [{"path": "recipe/overlays/x/etc/a", "target": "../b"}]}
 *
 * A member that is not 0644 says so: `"mode": "0755"`, `"0600"`; there are no others. Folders
 * (those that would be empty) and symbolic links are not in the tar, only in the manifest, and only
 * below recipe/: overlays have them. A link's target is `/dev/null`, or names that lead downwards
 * behind any number of leading `..`, and stays below recipe/.
 *
 * kind artifacts: TITLE/… as in out/TITLE/ (one or more), with recipe, lock and licences below it.
 * kind sources: blobs/sha256/HEX, and recipe/… with the recipes, their locks and local files.
 *
 * Parts: F.001, F.002 …, which cat(1) joins to F; all but the last are of one size. Readers take F,
 * or F.001 with its neighbours.
 */
#ifndef INGOT_BUNDLE_BUNDLE_H
#define INGOT_BUNDLE_BUNDLE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>
#include <sys/types.h>

#define BUNDLE_VERSION 1
#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_MAX_MEMBERS 100000 /* with folders and links */
#define BUNDLE_MAX_NAMES 1000
#define BUNDLE_MAX_PATH 1024
#define BUNDLE_MAX_MANIFEST ((size_t)32 << 20)
#define BUNDLE_MAX_SIGNATURE ((size_t)64 << 10)
#define BUNDLE_MAX_PARTS 999
#define BUNDLE_MIN_SPLIT ((uint64_t)64 << 10)

enum bundle_kind { BUNDLE_ARTIFACTS, BUNDLE_SOURCES };
extern const char *const bundle_kind_names[2];

struct bundle_member {
    const char *path;   /* in the bundle: relative, clean */
    const char *source; /* host file, when it is written; NULL when it was read */
    uint64_t size;      /* when writing: found out */
    const char *sha256; /* when writing: what it must be, or NULL: found out */
    mode_t mode;        /* 0644, 0755, 0600; 0 when writing: 0644 */
};

struct bundle_link {
    const char *path, *target;
};

struct bundle {
    enum bundle_kind kind;
    int64_t epoch;
    const char *const *names;            /* titles of artifacts or recipes; NULL at the end */
    const struct bundle_member *members; /* sorted by path, each once */
    size_t count;
    const char *const *folders; /* sorted; NULL at the end; or NULL */
    const struct bundle_link *links;
    size_t link_count;
    /* When reading: */
    const char *manifest; /* text of manifest.json as it stands in the bundle */
    size_t manifest_size;
    char manifest_sha256[DIGEST_HEX_MAX]; /* names the bundle: it vouches for all that is in it */
    const char *signature;                /* text of the signature, or NULL */
    size_t signature_size;
    bool openpgp;       /* the signature is OpenPGP, else OpenSSH */
    uint64_t payload;   /* bytes of all members */
    uint64_t file_size; /* of the whole, all parts */
    unsigned parts;     /* 1: not split */
};

/* --- writing ------------------------------------------------------------------------------------
 */

struct bundle_write_options {
    uint64_t split;       /* bytes of a part; 0: one file */
    const char *sign_key; /* NULL; a file: OpenSSH's private key; 40 or 64 hexadecimal digits: the
                             OpenPGP secret key of that fingerprint */
};
struct bundle_written {
    uint64_t size;
    unsigned parts; /* 0: not split */
    char manifest_sha256[DIGEST_HEX_MAX];
};
/* Sorts the members by path, as bundle_write wants them; of equal ones with the same source one
 * stays. ERROR_CONFLICT for one path with two sources. */
bool bundle_sort(struct bundle_member *members, size_t *count, struct error **err) must_check;
/* Writes the bundle at `path` (or path.001 …), whole or not at all: nothing stands under its name
 * before all of it is there and synced. Each source is hashed while it is written, and before where
 * its digest is not given; one whose digest is another is ERROR_TRUST where it was given, else
 * ERROR_CHANGED. ERROR_CONFLICT where path or a part of it exists, ERROR_INPUT for members that no
 * bundle may have; ERROR_SPACE is said beforehand. `written` may be NULL. */
bool bundle_write(const struct bundle *b, const struct bundle_write_options *o, const char *path,
                  struct bundle_written *written, struct error **err) must_check;

/* --- reading ------------------------------------------------------------------------------------
 */

/* True if the file, or its first part, begins as a bundle does; a look at its first block only. */
bool bundle_is_one(const char *path);

struct bundle_reader;
/* Opens a bundle and reads and checks its manifest, and the length of the whole against it:
 * ERROR_INPUT for what is none or is malformed, cut or too long, ERROR_UNSUPPORTED for a newer
 * format or unknown `requires`, ERROR_UNREACHABLE for parts that are missing. No member has been
 * looked at yet. */
bool bundle_open(const char *path, struct bundle_reader **out, struct error **err) must_check;
void bundle_close(struct bundle_reader *r);
/* Owned by the reader. */
const struct bundle *bundle_manifest(const struct bundle_reader *r);
const struct bundle_member *bundle_find(const struct bundle *b, const char *path);

/* The signature over the manifest against a public key file (OpenSSH) or a key file with a full
 * fingerprint (OpenPGP). ERROR_TRUST: none, or not by that key; ERROR_USAGE: a fingerprint is
 * missing, or is given for OpenSSH. */
bool bundle_check_signature(struct bundle_reader *r, const char *key, const char *fingerprint,
                            struct error **err) must_check;

/* Reads the members in order and compares them with the manifest. on_member says with *take whether
 * the member is wanted: if not, its bytes are passed over unread (its header is compared all the
 * same). on_bytes gets its bytes in pieces, before they are known to be right; on_done says that
 * they are all there, hashed and right. Each may be NULL. ERROR_TRUST for a wrong digest,
 * ERROR_INPUT for any other difference between members and manifest. Reports to base/progress. */
struct bundle_sink {
    bool (*on_member)(void *data, const struct bundle_member *m, bool *take, struct error **err);
    bool (*on_bytes)(void *data, const void *bytes, size_t size, struct error **err);
    bool (*on_done)(void *data, const struct bundle_member *m, struct error **err);
    void *data;
};
bool bundle_read(struct bundle_reader *r, const struct bundle_sink *sink, struct error **err)
    must_check;

/* One small member as a text, NUL-terminated, hashed and right. Free it. */
bool bundle_text(struct bundle_reader *r, const char *path, size_t max_bytes, char **text,
                 struct error **err) must_check;

/* What the manifest says, as `ls --json` and `inspect --json` print it. */
json_t *bundle_to_json(const struct bundle *b);

static inline void cleanup_bundle(struct bundle_reader **r)
{
    bundle_close(*r);
}
#define autobundle cleanup(cleanup_bundle)

#endif
