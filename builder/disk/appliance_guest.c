/* Files, mounts, growth and programs of the guest through an open session. */
#include "disk/appliance_internal.h"

#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/progress.h"

#include <string.h>

#define OUTPUT_MAX ((int64_t)4 << 20)
#define OUTPUT_LINES 12
/* In the guest while a program runs. */
#define OUTPUT_PATH "/.ingot-output"
#define SECTOR 512
#define GPT_TAIL_SECTORS 34
#define ALIGN_SECTORS 2048

/* --- files --------------------------------------------------------------------------------------
 */

bool appliance_write(struct appliance *a, const char *path, const void *bytes, size_t size,
                     mode_t mode, struct error **err)
{
    if (APPLIANCE_CALL(a, guestfs_write(a->g, path, bytes, size)) < 0 ||
        APPLIANCE_CALL(a, guestfs_chown(a->g, 0, 0, path)) < 0 ||
        APPLIANCE_CALL(a, guestfs_chmod(a->g, (int)mode, path)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot write %s in the image", path);
    return true;
}

bool appliance_make_dirs(struct appliance *a, const char *path, struct error **err)
{
    if (APPLIANCE_CALL(a, guestfs_mkdir_p(a->g, path)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot make the folder %s in the image", path);
    return true;
}

bool appliance_symlink(struct appliance *a, const char *target, const char *path,
                       struct error **err)
{
    /* guestfs_ln_s chroots, guestfs_ln_sf does not. */
    const struct disk_writer *w = &disk_appliance;
    if (!w->remove(&a->disk, path, err))
        return false;
    if (APPLIANCE_CALL(a, guestfs_ln_s(a->g, target, path)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot make the link %s in the image", path);
    return true;
}

bool appliance_rename(struct appliance *a, const char *from, const char *to, struct error **err)
{
    if (APPLIANCE_CALL(a, guestfs_rename(a->g, from, to)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot rename %s to %s in the image", from, to);
    return true;
}

/* --- mounts
 * --------------------------------------------------------------------------------------- */

bool appliance_mount_drive(struct appliance *a, unsigned n, const char *guest_path,
                           struct error **err)
{
    char device[] = "/dev/sdb";
    if (n > 20)
        return error_set(err, ERROR_INTERNAL, "there is no drive %u", n);
    device[sizeof device - 2] = (char)('b' + n);
    autofree char *where = appliance_resolve(a, guest_path, true, err);
    if (!where)
        return false;
    /* The host may have written the file anew: no block of it may come from this kernel's cache. */
    if (APPLIANCE_CALL(a, guestfs_blockdev_flushbufs(a->g, device)) < 0 ||
        APPLIANCE_CALL(a, guestfs_mount_ro(a->g, device, where)) < 0)
        return appliance_fail(a, err, ERROR_INTERNAL, "cannot mount a further drive on %s", where);
    return true;
}

bool appliance_umount_path(struct appliance *a, const char *guest_path, struct error **err)
{
    autofree char *where = appliance_resolve(a, guest_path, true, err);
    if (!where)
        return false;
    if (APPLIANCE_CALL(a, guestfs_umount(a->g, where)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot unmount %s in the image", where);
    return true;
}

bool appliance_trim(struct appliance *a, struct error **err)
{
    for (size_t i = 0; i < a->mount_count; i++) {
        if (APPLIANCE_CALL(a, guestfs_fstrim(a->g, a->mounts[i].path, -1)) == 0)
            continue;
        if (a->guard.outcome != GUARD_FINE)
            return appliance_fail(a, err, ERROR_HOST, "cannot trim %s", a->mounts[i].path);
        log_debug("%s (%s) is not trimmed: %s", a->mounts[i].path, a->mounts[i].type,
                  guestfs_last_error(a->g));
    }
    return true;
}

/* --- growth -------------------------------------------------------------------------------------
 */

static int grow_ext(struct appliance *a, const char *device)
{
    if (APPLIANCE_CALL(a, guestfs_e2fsck(a->g, device, GUESTFS_E2FSCK_CORRECT, 1, -1)) < 0)
        return -1;
    return APPLIANCE_CALL(a, guestfs_resize2fs(a->g, device));
}

static int grow_xfs(struct appliance *a, const char *device)
{
    if (APPLIANCE_CALL(a, guestfs_mount_options(a->g, "", device, "/")) < 0 ||
        APPLIANCE_CALL(a, guestfs_xfs_growfs(a->g, "/", GUESTFS_XFS_GROWFS_DATASEC, 1, -1)) < 0)
        return -1;
    return APPLIANCE_CALL(a, guestfs_umount_all(a->g));
}

static int grow_btrfs(struct appliance *a, const char *device)
{
    if (APPLIANCE_CALL(a, guestfs_mount_options(a->g, "", device, "/")) < 0 ||
        APPLIANCE_CALL(a, guestfs_btrfs_filesystem_resize(a->g, "/", -1)) < 0)
        return -1;
    return APPLIANCE_CALL(a, guestfs_umount_all(a->g));
}

static const struct {
    const char *type;
    int (*grow)(struct appliance *a, const char *device);
} growers[] = {
    {"ext4", grow_ext}, {"ext3", grow_ext},    {"ext2", grow_ext},
    {"xfs", grow_xfs},  {"btrfs", grow_btrfs},
};

/* The last sector for a partition that is to fill the disk, or -1; 0 where it fills it already. */
static int64_t last_sector(struct appliance *a, bool gpt, struct error **err)
{
    int64_t sectors = APPLIANCE_CALL(a, guestfs_blockdev_getsz(a->g, "/dev/sda"));
    struct guestfs_partition_list *all = APPLIANCE_CALL(a, guestfs_part_list(a->g, "/dev/sda"));
    if (sectors < 0 || !all) {
        appliance_fail(a, err, ERROR_INPUT, "cannot read the partition table of the image");
        guestfs_free_partition_list(all);
        return -1;
    }
    int64_t end = ((sectors - (gpt ? GPT_TAIL_SECTORS : 0)) / ALIGN_SECTORS) * ALIGN_SECTORS - 1;
    int64_t own_end = -1, others = 0;
    for (uint32_t i = 0; i < all->len; i++) {
        int64_t e = (int64_t)(all->val[i].part_end / SECTOR);
        if (all->val[i].part_num == (int32_t)a->root_partition)
            own_end = e;
        else if (e > others)
            others = e;
    }
    guestfs_free_partition_list(all);
    if (own_end < others) {
        error_set(err, ERROR_UNSUPPORTED,
                  "the disk cannot be grown: the root partition is not the last one on it");
        return -1;
    }
    return own_end >= end ? 0 : end;
}

static bool grow_partition(struct appliance *a, struct error **err)
{
    bool gpt = strcmp(a->table, "gpt") == 0;
    if (gpt && APPLIANCE_CALL(a, guestfs_part_expand_gpt(a->g, "/dev/sda")) < 0)
        return appliance_fail(a, err, ERROR_INPUT, "cannot extend the partition table");
    int64_t end = last_sector(a, gpt, err);
    if (end <= 0)
        return end == 0;
    if (APPLIANCE_CALL(a, guestfs_part_resize(a->g, "/dev/sda", (int)a->root_partition, end)) < 0)
        return appliance_fail(a, err, ERROR_INPUT, "cannot extend partition %u", a->root_partition);
    return true;
}

bool appliance_grow(struct appliance *a, struct error **err)
{
    if (!a->table)
        return error_set(err, ERROR_INTERNAL, "growing a disk needs the facts of it");
    if (a->mounted && !appliance_umount(a, err))
        return false;
    if (a->root_partition && !grow_partition(a, err))
        return false;
    const struct appliance_mount_point *root = &a->mounts[0];
    for (size_t i = 0; i < COUNT(growers); i++) {
        if (strcmp(growers[i].type, root->type) != 0)
            continue;
        if (growers[i].grow(a, root->device) < 0)
            return appliance_fail(a, err, ERROR_GUEST, "cannot grow the %s on %s", root->type,
                                  root->device);
        return true;
    }
    return error_set(err, ERROR_UNSUPPORTED, "a root file system of type %s cannot be grown",
                     *root->type ? root->type : "unknown");
}

/* --- programs
 * --------------------------------------------------------------------------------------- */

/* $0 is the file for the output; what follows is the program. The only text that a shell sees is
 * this constant. stdout is the exit status, so that a failure can be told from a broken call. */
static const char redirect[] = "\"$@\" >\"$0\" 2>&1 </dev/null; echo $?";

static char **command_line(const struct guest_command *c)
{
    size_t n = 0, e = 0;
    while (c->argv[n])
        n++;
    while (c->env && c->env[e])
        e++;
    char **all = calloc(n + e + 6, sizeof *all);
    if (!all)
        abort();
    size_t used = 0;
    all[used++] = (char *)"/bin/sh";
    all[used++] = (char *)"-c";
    all[used++] = (char *)redirect;
    all[used++] = (char *)OUTPUT_PATH;
    if (e)
        all[used++] = (char *)"env";
    for (size_t i = 0; i < e; i++)
        all[used++] = (char *)c->env[i];
    for (size_t i = 0; i < n; i++)
        all[used++] = (char *)c->argv[i];
    return all;
}

/* What the program wrote, at most the last 4 MiB. NULL on failure. */
static char *fetch_output(struct appliance *a, struct error **err)
{
    int64_t size = APPLIANCE_CALL(a, guestfs_filesize(a->g, OUTPUT_PATH));
    if (size < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot read a program's output"), NULL;
    int64_t from = size > OUTPUT_MAX ? size - OUTPUT_MAX : 0;
    autobuffer struct buffer text = {0};
    while (from < size) {
        size_t got = 0;
        autofree char *piece =
            APPLIANCE_CALL(a, guestfs_pread(a->g, OUTPUT_PATH, 1 << 20, from, &got));
        if (!piece)
            return appliance_fail(a, err, ERROR_GUEST, "cannot read a program's output"), NULL;
        if (!got)
            break;
        buffer_add(&text, piece, got);
        from += (int64_t)got;
    }
    if (APPLIANCE_CALL(a, guestfs_rm_f(a->g, OUTPUT_PATH)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot remove a program's output"), NULL;
    return buffer_take(&text);
}

static bool judge(const struct guest_command *c, int status, const char *output, struct error **err)
{
    if (c->status) {
        *c->status = status;
        return true;
    }
    if (status == 0)
        return true;
    autofree char *text = strdup(output);
    const char *last = text ? process_last_lines(text, OUTPUT_LINES) : "";
    const char *what = path_basename(c->argv[0]);
    if (strstr(last, "No space left on device"))
        return error_set(err, ERROR_SPACE,
                         "%s failed in the image, whose file system is full (give the recipe a "
                         "larger 'disk:'):\n%s",
                         what, last);
    if (status == 127 || status == 126)
        return error_set(err, ERROR_GUEST, "%s cannot be run in the image%s%s", c->argv[0],
                         *last ? ": " : "", last);
    return error_set(err, ERROR_GUEST, "%s failed in the image with status %d%s%s", what, status,
                     *last ? ":\n" : "", last);
}

bool appliance_run(struct appliance *a, const struct guest_command *c, struct error **err)
{
    autobuffer struct buffer line = {0};
    for (size_t i = 0; c->argv[i]; i++)
        buffer_printf(&line, " %s", c->argv[i]);
    log_debug("run in the image:%s", line.data ? line.data : "");
    autofree char **all = command_line(c);
    /* The shell makes the file with the umask of the daemon; nothing of it may be left from before,
     * a link least of all. */
    if (!disk_appliance.remove(&a->disk, OUTPUT_PATH, err))
        return false;
    autofree char *said = APPLIANCE_CALL_LIMITED(a, c->timeout_seconds, guestfs_command(a->g, all));
    if (!said)
        return appliance_fail(a, err, ERROR_GUEST, "cannot run %s in the image", c->argv[0]);
    autofree char *output = fetch_output(a, err);
    if (!output)
        return false;
    if (*output)
        log_debug("%s", output);
    char *end = said;
    long status = strtol(said, &end, 10);
    if (end == said)
        return error_set(err, ERROR_GUEST, "%s in the image ended without a status", c->argv[0]);
    bool ok = judge(c, (int)status, output, err);
    if (ok && c->output)
        *c->output = take_ptr(output);
    return ok;
}
