/* The system layer's work in an open, writable, mounted appliance: packages and the guest agent.
 *
 * Packages come as files that the host has fetched and verified; the appliance has no network. apt
 * guests get them by dpkg, in one call, with no service started and dependencies marked automatic;
 * apk guests by their own apk, by name, from folders with the original signed indexes.
 */
#ifndef INGOT_BAKE_SYSTEM_H
#define INGOT_BAKE_SYSTEM_H

#include "disk/appliance.h"
#include "resolve/apk.h"
#include "resolve/facts.h"
#include "resolve/resolution.h"

struct system_step {
    const struct facts *facts;
    const char *const *wanted; /* package names that are not in the base; NULL at the end */
    const struct resolution *resolution; /* NULL: nothing to install */
    const char *const *files;            /* host path of each package, in the resolution's order */
    const struct package_repository *repositories; /* of the recipe: kept in the guest, but file: */
    size_t repository_count;
    const struct apk_repositories *apk; /* apk guests: with index set on each; else NULL */
    const struct resolution *locked;    /* bake_apk_resolve: packages that keep their versions
                                           (apk_put_locked has put their indexes in front); or NULL */
    const char *tmp;                    /* host folder for temporary files, best beside `files` */
};

/* apk guests: what has to be fetched for step->wanted, as the guest's own apk says from the indexes
 * (resolution and files of the step are not looked at): the locked packages among them, unchanged.
 * ERROR_TRUST where apk does not trust an index; ERROR_INPUT where there is no such package;
 * ERROR_CHANGED where the locked versions contradict what is wanted. */
bool bake_apk_resolve(struct appliance *a, const struct system_step *step, struct arena *arena,
                      const struct resolution **out, struct error **err) must_check;

/* Installs, keeps the recipe's repositories in the guest, and enables the guest agent. ERROR_GUEST
 * with the package manager's last lines. */
bool bake_install(struct appliance *a, const struct system_step *step, struct error **err)
    must_check;

/* Looks that the guest agent is there and started at boot by this init system: the symlink into
 * OpenRC's default run level; Debian's unit is started by udev and needs none. ERROR_GUEST. */
bool bake_enable_agent(struct appliance *a, enum init_system init, struct error **err) must_check;

#endif
