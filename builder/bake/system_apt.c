/* Packages into a guest with dpkg (Debian, Ubuntu). */
#include "bake/system_internal.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "resolve/apt.h"
#include "resolve/apt_key.h"

#include <string.h>

#define INSTALL_SECONDS 3600
#define POLICY "/usr/sbin/policy-rc.d"
#define POLICY_AWAY "/usr/sbin/policy-rc.d.ingot"
#define EXTENDED_STATES "/var/lib/apt/extended_states"
#define STATE_MAX ((size_t)16 << 20)
/* A package whose Pre-Depends are unpacked in the same call, but not configured yet, is refused; a
 * second call finds them configured. Chains of more than a few do not exist. */
#define PASSES 4

static const char *const env[] = {
    "DEBIAN_FRONTEND=noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN=true",
    "HOME=/root",
    "LC_ALL=C",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    NULL};

/* No service may start in the appliance: invoke-rc.d(8) asks this file; 101 is "action forbidden".
 */
static const char policy[] = "#!/bin/sh\nexit 101\n";

/* The host's folder with the packages under the names that apt gives them. */
static bool stage(const struct system_step *step, const char *folder, struct error **err)
{
    for (size_t i = 0; i < step->resolution->count; i++)
        if (!system_stage(step->files[i], folder, step->resolution->packages[i].filename, err))
            return false;
    return true;
}

static const char **dpkg_command(struct arena *a, const struct resolution *r)
{
    static const char *const fixed[] = {"dpkg", "--force-confdef", "--force-confold",
                                        "--force-unsafe-io", "--install"};
    const char **argv = arena_alloc(a, (COUNT(fixed) + r->count + 1) * sizeof *argv);
    memcpy(argv, fixed, sizeof fixed);
    for (size_t i = 0; i < r->count; i++)
        argv[COUNT(fixed) + i] = arena_printf(a, SYSTEM_DRIVE "/%s", r->packages[i].filename);
    return argv;
}

static bool run_dpkg(struct appliance *a, const struct resolution *r, struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct guest_command c = {
        .argv = dpkg_command(arena, r), .env = env, .timeout_seconds = INSTALL_SECONDS};
    for (unsigned pass = 1; pass < PASSES; pass++) {
        autofree char *output = NULL;
        int status = 0;
        c.output = &output;
        c.status = &status;
        if (!appliance_run(a, &c, err))
            return false;
        if (status == 0)
            return true;
        if (!strstr(output, "pre-dependency problem"))
            break;
        log_debug("once more, for what needs configured packages before it is unpacked");
    }
    c.output = NULL;
    c.status = NULL;
    return appliance_run(a, &c, err);
}

/* Dependencies are marked as apt-mark(8) would: a stanza each in apt's extended_states, so that
 * autoremove knows them. */
static bool mark_automatic(struct appliance *a, const struct system_step *step, struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    struct disk_stat st;
    bool found, any = false;
    autofree char *old = NULL;
    size_t size = 0;
    if (!d->writer->stat(d, EXTENDED_STATES, true, &st, &found, err) ||
        (found && !d->writer->read(d, EXTENDED_STATES, STATE_MAX, &old, &size, err)))
        return false;
    autobuffer struct buffer text = {0};
    buffer_add(&text, old ? old : "", size);
    if (size && !(size > 1 && strcmp(old + size - 2, "\n\n") == 0))
        buffer_puts(&text, old[size - 1] == '\n' ? "\n" : "\n\n");
    for (size_t i = 0; i < step->resolution->count; i++) {
        const struct package *p = &step->resolution->packages[i];
        /* A dependency that is only upgraded keeps the mark that it has. */
        if (!p->automatic || facts_has_package(step->facts, p->name))
            continue;
        const char *arch =
            strcmp(p->architecture, "all") == 0 ? step->facts->architecture : p->architecture;
        buffer_printf(&text, "Package: %s\nArchitecture: %s\nAuto-Installed: 1\n\n", p->name, arch);
        any = true;
    }
    return !any || (appliance_make_dirs(a, "/var/lib/apt", err) &&
                    appliance_write(a, EXTENDED_STATES, text.data, text.size, 0644, err));
}

static bool install(struct appliance *a, const struct system_step *step, struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    struct disk_stat st;
    bool had_policy;
    if (!d->writer->stat(d, POLICY, false, &st, &had_policy, err) ||
        (had_policy && !appliance_rename(a, POLICY, POLICY_AWAY, err)) ||
        !appliance_write(a, POLICY, policy, sizeof policy - 1, 0755, err))
        return false;
    /* After a failure the disk is thrown away, with the policy in it. */
    return run_dpkg(a, step->resolution, err) && d->writer->remove(d, POLICY, err) &&
           (!had_policy || appliance_rename(a, POLICY_AWAY, POLICY, err)) &&
           mark_automatic(a, step, err);
}

bool system_apt_install(struct appliance *a, const struct system_step *step, struct error **err)
{
    autotempdir char *folder = NULL;
    return file_temp_dir(step->tmp, "packages-", &folder, err) && stage(step, folder, err) &&
           appliance_show_folder(a, folder, SYSTEM_DRIVE, err) && install(a, step, err) &&
           appliance_hide_folder(a, SYSTEM_DRIVE, err);
}

static bool keep(struct appliance *a, const struct package_repository *p, unsigned n,
                 struct error **err)
{
    autofree char *text = NULL, *key = NULL, *list = NULL;
    size_t size = 0;
    if (!file_read(p->key, 1 << 20, &text, &size, err))
        return false;
    if (asprintf(&key, "/etc/apt/keyrings/ingot-%u.%s", n,
                 apt_key_is_armoured(text) ? "asc" : "gpg") < 0 ||
        asprintf(&list, "/etc/apt/sources.list.d/ingot-%u.sources", n) < 0)
        abort();
    autofree char *source = apt_repository_source(p->repository, key);
    if (!source)
        return true;
    return appliance_make_dirs(a, "/etc/apt/keyrings", err) &&
           appliance_make_dirs(a, "/etc/apt/sources.list.d", err) &&
           appliance_write(a, key, text, size, 0644, err) &&
           appliance_write(a, list, source, strlen(source), 0644, err);
}

bool system_apt_keep_repositories(struct appliance *a, const struct system_step *step,
                                  struct error **err)
{
    unsigned n = 1;
    for (size_t i = 0; i < step->repository_count; i++)
        if (step->repositories[i].repository->kind == REPOSITORY_APT &&
            !keep(a, &step->repositories[i], n++, err))
            return false;
    return true;
}
