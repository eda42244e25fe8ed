/* Settings: what a host or a user decides, never a recipe. A closed list, each with an environment
 * variable and a key of config.yaml; the variable wins, then $XDG_CONFIG_HOME/ingot/config.yaml,
 * then /etc/ingot/config.yaml.
 */
#ifndef INGOT_INGOT_SETTINGS_H
#define INGOT_INGOT_SETTINGS_H

#include "base/arena.h"
#include "base/error.h"

struct setting {
    const char *key, *variable, *meaning, *fallback;
    const char *value;  /* NULL: the fallback holds */
    const char *origin; /* "environment", the file with line and column, or "default" */
    bool list;          /* a YAML list is allowed too: its items are joined with blanks */
};

/* Reads the files and puts what they say into the environment, where the layers look, unless it is
 * there already. *settings is the whole list, ended by a NULL key; it lives in the arena. Unknown
 * keys and wrong types are ERROR_INPUT. */
bool settings_load(struct arena *a, const struct setting **settings, struct error **err) must_check;

#endif
