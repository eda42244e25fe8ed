/* Growing a raw disk on the host, without appliance, root or loop device. */
#ifndef INGOT_DISK_GROW_H
#define INGOT_DISK_GROW_H

#include "base/error.h"
#include "resolve/facts.h"

#include <stdint.h>

/* Makes the disk `size` bytes large (a multiple of 512): moves the backup of its GPT, makes the
 * partition of the root reach the end, and the ext4 in it fill the partition. facts NULL: the root
 * is looked for. Every time written is the epoch; the same input gives the same bytes.
 *
 * ERROR_INPUT where the disk is larger than that already; ERROR_UNSUPPORTED, the disk untouched,
 * where the root is no clean ext4 or not the last partition: the appliance must do it. After any
 * other failure the disk is unusable: work on a copy. Needs sfdisk, resize2fs and e2fsck. */
bool grow_disk(const char *raw, const struct facts *facts, uint64_t size, int64_t epoch,
               struct error **err) must_check;

#endif
