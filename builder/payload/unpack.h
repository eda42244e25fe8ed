/* Members of a fetched archive on their way into the payload. Shared by the files of this layer
 * only.
 */
#ifndef INGOT_PAYLOAD_UNPACK_H
#define INGOT_PAYLOAD_UNPACK_H

#include "payload/tar.h"
#include "plan/plan.h"

#define UNPACK_MAX_MEMBERS 200000
/* An archive may grow to this, and to so many times its size, before it is taken for a bomb. */
#define UNPACK_FREE_BYTES ((uint64_t)256 << 20)
#define UNPACK_MAX_RATIO 250

/* Copies the members of an ENTRY_ARCHIVE from the archive open as fd (named for messages) into t:
 * those that the entry selects, in the archive's order, owned by root. Where the plan itself has a
 * file or link at a member's path, that one stands. Refused by name (ERROR_INPUT): names that are
 * absolute or have `..`, members below a link of the same archive, links that lead out of the
 * entry's folder, devices, set-uid and set-gid files that the recipe does not name, encrypted
 * members, a member that is selected and not there, a damaged archive, and more than the limits
 * above. Folders are written only where nothing lies below them. */
bool unpack_archive(const struct plan *p, const struct plan_entry *e, int fd, const char *name,
                    struct tar_out *t, struct error **err) must_check;

/* The plan's entry at a guest path, or NULL; archives are not looked at. */
const struct plan_entry *plan_entry_at(const struct plan *p, const char *path);

/* True for folders such as /tmp, whose mode is the base's own: one that nobody gave a mode is not
 * written. */
bool folder_has_own_mode(const char *path);

#endif
