/* The generic disk operations through libguestfs.
 *
 * Some calls of its daemon chroot into the image and some give a path below /sysroot to a program
 * (rm, tar, mount), for which an absolute link in the image would lead into the appliance: those
 * get paths whose links have been followed inside the guest first. */
#include "disk/appliance_internal.h"

#include "base/buffer.h"
#include "base/path.h"

#include <errno.h>
#include <string.h>

static bool is_absent(struct appliance *a)
{
    int e = guestfs_last_errno(a->g);
    return e == ENOENT || e == ENOTDIR || e == ELOOP;
}

bool appliance_stat(struct appliance *a, const char *path, bool follow, struct disk_stat *st,
                    bool *found, struct error **err)
{
    struct guestfs_statns *s =
        APPLIANCE_CALL(a, follow ? guestfs_statns(a->g, path) : guestfs_lstatns(a->g, path));
    *found = s != NULL;
    if (!s)
        return is_absent(a) ||
               appliance_fail(a, err, ERROR_GUEST, "cannot look at %s in the image", path);
    *st = (struct disk_stat){.mode = (mode_t)s->st_mode,
                             .uid = (uint32_t)s->st_uid,
                             .gid = (uint32_t)s->st_gid,
                             .size = (uint64_t)s->st_size};
    guestfs_free_statns(s);
    return true;
}

/* True if a link in this folder says more `..` than there are folders above it. */
static bool leaves_root(const char *folder, const char *target)
{
    long depth = 0;
    for (const char *c = folder; *target != '/' && *c; c++)
        depth += *c == '/' && c[1] != '\0';
    autofree char *copy = strdup(target);
    char *save = NULL;
    for (char *w = strtok_r(copy, "/", &save); w; w = strtok_r(NULL, "/", &save)) {
        depth += strcmp(w, "..") == 0 ? -1 : strcmp(w, ".") != 0;
        if (depth < 0)
            return true;
    }
    return false;
}

/* What a link in the folder leads to. */
static char *real(struct appliance *a, const char *folder, const char *path, struct error **err)
{
    autofree char *target = APPLIANCE_CALL(a, guestfs_readlink(a->g, path));
    if (!target)
        return appliance_fail(a, err, ERROR_GUEST, "cannot read the link %s", path), NULL;
    if (leaves_root(folder, target))
        return error_set(err, ERROR_INPUT, "%s in the image is a link that leads out of it", path),
               NULL;
    char *r = APPLIANCE_CALL(a, guestfs_realpath(a->g, path));
    if (!r && is_absent(a))
        error_set(err, ERROR_INPUT, "%s in the image is a link that leads nowhere", path);
    else if (!r)
        appliance_fail(a, err, ERROR_GUEST, "cannot follow %s in the image", path);
    return r;
}

char *appliance_resolve(struct appliance *a, const char *path, bool last, struct error **err)
{
    if (strcmp(path, "/") == 0)
        return strdup("/");
    autofree char *above = path_dirname(path);
    autofree char *parent = appliance_resolve(a, above, true, err);
    if (!parent)
        return NULL;
    autofree char *whole = path_join(parent, path_basename(path));
    struct disk_stat st;
    bool found;
    if (!last)
        return take_ptr(whole);
    if (!appliance_stat(a, whole, false, &st, &found, err))
        return NULL;
    return found && S_ISLNK(st.mode) ? real(a, parent, whole, err) : take_ptr(whole);
}

static bool read_file(struct disk *d, const char *path, size_t max, char **text, size_t *size,
                      struct error **err)
{
    struct appliance *a = (struct appliance *)d;
    struct disk_stat st;
    bool found;
    if (!appliance_stat(a, path, true, &st, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_INPUT, "%s is not in the image", path);
    if (!S_ISREG(st.mode))
        return error_set(err, ERROR_INPUT, "%s in the image is no file", path);
    if (st.size > max)
        return error_set(err, ERROR_INPUT, "%s in the image has more than %zu bytes", path, max);
    size_t got = 0;
    autofree char *bytes = APPLIANCE_CALL(a, guestfs_read_file(a->g, path, &got));
    if (!bytes)
        return appliance_fail(a, err, ERROR_GUEST, "cannot read %s in the image", path);
    autobuffer struct buffer b = {0};
    buffer_add(&b, bytes, got);
    if (size)
        *size = got;
    *text = buffer_take(&b);
    return true;
}

static bool stat_path(struct disk *d, const char *path, bool follow, struct disk_stat *st,
                      bool *found, struct error **err)
{
    return appliance_stat((struct appliance *)d, path, follow, st, found, err);
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static bool list(struct disk *d, const char *path, char ***names, struct error **err)
{
    struct appliance *a = (struct appliance *)d;
    char **all = APPLIANCE_CALL(a, guestfs_ls(a->g, path));
    if (!all && !is_absent(a))
        return appliance_fail(a, err, ERROR_GUEST, "cannot list %s in the image", path);
    if (!all)
        all = calloc(1, sizeof *all);
    if (!all)
        abort();
    size_t n = 0;
    while (all[n])
        n++;
    qsort(all, n, sizeof *all, by_name);
    *names = all;
    return true;
}

static bool remove_tree(struct disk *d, const char *path, struct error **err)
{
    struct appliance *a = (struct appliance *)d;
    struct disk_stat st;
    bool found;
    if (!appliance_stat(a, path, false, &st, &found, err))
        return false;
    if (!found)
        return true;
    autofree char *where = appliance_resolve(a, path, false, err);
    if (!where)
        return false;
    if (strcmp(where, "/") == 0)
        return error_set(err, ERROR_INTERNAL, "the root of the image is not removed");
    if (APPLIANCE_CALL(a, guestfs_rm_rf(a->g, where)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot remove %s in the image", path);
    return true;
}

static bool truncate_file(struct disk *d, const char *path, struct error **err)
{
    struct appliance *a = (struct appliance *)d;
    struct disk_stat st;
    bool found;
    if (!appliance_stat(a, path, true, &st, &found, err))
        return false;
    if (!found || st.size == 0)
        return true;
    if (!S_ISREG(st.mode))
        return error_set(err, ERROR_INPUT, "%s in the image is no file", path);
    if (APPLIANCE_CALL(a, guestfs_truncate(a->g, path)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot empty %s in the image", path);
    return true;
}

const struct disk_writer disk_appliance = {
    .name = "appliance",
    .open = appliance_open_disk,
    .lay = appliance_lay,
    .read = read_file,
    .stat = stat_path,
    .list = list,
    .remove = remove_tree,
    .truncate = truncate_file,
    .close = appliance_close_disk,
};
