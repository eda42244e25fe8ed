/* A libguestfs appliance with one disk in it, as an explicit session: launch once, do all that
 * needs guest programs or another file system than ext4, shut down, look at what shutdown says.
 *
 * Only appliance*.c see <guestfs.h>. The handle is made with NO_ENVIRONMENT (no LIBGUESTFS_*
 * changes a build), the backend is `direct`, there is one CPU and no network. Console and library
 * messages go to the build log. While a call runs a guard thread looks at interrupted () and at the
 * time limit, and ends the appliance's qemu where the call cannot be cancelled; the disk is then a
 * broken scratch, as after every failure here.
 *
 * The disk may have been made larger by the caller before the launch (appliance_grow), and is
 * written without flushes (cachemode unsafe): appliance_close fsyncs it.
 */
#ifndef INGOT_DISK_APPLIANCE_H
#define INGOT_DISK_APPLIANCE_H

#include "base/arena.h"
#include "base/error.h"
#include "disk/writer.h"
#include "resolve/facts.h"

#include <stdint.h>

struct appliance;

enum appliance_accel {
    APPLIANCE_PROBE, /* what accel_probe says */
    APPLIANCE_TCG,
    APPLIANCE_KVM /* tries it whatever the probe says */
};

struct appliance_options {
    const char *raw; /* the disk, raw */
    bool writable;
    const char *const *drives; /* further raw files, read-only, NULL at the end; or NULL */
    const char *tmp;           /* folder for the spare drive of appliance_show_folder (a file that
                                  has no name while the session runs); NULL: beside raw */
    const struct facts *facts; /* what to mount; NULL: libguestfs' inspection says (10 s more) */
    bool no_mount;             /* for appliance_grow before appliance_mount */
    unsigned memory_mib;       /* 0: 1024 */
    const char *cache_dir;     /* holds the supermin appliance and the verdict on KVM; NULL:
                                  /var/tmp, and no verdict is remembered */
    enum appliance_accel accel;
    unsigned kvm_seconds; /* a launch under KVM that takes longer is given up for TCG; 0: 60 */
    bool network;         /* off unless a recipe asks for it */
};

/* Where disk_appliance.open keeps its appliance and the verdict on KVM. The string must live as
 * long as the process. */
void appliance_set_cache(const char *cache_dir);

/* Launches, and mounts by the facts. Where KVM was tried and failed, launches again with TCG and
 * says so. ERROR_HOST says what the host lacks and the command that mends it. */
bool appliance_launch(const struct appliance_options *o, struct appliance **out, struct error **err)
    must_check;
/* Why no appliance can be made on this host (no qemu, no supermin, no kernel, a kernel that only
 * root may read), each with its remedy: ERROR_HOST. True where nothing is wrong. Launches nothing.
 */
bool appliance_host_check(struct error **err) must_check;

/* Mounts every file system of the facts; read-only where the session is. */
bool appliance_mount(struct appliance *a, struct error **err) must_check;
bool appliance_umount(struct appliance *a, struct error **err) must_check;
/* After this the raw file holds a clean state and may be copied (sparsely) by the caller, who then
 * calls appliance_mount: unmount all, sync. */
bool appliance_snapshot_point(struct appliance *a, struct error **err) must_check;

/* Gives the root file system all of a disk whose raw file was made larger: GPT's second header is
 * moved, the root partition extended (it must be the last one on the disk), the file system checked
 * and resized (ext2 to 4, xfs, btrfs). Call it unmounted; leaves it unmounted. */
bool appliance_grow(struct appliance *a, struct error **err) must_check;
/* Gives unused blocks back to the host (FITRIM); file systems that cannot are passed over. */
bool appliance_trim(struct appliance *a, struct error **err) must_check;

/* Mounts further drive number n (0: the first of options.drives), read-only, on a guest folder that
 * exists. */
bool appliance_mount_drive(struct appliance *a, unsigned n, const char *guest_path,
                           struct error **err) must_check;
bool appliance_umount_path(struct appliance *a, const char *guest_path, struct error **err)
    must_check;

/* Shows a host folder to the guest, read-only, at guest_path, which is made: its files are written
 * into an ext4 (mke2fs -d) on a spare drive that every writable session has, which is much faster
 * than copying them in and leaves nothing behind in the image. One folder at a time, at most 16
 * GiB.
 */
bool appliance_show_folder(struct appliance *a, const char *host_folder, const char *guest_path,
                           struct error **err) must_check;
/* Takes it away, guest_path too. */
bool appliance_hide_folder(struct appliance *a, const char *guest_path, struct error **err)
    must_check;

/* Writes a small file; its owner is root. */
bool appliance_write(struct appliance *a, const char *path, const void *bytes, size_t size,
                     mode_t mode, struct error **err) must_check;
bool appliance_make_dirs(struct appliance *a, const char *path, struct error **err) must_check;
/* A symbolic link; what stands at path is replaced. */
bool appliance_symlink(struct appliance *a, const char *target, const char *path,
                       struct error **err) must_check;
bool appliance_rename(struct appliance *a, const char *from, const char *to, struct error **err)
    must_check;

/* A program in the guest, chrooted, with /dev, /proc and /sys, by its argument vector. Both outputs
 * go to the build log. It needs the guest's /bin/sh, for the redirection. */
struct guest_command {
    const char *const *argv;  /* NULL-terminated */
    const char *const *env;   /* "NAME=value", NULL at the end; or NULL */
    unsigned timeout_seconds; /* 0: none */
    char **output;            /* if not NULL: both outputs, at most 4 MiB of their end; free it */
    int *status;              /* if not NULL: exit status, and a failure is no error */
};
/* ERROR_GUEST with the last lines of its output where it fails; ERROR_TIMEOUT. */
bool appliance_run(struct appliance *a, const struct guest_command *c, struct error **err)
    must_check;

/* The session as a disk for all that works on struct disk (lay, seal). It stays the session's:
 * closing it does not end the session. */
struct disk *appliance_as_disk(struct appliance *a);

/* Unmounts, shuts down (which reports lost writes), fsyncs the disk, frees. */
bool appliance_close(struct appliance *a, struct error **err) must_check;
/* Ends it without looking at errors. */
void appliance_abandon(struct appliance *a);

static inline void cleanup_appliance(struct appliance **a)
{
    if (*a)
        appliance_abandon(*a);
}
#define autoappliance cleanup(cleanup_appliance)

#endif
