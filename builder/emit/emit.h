/* Emitting: a finished disk becomes a folder of artifacts, whole or not at all.
 */
#ifndef INGOT_EMIT_EMIT_H
#define INGOT_EMIT_EMIT_H

#include "cidata/cidata.h"
#include "contract/contract.h"
#include "plan/plan.h"

struct emit_request {
    const struct plan *plan;
    const struct cidata *seed;
    const char *raw;       /* the finished disk */
    const char *below_raw; /* the layer under the payload, */
    const char *companion; /* and where its compressed qcow2 is kept (made if absent) */
    /* Disk files of an earlier build of the same disk that can be linked instead of converted, or
     * NULL; then raw, below_raw and companion are not looked at. */
    const struct contract_file *reuse;
    size_t reuse_count;
    const char *reuse_folder;
    const char *out; /* final folder; an artifact that is there is replaced with all in it */
};

/* Refuses (ERROR_CONFLICT) to replace what is no artifact: a file, a link, or a folder that has
 * something in it and no image.json. What is absent or empty is fine. */
bool emit_check_folder(const char *out, struct error **err) must_check;

/* On success *files (in the arena) says what there is, without image.json and SHA256SUMS. */
bool emit(const struct emit_request *r, struct arena *a, const struct contract_file **files,
          size_t *count, struct error **err) must_check;

#endif
