#include "bundle/import.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/space.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct import {
    const struct bundle_import *o;
    const struct bundle *b;
    struct arena *a;
    char *stage;
    int lock;   /* the stage's descriptor */
    bool *done; /* by top: its destination is there */
    size_t top_count;
    bool elsewhere; /* the member at hand goes to o->other */
    int fd;         /* of the member at hand, -1 */
};

static void cleanup_import(struct import *im)
{
    if (im->fd >= 0)
        close(im->fd);
    if (im->lock >= 0)
        close(im->lock);
    free(im->stage);
    arena_free(im->a);
}

/* Which top a path is below; top_count for none. */
static size_t top_of(const struct import *im, const char *path)
{
    size_t i = 0;
    for (; i < im->top_count; i++) {
        size_t n = strlen(im->o->tops[i]);
        if (strncmp(path, im->o->tops[i], n) == 0 && path[n] == '/')
            break;
    }
    return i;
}

static bool goes_elsewhere(const struct import *im, const struct bundle_member *m)
{
    return top_of(im, m->path) == im->top_count ||
           (im->o->is_other && im->o->is_other(im->o->data, m));
}

/* Where a member is, or is to be, below a folder that holds the tops under other names. */
static char *place(const struct import *im, const char *folder, const char *path, bool final)
{
    size_t top = top_of(im, path);
    char *out = NULL;
    if (asprintf(&out, "%s/%s%s", folder, final ? im->o->names[top] : im->o->tops[top],
                 path + strlen(im->o->tops[top])) < 0)
        abort();
    return out;
}

/* True if the file is there with the member's bytes. */
static bool is_whole(const char *path, const struct bundle_member *m)
{
    char hex[DIGEST_HEX_MAX];
    struct stat st;
    uint64_t size;
    autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == m->size && digest_fd(DIGEST_SHA256, fd, hex, &size, NULL) &&
           strcmp(hex, m->sha256) == 0;
}

/* --- what is there already ----------------------------------------------------------------------
 */

static bool same_tree(const struct import *im, size_t top, const char **other)
{
    for (size_t i = 0; i < im->b->count; i++) {
        const struct bundle_member *m = &im->b->members[i];
        if (top_of(im, m->path) != top || goes_elsewhere(im, m))
            continue;
        autofree char *path = place(im, im->o->folder, m->path, true);
        *other = m->path;
        if (interrupted() || !is_whole(path, m))
            return false;
    }
    for (size_t i = 0; i < im->b->link_count; i++) {
        const struct bundle_link *l = &im->b->links[i];
        char target[BUNDLE_MAX_PATH + 2];
        if (top_of(im, l->path) != top)
            continue;
        autofree char *path = place(im, im->o->folder, l->path, true);
        ssize_t n = readlink(path, target, sizeof target - 1);
        *other = l->path;
        if (n < 0 || (size_t)n != strlen(l->target) || memcmp(target, l->target, (size_t)n) != 0)
            return false;
    }
    return true;
}

static bool look(struct import *im, struct error **err)
{
    struct stat st;
    for (size_t i = 0; i < im->top_count; i++) {
        autofree char *final = path_join(im->o->folder, im->o->names[i]);
        const char *other = NULL;
        if (lstat(final, &st) < 0 && errno == ENOENT)
            continue;
        im->done[i] = same_tree(im, i, &other);
        if (interrupted())
            return interrupt_error(err);
        if (!im->done[i])
            return error_set(err, ERROR_CONFLICT,
                             "%s is there and is not what the bundle has ('%s' differs): move it "
                             "away, or name another folder with --to",
                             final, other ? other : im->o->tops[i]);
        log_info("%s is there already, as it is in the bundle", final);
    }
    return true;
}

/* --- the stage ----------------------------------------------------------------------------------
 */

/* A second import of the same bundle to the same place waits for the first, and then finds that
 * there is nothing to do. */
