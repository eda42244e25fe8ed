/* The spare drive: an empty sparse file at the launch, which the host fills while the appliance
 * runs (the kernel in it has read nothing of it but its ends, and is told to forget those). */
#include "disk/appliance_internal.h"

#include "base/file.h"
#include "base/path.h"
#include "base/process.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#define SPARE_SIZE (16 * GIB)
#define BLOCK 4096

bool appliance_make_spare(struct appliance *a, const struct appliance_options *o, char **path,
                          struct error **err)
{
    autofree char *folder = o->tmp ? strdup(o->tmp) : path_dirname(o->raw);
    char *name = NULL;
    if (asprintf(&name, "%s/.spare-XXXXXX", folder) < 0)
        abort();
    a->spare = mkostemp(name, O_CLOEXEC);
    if (a->spare < 0) {
        error_errno(err, ERROR_HOST, errno, "cannot make a file in '%s'", folder);
        free(name);
        return false;
    }
    *path = name;
    if (ftruncate(a->spare, SPARE_SIZE) != 0)
        return error_errno(err, ERROR_HOST, errno, "cannot make the file '%s'", name);
    return true;
}

/* nftw(3) has no data argument. */
static _Thread_local struct {
    uint64_t blocks, inodes;
} counted;

static int count(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path;
    (void)type;
    (void)where;
    counted.inodes++;
    counted.blocks += ((uint64_t)st->st_size + BLOCK - 1) / BLOCK + 1;
    return 0;
}

static bool fill(struct appliance *a, const char *folder, struct error **err)
{
    counted.blocks = counted.inodes = 0;
    if (nftw(folder, count, 16, FTW_PHYS) != 0)
        return error_errno(err, ERROR_HOST, errno, "cannot look into '%s'", folder);
    /* Bitmaps, group descriptors and inodes take little beside the files: a fiftieth is plenty. */
    uint64_t blocks = counted.blocks + counted.blocks / 50 + counted.inodes / 8 + 1024;
    if (blocks * BLOCK > SPARE_SIZE)
        return error_set(err, ERROR_SPACE, "more than 16 GiB of packages");
    if (ftruncate(a->spare, 0) != 0 || ftruncate(a->spare, SPARE_SIZE) != 0)
        return error_errno(err, ERROR_HOST, errno, "cannot empty the spare drive");
    char device[64], size[32], inodes[32];
    snprintf(device, sizeof device, "/proc/%d/fd/%d", (int)getpid(), a->spare);
    snprintf(size, sizeof size, "%llu", (unsigned long long)blocks);
    snprintf(inodes, sizeof inodes, "%llu", (unsigned long long)counted.inodes + 32);
    const char *const argv[] = {"mke2fs",
                                "-F",
                                "-q",
                                "-t",
                                "ext4",
                                "-O",
                                "^has_journal,^resize_inode",
                                "-b",
                                "4096",
                                "-m",
                                "0",
                                "-N",
                                inodes,
                                "-E",
                                "root_owner=0:0",
                                "-d",
                                folder,
                                device,
                                size,
                                NULL};
    struct process p = {.argv = argv, .timeout_seconds = 600, .log_output = true};
    return process_check(&p, ERROR_HOST, NULL, err);
}

bool appliance_show_folder(struct appliance *a, const char *host_folder, const char *guest_path,
                           struct error **err)
{
    if (a->spare < 0)
        return error_set(err, ERROR_INTERNAL, "this appliance has no spare drive");
    return fill(a, host_folder, err) && appliance_make_dirs(a, guest_path, err) &&
           appliance_mount_drive(a, a->spare_number, guest_path, err);
}

bool appliance_hide_folder(struct appliance *a, const char *guest_path, struct error **err)
{
    return appliance_umount_path(a, guest_path, err) &&
           disk_appliance.remove(&a->disk, guest_path, err);
}
