/* Small ISO 9660 images with Rock Ridge and Joliet, through libisofs. iso.c is the only file that
 * sees <libisofs/libisofs.h>. */
#ifndef INGOT_CIDATA_ISO_H
#define INGOT_CIDATA_ISO_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct iso_file {
    const char *name, *text;
};

/* Writes an image with these files (0444, root's) in its root, atomically and with mode 0600. Every
 * time in it is `epoch` (seconds, UTC): same input, same bytes. */
bool iso_write(const char *path, const char *label, const struct iso_file *files, size_t count,
               int64_t epoch, struct error **err) must_check;

/* One file from the root, NUL-terminated; NULL where there is none. Free it. */
bool iso_read(const char *path, const char *name, size_t max_bytes, char **text, struct error **err)
    must_check;

#endif
