/* What a .deb says of itself (deb(5)), read by dpkg-deb. */
#ifndef INGOT_RESOLVE_DEB_H
#define INGOT_RESOLVE_DEB_H

#include "base/buffer.h"
#include "resolve/resolution.h"

/* Appends the control stanza of the package in `file`, with a newline at its end and no empty line.
 * ERROR_INPUT where it is not the package, version and architecture that `p` says; ERROR_HOST
 * without dpkg-deb. */
bool deb_control(const struct package *p, const char *file, struct buffer *out, struct error **err)
    must_check;

#endif
