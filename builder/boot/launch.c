#include "boot/launch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "boot/agent.h"
#include "boot/state.h"
#include "boot/xml.h"

#include <string.h>
#include <time.h>

/* A kernel that runs under KVM talks within a few seconds; a boot loader's menu is allowed for. */
#define LIFE_SECONDS 30
#define TICK_MS 250
#define PING_SECONDS 5

static const char host_arch[] =
#if defined(__aarch64__)
    "arm64";
#else
    "amd64";
#endif

bool launch_accel(const struct virt *v, const char *arch, struct accel_verdict *out,
                  struct error **err)
{
    autofree char *cache = state_cache();
    autoerror struct error *why = NULL;
    *out = (struct accel_verdict){.state = ACCEL_ABSENT, .use = ACCEL_TCG};
    if (arch && strcmp(arch, host_arch) != 0) {
        snprintf(out->reason, sizeof out->reason, "the image is for %s: using TCG", arch);
    } else if (!accel_probe(cache, out, &why)) {
        /* libvirt may have a QEMU outside PATH: then only use can tell. */
        if (error_kind(why) != ERROR_HOST)
            return error_set(err, error_kind(why), "%s", error_text(why));
        bool there = access("/dev/kvm", F_OK) == 0;
        out->state = there ? ACCEL_PROBED : ACCEL_ABSENT;
        out->use = there ? ACCEL_KVM : ACCEL_TCG;
        snprintf(out->reason, sizeof out->reason, "this machine has no /dev/kvm: using TCG");
    }
    if (out->state == ACCEL_DENIED && !virt_is_session(v)) {
        /* QEMU will run as a user that may. */
        out->state = ACCEL_PROBED;
        out->use = ACCEL_KVM;
    }
    if (out->use == ACCEL_TCG)
        log_info("%s", out->reason);
    return true;
}

static bool fall_back(struct virt *v, struct domain **d, const char *why, struct error **err)
{
    autofree char *cache = state_cache(), *before = NULL, *after = NULL;
    bool changed;
    struct domain *again = NULL;
    char reason[160];
    snprintf(reason, sizeof reason, "KVM is there but %s: using TCG", why);
    log_info("%s", reason);
    accel_report(cache, false, reason);
    if (!domain_destroy(*d, err) || !domain_xml(*d, &before, err) ||
        !xml_use_tcg(before, &after, &changed, err) || !virt_define(v, after, &again, err))
        return false;
    domain_free(*d);
    *d = again;
    return true;
}

static bool start(struct domain *d, const struct instance *i, off_t *console, struct error **err)
{
    *console = ready_console_size(i->console_log);
    return domain_watch(d, err) && domain_start(d, err);
}

bool launch(struct virt *v, struct domain **d, const struct instance *i,
            const struct accel_verdict *accel, enum ready_stage until, unsigned timeout_seconds,
            bool *started, struct error **err)
{
    bool unproved = accel->use == ACCEL_KVM && accel->state == ACCEL_PROBED, lifeless;
    struct ready_wait w = {.until = until,
                           .timeout_seconds = timeout_seconds,
                           .life_seconds = unproved ? LIFE_SECONDS : 0};
    if (unproved && w.until < READY_KERNEL)
        w.until = READY_KERNEL;
    autoerror struct error *why = NULL;
    *started = start(*d, i, &w.console_from, &why);
    if (!*started && !unproved)
        return error_set(err, error_kind(why), "%s", error_text(why));
    if (*started) {
        if (!ready_wait(v, *d, i, &w, &lifeless, err))
            return false;
        if (!lifeless) {
            autofree char *cache = state_cache();
            if (unproved)
                accel_report(cache, true, "KVM runs guests");
            return true;
        }
    }
    if (!fall_back(v, d, *started ? "no guest shows life under it" : "QEMU does not start with it",
                   err))
        return false;
    *started = start(*d, i, &w.console_from, err);
    w.life_seconds = 0;
    w.until = until;
    return *started && ready_wait(v, *d, i, &w, &lifeless, err);
}

/* --- stopping ------------------------------------------------------------------------------------
 */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* *off is true when the domain is off before the time is over. */
static bool wait_off(struct virt *v, struct domain *d, double seconds, bool *off,
                     struct error **err)
{
    const char *state;
    bool active = true;
    for (double until = now() + seconds; active && now() < until;) {
        if (!domain_state(d, &state, &active, err))
            return false;
        if (active && !virt_wait(v, TICK_MS, err))
            return false;
    }
    *off = !active;
    return true;
}

bool launch_stop(struct virt *v, struct domain *d, unsigned timeout_seconds, bool force,
                 struct error **err)
{
    const char *state;
    bool active, off = false;
    if (!domain_state(d, &state, &active, err))
        return false;
    if (!active)
        return true;
    if (!domain_watch(d, err))
        return false;
    progress_step("stop %s", domain_name(d));
    for (int agent = 1; agent >= 0 && !off; agent--) {
        if (agent && !agent_ping(d, PING_SECONDS, NULL))
            continue;
        progress_note(agent ? "asked its agent" : "pressed its power button");
        autoerror struct error *why = NULL;
        if (!domain_shutdown(d, agent, &why))
            log_debug("%s", error_text(why));
        else if (!wait_off(v, d, timeout_seconds / 2.0, &off, err))
            return false;
    }
    if (off)
        return true;
    if (force)
        return domain_destroy(d, err);
    return error_set(err, ERROR_TIMEOUT,
                     "'%s' does not shut down within %u s: `ingot-boot stop --force %s` pulls the "
                     "plug",
                     domain_name(d), timeout_seconds, domain_name(d));
}

bool launch_delete(struct domain *d, const struct instance *i, struct error **err)
{
    /* The folder comes from metadata that others can write: remove only what looks like ours. */
    autofree char *above = path_dirname(i->folder);
    bool ours = path_is_clean_absolute(i->folder) &&
                strcmp(path_basename(i->folder), i->name) == 0 &&
                strcmp(path_basename(above), "instances") == 0;
    if (!domain_destroy(d, err) || !domain_undefine(d, err))
        return false;
    if (!ours) {
        log_warning("%s is not a folder of instances: left as it is", i->folder);
        return true;
    }
    return file_remove_tree(i->folder, err) ||
           error_wrap(err, "'%s' is removed, its folder %s is not", i->name, i->folder);
}
