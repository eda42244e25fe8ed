/* What was emitted where: a record in the cache for each output folder, so that a build that would
 * change nothing does nothing, and one that changes only the seed keeps the disk.
 *
 * A file counts as unchanged while its device, inode, size and modification time are those that
 * were recorded when it was written.
 */
#ifndef INGOT_INGOT_OUTPUTS_H
#define INGOT_INGOT_OUTPUTS_H

#include "cidata/cidata.h"
#include "contract/contract.h"
#include "ingot/pipeline.h"

struct outputs {
    char spec[DIGEST_HEX_MAX];         /* HMAC over all that decides what is in the folder */
    char disk[DIGEST_HEX_MAX];         /* digest over what decides the disk files alone */
    const struct contract_file *files; /* of the record; empty where it does not hold */
    size_t count;
    bool all_current;  /* nothing to do */
    bool disk_current; /* the disk files can be linked */
};

/* One build at a time for a folder: a second waits here, and then finds that there is nothing to
 * do. Close the descriptor to let go; -1 on failure. */
int outputs_lock(struct session *s, const char *out, struct error **err) must_check;

/* Computes spec and disk of this build and compares with the record of the folder `out`. */
bool outputs_look(struct pipeline *p, const struct cidata *seed, const char *out, struct outputs *o,
                  struct error **err) must_check;
/* Records what is in the folder now. */
bool outputs_record(struct pipeline *p, const char *out, const struct outputs *o,
                    const struct contract_file *files, size_t count, struct error **err) must_check;

/* The recipe that a folder was built from, and its lock, as they were then; strings in the
 * session's arena, NULL where nothing is recorded. */
struct outputs_recipe {
    const char *path, *sha256; /* absolute */
    const char *lock, *lock_sha256;
};
void outputs_recipe(struct session *s, const char *out, struct outputs_recipe *r);

#endif
