#include "bake/layer.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

static const char disk_name[] = "disk.raw";

bool layer_folder(struct store *s, const char *key, char **folder, struct error **err)
{
    autofree char *layers = NULL;
    if (!store_folder(s, "layers", &layers, err))
        return false;
    *folder = path_join(layers, key);
    return true;
}

bool layer_find(struct store *s, const char *key, char **raw, struct error **err)
{
    autofree char *folder = NULL;
    *raw = NULL;
    if (!layer_folder(s, key, &folder, err))
        return false;
    autofree char *path = path_join(folder, disk_name);
    if (access(path, R_OK) == 0) {
        if (utimensat(AT_FDCWD, folder, NULL, 0) < 0) /* for gc by age */
            log_debug("cannot mark %s as used: %s", folder, strerror(errno));
        *raw = take_ptr(path);
    }
    return true;
}

int layer_lock(struct store *s, const char *key, struct error **err)
{
    autofree char *locks = NULL, *waiting = NULL;
    if (!store_folder(s, "locks", &locks, err))
        return -1;
    autofree char *path = path_join(locks, key);
    if (asprintf(&waiting, "waiting for another build that makes layer %.12s", key) < 0)
        abort();
    return file_lock(path, true, true, waiting, err);
}

static bool copy_raw(const char *from, const char *to, unsigned mode, struct error **err)
{
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", from);
    autoclose int out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (out < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", to);
    uint64_t bytes = 0;
    if (!space_of_copy(from, &bytes, err) || !space_check(to, bytes, "a copy of the disk", err))
        return false;
    return file_copy_sparse(in, out, err) || error_wrap(err, "cannot copy %s", from);
}

bool layer_start(struct store *s, const char *from_raw, struct layer_work *w, struct error **err)
{
    autofree char *layers = NULL;
    if (!store_folder(s, "layers", &layers, err) ||
        !file_temp_dir(layers, ".work-", &w->folder, err))
        return false;
    w->raw = path_join(w->folder, disk_name);
    return !from_raw || copy_raw(from_raw, w->raw, 0600, err);
}

static bool write_made_of(const char *work, const char *const *made_of, struct error **err)
{
    autofree char *path = path_join(work, "made-of");
    autobuffer struct buffer b = {0};
    for (; made_of && *made_of; made_of++)
        buffer_printf(&b, "%s\n", path_basename(*made_of));
    return !b.size || file_write(path, b.data, b.size, 0600, err);
}

/* Renames a finished work folder to its key. One that stands there already was made by somebody
 * else from the same inputs, and stays unless it is to be replaced. */
static bool put(struct store *s, const char *work, const struct layer_work *w, const char *key,
                char **raw, struct error **err)
{
    autofree char *folder = NULL;
    autofree char *disk = path_join(work, disk_name);
    if (!layer_folder(s, key, &folder, err) || !write_made_of(work, w->made_of, err) ||
        !file_sync(disk, err))
        return false;
    autoerror struct error *why = NULL;
    if (chmod(disk, 0400) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", disk);
    if (!file_publish(work, folder, w->replace, &why)) {
        autofree char *there = path_join(folder, disk_name);
        if (error_kind(why) != ERROR_CONFLICT || access(there, R_OK) != 0) {
            *err = take_ptr(why);
            return false;
        }
        if (!file_remove_tree(work, err))
            return false;
    }
    if (raw)
        *raw = path_join(folder, disk_name);
    return true;
}

bool layer_save(struct store *s, const struct layer_work *w, const char *key, struct error **err)
{
    autofree char *layers = NULL;
    autotempdir char *copy = NULL;
    if (!store_folder(s, "layers", &layers, err) || !file_temp_dir(layers, ".work-", &copy, err))
        return false;
    autofree char *disk = path_join(copy, disk_name);
    return copy_raw(w->raw, disk, 0600, err) && put(s, copy, w, key, NULL, err);
}

bool layer_publish(struct store *s, struct layer_work *w, const char *key, char **raw,
                   struct error **err)
{
    if (!put(s, w->folder, w, key, raw, err))
        return false;
    free(w->folder);
    free(w->raw);
    *w = (struct layer_work){0};
    return true;
}

void layer_abandon(struct layer_work *w)
{
    if (w->folder)
        (void)file_remove_tree(w->folder, NULL);
    free(w->folder);
    free(w->raw);
    *w = (struct layer_work){0};
}
