#include "disk/appliance_internal.h"

#include "accel/accel.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define MEMORY_MIB 1024
#define KVM_SECONDS 60
#define TCG_SECONDS 300
#define DEFAULT_CACHE "/var/tmp"

static const char *default_cache;

void appliance_set_cache(const char *cache_dir)
{
    default_cache = cache_dir;
}

bool appliance_fail(struct appliance *a, struct error **err, enum error_kind kind, const char *fmt,
                    ...)
{
    va_list ap;
    va_start(ap, fmt);
    autofree char *what = NULL;
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (a->guard.outcome == GUARD_INTERRUPTED)
        return interrupt_error(err);
    if (a->guard.outcome == GUARD_TIMEOUT)
        return error_set(err, ERROR_TIMEOUT, "%s: the appliance did not answer in time", what);
    if (guestfs_last_errno(a->g) == ENOSPC)
        return error_set(err, ERROR_SPACE,
                         "%s: the file system in the image is full: give the recipe a larger "
                         "'disk:'",
                         what);
    const char *said = guestfs_last_error(a->g);
    return error_set(err, kind, "%s%s%s", what, said ? ": " : "", said ? said : "");
}

void appliance_strings_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static void on_event(guestfs_h *g, void *data, uint64_t event, int handle, int flags,
                     const char *text, size_t size, const uint64_t *array, size_t count)
{
    (void)g;
    (void)data;
    (void)handle;
    (void)flags;
    if (event == GUESTFS_EVENT_PROGRESS) {
        if (count >= 4 && array[3])
            progress_share((unsigned)((double)array[2] / (double)array[3] * 1000));
        return;
    }
    autofree char *line = strndup(text, size);
    size_t used = 0;
    for (size_t i = 0; line && line[i];
         i++) /* the console's colours and bells stay out of the log */
        if ((unsigned char)line[i] >= ' ' || line[i] == '\t' || line[i] == '\n')
            line[used++] = line[i];
    while (used && line[used - 1] == '\n')
        used--;
    if (used)
        log_debug("appliance: %.*s", (int)used, line);
}

static bool add_drive(struct appliance *a, const char *path, struct error **err)
{
    if (guestfs_add_drive_opts(a->g, path, GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw",
                               GUESTFS_ADD_DRIVE_OPTS_READONLY, 1, -1) < 0)
        return appliance_fail(a, err, ERROR_HOST, "cannot give '%s' to the appliance", path);
    return true;
}

