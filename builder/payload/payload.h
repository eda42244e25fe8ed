/* The payload: everything that is just files becomes one deterministic tar (POSIX pax(1) with
 * extended headers only where ustar cannot say it; entries sorted by path, an archive's members in
 * its own order at the place of their folder; numeric ids with empty names, every time the plan's
 * epoch). It names no folders but those that the plan names and those that would be empty: whoever
 * lays it makes parents that lack, and leaves those that are there as they are.
 */
#ifndef INGOT_PAYLOAD_PAYLOAD_H
#define INGOT_PAYLOAD_PAYLOAD_H

#include "plan/plan.h"

/* Writes the tar of the plan's entries to path (whole or not at all, 0600, not synced: it can be
 * made again). Takes the same memory whatever the size of the files. blob says where a fetched blob
 * is: given an entry with a URL, an absolute path that lives as long as the call, or NULL.
 *
 * Every file is verified while it is read: one that changed since the plan was made is ERROR_TRUST.
 * Members of archives are checked: `..`, absolute names, links that lead outside, devices, set-uid
 * bits not allowed by the recipe are refused by name (ERROR_INPUT; see unpack.h). ENTRY_ABSENT
 * entries are not in the tar: they are for the writer. sha256 gets the tar's digest. */
bool payload_write(const struct plan *p,
                   const char *(*blob)(const struct plan_entry *e, void *data), void *data,
                   const char *path, char sha256[DIGEST_HEX_MAX], uint64_t *size,
                   struct error **err) must_check;

#endif
