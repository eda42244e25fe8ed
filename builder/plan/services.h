/* Enabling and disabling services as the symbolic links that they are: what `systemctl enable` and
 * `rc-update add` would do, without running them.
 *
 * systemd (systemctl(1), systemd.unit(5)): the [Install] section of a unit that the payload brings
 * says where the links go (WantedBy=, RequiredBy=, UpheldBy=, Alias=, Also=). A unit that the
 * payload does not bring (it comes from a package) is wanted by the target that is usual for its
 * type. A name without a type is a .service.
 *
 * OpenRC (rc-update(8)): /etc/runlevels/default/NAME links to /etc/init.d/NAME; `boot/NAME` names
 * another runlevel. */
#ifndef INGOT_PLAN_SERVICES_H
#define INGOT_PLAN_SERVICES_H

#include "base/arena.h"
#include "base/error.h"

#define UNIT_MAX_LINKS 32

enum unit_link_kind { UNIT_WANTED_BY, UNIT_REQUIRED_BY, UNIT_UPHELD_BY, UNIT_ALIAS, UNIT_ALSO };

/* One word of an [Install] section. */
struct unit_link {
    enum unit_link_kind kind;
    const char *name;
};

struct unit_install {
    struct unit_link links[UNIT_MAX_LINKS];
    size_t count;
    const char *default_instance; /* or NULL */
};

/* Reads the [Install] section of a unit's text. name is for messages; strings live in a.
 * ERROR_INPUT for words that are no unit names (specifiers among them) and for more than
 * UNIT_MAX_LINKS. */
bool unit_parse_install(struct arena *a, const char *name, const char *text, size_t size,
                        struct unit_install *out, struct error **err) must_check;

#endif