static bool open_stage(struct import *im, struct error **err)
{
    struct stat mine, there;
    bool said = false;
    if (asprintf(&im->stage, "%s/.ingot-bundle-%.16s", im->o->folder, im->b->manifest_sha256) < 0)
        abort();
    for (;;) {
        if (mkdir(im->stage, 0700) < 0 && errno != EEXIST)
            return error_errno(err, ERROR_HOST, errno, "cannot make %s", im->stage);
        im->lock = open(im->stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (im->lock < 0)
            return error_errno(err, ERROR_HOST, errno, "%s", im->stage);
        while (flock(im->lock, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK)
                return error_errno(err, ERROR_HOST, errno, "cannot lock %s", im->stage);
            if (interrupted())
                return interrupt_error(err);
            if (!said)
                log_info("another import works in %s: waiting for it", im->stage);
            said = true;
            usleep(100000);
        }
        if (fstat(im->lock, &mine) == 0 && lstat(im->stage, &there) == 0 &&
            mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
            break;
        close(take_fd(&im->lock));
    }
    return mine.st_uid == geteuid() ||
           error_set(err, ERROR_TRUST, "%s belongs to another user", im->stage);
}

static uint64_t staged_bytes(const struct import *im, const struct bundle_member *m)
{
    struct stat st;
    autofree char *path = place(im, im->stage, m->path, false);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? file_allocated(&st) : 0;
}

/* Said before the first byte is written. */
static bool check_space(const struct import *im, struct error **err)
{
    uint64_t needed = 0, has = 0;
    char size[16], kept[16];
    for (size_t i = 0; i < im->b->count; i++) {
        const struct bundle_member *m = &im->b->members[i];
        if (goes_elsewhere(im, m) || im->done[top_of(im, m->path)])
            continue;
        needed += (m->size + 4095) / 4096 * 4096;
        has += staged_bytes(im, m);
    }
    if (needed)
        log_info("needs %s in %s%s%s", units_format_size(needed, size), im->o->folder,
                 has ? ", of which an earlier import has left " : "",
                 has ? units_format_size(has, kept) : "");
    return space_check(im->stage, needed > has ? needed - has : 0, "the import", err);
}

/* --- members ------------------------------------------------------------------------------------
 */

static bool make_above(const char *path, struct error **err)
{
    autofree char *above = path_dirname(path);
    return file_make_dirs(above, 0755, err);
}

static bool begin(void *data, const struct bundle_member *m, bool *take, struct error **err)
{
    struct import *im = data;
    const struct bundle_sink *other = im->o->other;
    im->elsewhere = goes_elsewhere(im, m);
    if (im->elsewhere)
        return !other || !other->on_member || other->on_member(other->data, m, take, err);
    if (im->done[top_of(im, m->path)]) {
        *take = false;
        return true;
    }
    autofree char *path = place(im, im->stage, m->path, false);
    if (is_whole(path, m)) {
        *take = false;
        return chmod(path, m->mode) == 0 || error_errno(err, ERROR_HOST, errno, "%s", path);
    }
    if (!make_above(path, err))
        return false;
    (void)unlink(path); /* a link or pipe that stands there is not written through */
    im->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (im->fd < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot create %s", path);
    return true;
}

static bool add(void *data, const void *bytes, size_t size, struct error **err)
{
    struct import *im = data;
    const struct bundle_sink *other = im->o->other;
    if (im->elsewhere)
        return !other || !other->on_bytes || other->on_bytes(other->data, bytes, size, err);
    return file_write_all(im->fd, bytes, size, err);
}

static bool end(void *data, const struct bundle_member *m, struct error **err)
{
    struct import *im = data;
    const struct bundle_sink *other = im->o->other;
    if (im->elsewhere)
        return !other || !other->on_done || other->on_done(other->data, m, err);
    if (fchmod(im->fd, m->mode) < 0 || close(take_fd(&im->fd)) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write '%s'", m->path);
    return true;
}

static bool make_folders_and_links(const struct import *im, struct error **err)
{
    for (const char *const *f = im->b->folders; f && *f; f++) {
        size_t top = top_of(im, *f);
        if (top == im->top_count || im->done[top])
            continue;
        autofree char *path = place(im, im->stage, *f, false);
        if (!file_make_dirs(path, 0755, err))
            return false;
    }
    for (size_t i = 0; i < im->b->link_count; i++) {
        const struct bundle_link *l = &im->b->links[i];
        size_t top = top_of(im, l->path);
        if (top == im->top_count || im->done[top])
            continue;
        autofree char *path = place(im, im->stage, l->path, false);
        if (!make_above(path, err))
            return false;
        (void)unlink(path);
        if (symlink(l->target, path) < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot make the link %s", path);
    }
    return true;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static bool publish(struct import *im, bool *fresh, struct error **err)
{
    if (im->o->before_publish && !im->o->before_publish(im->o->data, im->stage, err))
        return false;
    if (syncfs(im->lock) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write %s", im->o->folder);
    for (size_t i = 0; i < im->top_count; i++) {
        if (im->done[i])
            continue;
        autofree char *from = path_join(im->stage, im->o->tops[i]);
        autofree char *to = path_join(im->o->folder, im->o->names[i]);
        if (access(from, F_OK) != 0)
            continue; /* every member of it went elsewhere */
        if (!file_publish(from, to, false, err))
            return error_wrap(err, "cannot publish %s", to);
        *fresh = true;
    }
    return true;
}

/* Of a bundle that is wrong nothing stays; what was cut short stays to go on from. */
static bool give_up(const struct import *im, struct error **why, struct error **err)
{
    enum error_kind kind = error_kind(*why);
    if (kind == ERROR_INPUT || kind == ERROR_TRUST || kind == ERROR_CONFLICT)
        (void)file_remove_tree(im->stage, NULL);
    else
        log_info("what is there so far stays in %s: the same command goes on from it", im->stage);
    if (err && !*err)
        *err = take_ptr(*why);
    return false;
}

bool bundle_import(struct bundle_reader *r, const struct bundle_import *o, bool *fresh,
                   struct error **err)
{
    cleanup(cleanup_import) struct import im = {
        .o = o, .b = bundle_manifest(r), .a = arena_new(), .lock = -1, .fd = -1};
    const struct bundle_sink sink = {begin, add, end, &im};
    bool made = false;
    while (o->tops[im.top_count])
        im.top_count++;
    im.done = arena_alloc(im.a, (im.top_count + 1) * sizeof *im.done);
    if (!file_make_dirs(o->folder, 0755, err) || !open_stage(&im, err))
        return false;
    if (!look(&im, err)) {
        (void)rmdir(im.stage); /* stays if something of an earlier import is in it */
        return false;
    }
    if (!check_space(&im, err)) {
        (void)rmdir(im.stage);
        return false;
    }
    progress_step("check and unpack the bundle");
    autoerror struct error *why = NULL;
    if (!bundle_read(r, &sink, &why) || !make_folders_and_links(&im, &why) ||
        !publish(&im, &made, &why))
        return give_up(&im, &why, err);
    progress_done();
    if (fresh)
        *fresh = made;
    return file_remove_tree(im.stage, err);
}
