#include "bake/system_internal.h"

#include "base/path.h"
#include "source/store.h"

#include <string.h>

bool system_stage(const char *file, const char *folder, const char *name, struct error **err)
{
    autofree char *to = path_join(folder, name);
    return store_link(file, to, err);
}

/* --- by package manager
 * --------------------------------------------------------------------------- */

static const struct manager {
    enum package_manager kind;
    bool (*install)(struct appliance *a, const struct system_step *step, struct error **err);
    bool (*keep)(struct appliance *a, const struct system_step *step, struct error **err);
} managers[] = {
    {PACKAGES_APT, system_apt_install, system_apt_keep_repositories},
    {PACKAGES_APK, system_apk_install, system_apk_keep_repositories},
};

bool bake_install(struct appliance *a, const struct system_step *step, struct error **err)
{
    const struct manager *m = NULL;
    for (size_t i = 0; i < COUNT(managers) && !m; i++)
        if (managers[i].kind == step->facts->packages)
            m = &managers[i];
    bool any = step->resolution && step->resolution->count;
    if (!m && (any || step->repository_count))
        return error_set(err, ERROR_UNSUPPORTED,
                         "packages can be installed into bases with apt or apk, and this has "
                         "neither");
    if (any && !m->install(a, step, err))
        return error_wrap(err, "cannot install the packages");
    if (step->repository_count && !m->keep(a, step, err))
        return error_wrap(err, "cannot keep the package repositories in the image");
    return bake_enable_agent(a, step->facts->init, err);
}

/* --- the guest agent
 * ---------------------------------------------------------------------------------- */

static const char *const units[] = {"/usr/lib/systemd/system/qemu-guest-agent.service",
                                    "/lib/systemd/system/qemu-guest-agent.service",
                                    "/etc/systemd/system/qemu-guest-agent.service"};
#define OPENRC_SCRIPT "/etc/init.d/qemu-guest-agent"
#define OPENRC_LINK "/etc/runlevels/default/qemu-guest-agent"

static bool exists(struct appliance *a, const char *path, bool *found, struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    struct disk_stat st;
    return d->writer->stat(d, path, true, &st, found, err);
}

static bool no_agent(struct error **err, const char *what)
{
    return error_set(err, ERROR_GUEST,
                     "%s is not in the image: the package qemu-guest-agent should have brought it",
                     what);
}

bool bake_enable_agent(struct appliance *a, enum init_system init, struct error **err)
{
    bool found = false;
    if (init == INIT_OPENRC) {
        if (!exists(a, OPENRC_SCRIPT, &found, err))
            return false;
        if (!found)
            return no_agent(err, OPENRC_SCRIPT);
        return exists(a, OPENRC_LINK, &found, err) &&
               (found || appliance_symlink(a, OPENRC_SCRIPT, OPENRC_LINK, err));
    }
    if (init != INIT_SYSTEMD)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the guest agent can be enabled for systemd and OpenRC, and the base has "
                         "neither");
    for (size_t i = 0; i < COUNT(units) && !found; i++)
        if (!exists(a, units[i], &found, err))
            return false;
    return found || no_agent(err, "qemu-guest-agent.service");
}