static bool add_drives(struct appliance *a, const struct appliance_options *o, const char *spare,
                       struct error **err)
{
    if (!o->writable && !add_drive(a, o->raw, err))
        return false;
    if (o->writable && guestfs_add_drive_opts(a->g, o->raw, GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw",
                                              GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe",
                                              GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort", -1) < 0)
        return appliance_fail(a, err, ERROR_HOST, "cannot give '%s' to the appliance", o->raw);
    for (size_t i = 0; o->drives && o->drives[i]; i++, a->spare_number++)
        if (!add_drive(a, o->drives[i], err))
            return false;
    return !spare || add_drive(a, spare, err);
}

static bool configure(struct appliance *a, const struct appliance_options *o, const char *spare,
                      struct error **err)
{
    guestfs_set_error_handler(a->g, NULL, NULL);
    guestfs_set_event_callback(a->g, on_event,
                               GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY |
                                   GUESTFS_EVENT_WARNING | GUESTFS_EVENT_PROGRESS,
                               0, NULL);
    const char *cache = o->cache_dir ? o->cache_dir : DEFAULT_CACHE;
    if (o->cache_dir && !file_make_dirs(cache, 0700, err))
        return false;
    int memory = o->memory_mib ? (int)o->memory_mib : MEMORY_MIB;
    bool ok = guestfs_set_backend(a->g, "direct") == 0 && guestfs_set_cachedir(a->g, cache) == 0 &&
              guestfs_set_memsize(a->g, memory) == 0 && guestfs_set_smp(a->g, 1) == 0 &&
              guestfs_set_pgroup(a->g, 1) == 0 && guestfs_set_network(a->g, o->network) == 0 &&
              guestfs_set_autosync(a->g, 1) == 0 && guestfs_set_program(a->g, "ingot") == 0 &&
              guestfs_set_backend_setting(a->g, a->kvm ? "force_kvm" : "force_tcg", "1") == 0;
    if (!ok)
        return appliance_fail(a, err, ERROR_INTERNAL, "cannot set the appliance up");
    return add_drives(a, o, spare, err);
}

static void release(struct appliance *a)
{
    if (a->g)
        guestfs_close(a->g);
    guard_stop(&a->guard);
    if (a->spare >= 0)
        close(a->spare);
    for (size_t i = 0; i < a->mount_count; i++) {
        free(a->mounts[i].device);
        free(a->mounts[i].path);
        free(a->mounts[i].type);
    }
    free(a->table);
    free(a->raw);
    free(a);
}

/* One launch on one handle: a handle is never launched twice. */
static bool launch_once(const struct appliance_options *o, bool kvm, struct appliance **out,
                        struct error **err)
{
    struct appliance *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    a->disk.writer = &disk_appliance;
    a->kvm = kvm;
    a->spare = -1;
    a->writable = o->writable;
    a->raw = strdup(o->raw);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    a->g = guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT);
    bool ok = a->g != NULL;
    if (!ok)
        error_errno(err, ERROR_HOST, errno, "cannot make a libguestfs handle");
    autofree char *spare = NULL;
    ok = ok && guard_start(&a->guard, err) &&
         (!o->writable || appliance_make_spare(a, o, &spare, err)) && configure(a, o, spare, err);
    unsigned limit = !kvm ? TCG_SECONDS : o->kvm_seconds ? o->kvm_seconds : KVM_SECONDS;
    if (ok && APPLIANCE_CALL_LIMITED(a, limit, guestfs_launch(a->g)) < 0)
        ok = appliance_fail(a, err, ERROR_HOST, "the appliance does not start");
    if (spare)
        unlink(spare);
    if (!ok) {
        release(a);
        return false;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    a->launch_seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    a->guard.pid = guestfs_get_pid(a->g);
    guestfs_umask(a->g, 022);
    *out = a;
    return true;
}

static void add_mount(struct appliance *a, const char *device, const char *path, const char *type)
{
    if (a->mount_count == FACTS_MAX_MOUNTS)
        return;
    a->mounts[a->mount_count++] =
        (struct appliance_mount_point){strdup(device), strdup(path), strdup(type)};
}

static int by_mountpoint(const void *x, const void *y)
{
    const struct appliance_mount_point *a = x, *b = y;
    return strcmp(a->path, b->path);
}

/* Without facts libguestfs looks for itself. */
static bool inspect(struct appliance *a, struct error **err)
{
    char **roots = APPLIANCE_CALL(a, guestfs_inspect_os(a->g));
    if (!roots)
        return appliance_fail(a, err, ERROR_INPUT, "cannot look for a system on the disk");
    if (!roots[0] || roots[1]) {
        error_set(err, ERROR_INPUT, "there is %s on the disk",
                  roots[0] ? "more than one system" : "no system that libguestfs knows");
        appliance_strings_free(roots);
        return false;
    }
    char **points = APPLIANCE_CALL(a, guestfs_inspect_get_mountpoints(a->g, roots[0]));
    appliance_strings_free(roots);
    if (!points)
        return appliance_fail(a, err, ERROR_INPUT, "cannot say what is mounted where on the disk");
    for (size_t i = 0; points[i] && points[i + 1]; i += 2) {
        char *type = APPLIANCE_CALL(a, guestfs_vfs_type(a->g, points[i + 1]));
        add_mount(a, points[i + 1], points[i], type ? type : "");
        free(type);
    }
    appliance_strings_free(points);
    qsort(a->mounts, a->mount_count, sizeof *a->mounts, by_mountpoint);
    return true;
}

static bool find_mounts(struct appliance *a, const struct facts *f, struct error **err)
{
    if (!f)
        return inspect(a, err);
    a->table = strdup(f->partition_table ? f->partition_table : "");
    for (size_t i = 0; i < f->mount_count; i++) {
        const struct fact_mount *m = &f->mounts[i];
        char device[32] = "/dev/sda";
        if (m->partition)
            snprintf(device, sizeof device, "/dev/sda%u", m->partition);
        add_mount(a, device, m->mountpoint, m->type ? m->type : "");
        if (strcmp(m->mountpoint, "/") == 0)
            a->root_partition = m->partition;
    }
    if (!a->mount_count || strcmp(a->mounts[0].path, "/") != 0)
        return error_set(err, ERROR_INTERNAL, "the facts of the base name no root file system");
    return true;
}

/* Whether KVM is to be tried. */
static bool choose(const struct appliance_options *o, bool *kvm, struct error **err)
{
    *kvm = o->accel == APPLIANCE_KVM;
    if (o->accel != APPLIANCE_PROBE)
        return true;
    struct accel_verdict verdict;
    if (!accel_probe(o->cache_dir, &verdict, err))
        return false;
    *kvm = verdict.use == ACCEL_KVM;
    log_debug("%s", verdict.reason);
    return true;
}

static bool launch(const struct appliance_options *o, struct appliance **out, struct error **err)
{
    bool kvm = false;
    if (!choose(o, &kvm, err))
        return false;
    if (!kvm)
        return launch_once(o, false, out, err);
    autoerror struct error *why = NULL;
    if (launch_once(o, true, out, &why)) {
        accel_report(o->cache_dir, true, NULL);
        return true;
    }
    autoerror struct error *host = NULL;
    if (interrupted())
        return interrupt_error(err);
    if (!appliance_host_check(&host)) {
        *err = take_ptr(host);
        return false;
    }
    log_info("KVM is there and does not run the appliance: using software emulation (TCG)");
    log_debug("%s", error_text(why));
    accel_report(o->cache_dir, false, error_text(why));
    return launch_once(o, false, out, err);
}

bool appliance_launch(const struct appliance_options *o, struct appliance **out, struct error **err)
{
    autoerror struct error *why = NULL;
    struct appliance *made = NULL;
    if (!launch(o, &made, &why)) {
        if (error_kind(why) == ERROR_HOST)
            appliance_explain_launch(&why);
        if (err && !*err)
            *err = take_ptr(why);
        return false;
    }
    autoappliance struct appliance *a = made;
    log_debug("appliance: launched with %s in %.1f s", a->kvm ? "kvm" : "tcg", a->launch_seconds);
    if (!find_mounts(a, o->facts, err) || (!o->no_mount && !appliance_mount(a, err)))
        return false;
    *out = take_ptr(a);
    return true;
}

/* ext4's inode tables stay as they are: the kernel would write zeros over all of them while the
 * appliance runs, tens of MiB of the layer, as far as it comes before the unmount. */
static const char *mount_options(const struct appliance *a, const char *type)
{
    return !a->writable ? "ro" : strcmp(type, "ext4") == 0 ? "noinit_itable" : "";
}

bool appliance_mount(struct appliance *a, struct error **err)
{
    for (size_t i = 0; i < a->mount_count; i++) {
        const struct appliance_mount_point *m = &a->mounts[i];
        int done = APPLIANCE_CALL(
            a, guestfs_mount_options(a->g, mount_options(a, m->type), m->device, m->path));
        if (done < 0)
            return appliance_fail(a, err, ERROR_INPUT, "cannot mount %s of the image on %s",
                                  m->device, m->path);
    }
    a->mounted = true;
    return true;
}

bool appliance_umount(struct appliance *a, struct error **err)
{
    if (APPLIANCE_CALL(a, guestfs_umount_all(a->g)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot unmount the image");
    a->mounted = false;
    return true;
}

bool appliance_snapshot_point(struct appliance *a, struct error **err)
{
    if (!appliance_umount(a, err))
        return false;
    if (APPLIANCE_CALL(a, guestfs_sync(a->g)) < 0)
        return appliance_fail(a, err, ERROR_HOST, "cannot write the image out");
    return true;
}

bool appliance_close(struct appliance *a, struct error **err)
{
    bool ok = appliance_umount(a, err);
    if (ok && APPLIANCE_CALL(a, guestfs_shutdown(a->g)) < 0)
        ok = appliance_fail(a, err, ERROR_HOST, "the appliance lost what it wrote");
    if (ok && a->writable)
        ok = file_sync(a->raw, err);
    release(a);
    return ok;
}

void appliance_abandon(struct appliance *a)
{
    if (a)
        release(a);
}

/* --- as a disk writer opens it -----------------------------------------------------------------
 */

bool appliance_open_disk(const struct disk_options *o, struct disk **out, struct error **err)
{
    struct appliance_options options = {
        .raw = o->raw, .writable = o->writable, .facts = o->facts, .cache_dir = default_cache};
    struct appliance *a = NULL;
    if (!appliance_launch(&options, &a, err))
        return false;
    a->disk_owns = true;
    *out = &a->disk;
    return true;
}

bool appliance_close_disk(struct disk *d, struct error **err)
{
    struct appliance *a = (struct appliance *)d;
    return a->disk_owns ? appliance_close(a, err) : true;
}

struct disk *appliance_as_disk(struct appliance *a)
{
    return &a->disk;
}
