/* Shared by the files of this layer only: the manifest as a text, the tar's headers, parts. */
#ifndef INGOT_BUNDLE_INTERNAL_H
#define INGOT_BUNDLE_INTERNAL_H

#include "base/buffer.h"
#include "bundle/bundle.h"

#define TAR_BLOCK 512
#define BUNDLE_SSH_SIGNATURE BUNDLE_MANIFEST ".sig"
#define BUNDLE_PGP_SIGNATURE BUNDLE_MANIFEST ".asc"

/* --- manifest.c ---------------------------------------------------------------------------------
 */

/* What holds of every bundle, written or read: names, paths, their order, links, counts. */
bool manifest_check(const struct bundle *b, struct error **err) must_check;
/* The text of manifest.json. Free it. */
char *manifest_text(const struct bundle *b);
bool manifest_parse(struct arena *a, const char *text, size_t size, struct bundle *b,
                    struct error **err) must_check;

/* --- header.c -----------------------------------------------------------------------------------
 */

/* The blocks in front of a member's bytes: a ustar header, behind a pax one where that is needed.
 */
void header_add(struct buffer *b, const char *path, uint64_t size, mode_t mode, int64_t epoch);
/* Bytes of a member with its header and its padding. */
uint64_t header_span(const char *path, uint64_t size);
/* For the first two members, whose size only the tar says: the size field of a ustar header whose
 * checksum is right and whose name is `path`; false where it is another. */
bool header_peek(const unsigned char block[TAR_BLOCK], const char *path, uint64_t *size);
/* Why a block is not the header of this member; ERROR_INPUT. */
bool header_explain(const unsigned char block[TAR_BLOCK], const char *path, uint64_t size,
                    struct error **err);
/* The same for the first block of a file: what it may be instead of a bundle. */
bool header_explain_first(const unsigned char block[TAR_BLOCK], const char *file,
                          struct error **err);

/* --- parts.c ------------------------------------------------------------------------------------
 */

struct parts {
    const char *name; /* as given, for messages */
    int *fds;
    uint64_t *sizes;
    size_t count;
    bool split; /* F.001 … */
    uint64_t total, at;
};
bool parts_open(const char *path, struct parts *p, struct error **err) must_check;
void parts_close(struct parts *p);
/* Exactly size bytes from where it stands; fewer are ERROR_INPUT. */
bool parts_read(struct parts *p, void *bytes, size_t size, struct error **err) must_check;

struct parts_out {
    const char *path;
    uint64_t split;
    struct part_out {
        int fd;
        char *final, *temporary; /* temporary NULL: the file has no name yet */
    } * items;
    size_t count;
    uint64_t room; /* left in the last one */
};
bool parts_begin(struct parts_out *p, const char *path, uint64_t split, struct error **err)
    must_check;
bool parts_write(struct parts_out *p, const void *bytes, size_t size, struct error **err)
    must_check;
/* Syncs all and gives them their names, the first part last. */
bool parts_commit(struct parts_out *p, struct error **err) must_check;
void parts_abandon(struct parts_out *p);
#define autoparts cleanup(parts_close)
#define autoparts_out cleanup(parts_abandon)

#endif
