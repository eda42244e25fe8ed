/* OpenPGP keys of apt repositories. */
#ifndef INGOT_RESOLVE_APT_KEY_H
#define INGOT_RESOLVE_APT_KEY_H

#include "base/error.h"

/* Copies a key to folder/etc/keys/N.asc or N.gpg: apt goes by the name (apt-key(8)). *name gets it,
 * relative to the folder; free it. */
bool apt_key_copy(const char *key, const char *folder, unsigned n, char **name, struct error **err)
    must_check;
/* True if the text is armoured; apt then wants the name to end in .asc, else in .gpg. */
bool apt_key_is_armoured(const char *text);

#endif
