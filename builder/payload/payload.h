/* The payload: everything that is just files becomes one deterministic tar (POSIX pax, entries
 * sorted by path, numeric ids with empty names, every time the plan's epoch).
 */
#ifndef INGOT_PAYLOAD_PAYLOAD_H
#define INGOT_PAYLOAD_PAYLOAD_H

#include "plan/plan.h"

/* Writes the tar of the plan's entries to path (atomically, 0600). blob says where a fetched blob
 * is: given the digest or URL of an entry, an absolute path that lives as long as the call, or NULL.
 * Members of archives are checked: `..`, absolute names, links that lead outside, devices, set-uid
 * bits not allowed by the recipe are refused by name (ERROR_INPUT). ENTRY_ABSENT entries are not in
 * the tar: they are for the writer. sha256 gets the tar's digest. */
bool payload_write(const struct plan *p, const char *(*blob)(const struct plan_entry *e, void *data),
                   void *data, const char *path, char sha256[DIGEST_HEX_MAX], uint64_t *size,
                   struct error **err) must_check;

#endif
