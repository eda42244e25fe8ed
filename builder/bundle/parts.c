/* One row of bytes in one file or in numbered parts. */
#include "base/file.h"
#include "base/path.h"
#include "bundle/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The number of a part's name, 0 where it is none: F.001 … F.999. */
static unsigned part_number(const char *name)
{
    size_t n = strlen(name);
    const char *d = name + n - 3;
    if (n < 5 || d[-1] != '.' || !isdigit((unsigned char)d[0]) || !isdigit((unsigned char)d[1]) ||
        !isdigit((unsigned char)d[2]))
        return 0;
    return (unsigned)(d[0] - '0') * 100 + (unsigned)(d[1] - '0') * 10 + (unsigned)(d[2] - '0');
}

static char *part_path(const char *base, unsigned number)
{
    char *path = NULL;
    if (asprintf(&path, "%s.%03u", base, number) < 0)
        abort();
    return path;
}

/* The highest part of F that stands in its folder, 0 for none. */
static unsigned highest_part(const char *base)
{
    autofree char *folder = path_dirname(base);
    const char *name = path_basename(base);
    size_t n = strlen(name);
    unsigned highest = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        bool ours = strncmp(e->d_name, name, n) == 0 && strlen(e->d_name) == n + 4;
        unsigned number = ours ? part_number(e->d_name) : 0;
        highest = number > highest ? number : highest;
    }
    if (d)
        closedir(d);
    return highest;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool add_part(struct parts *p, const char *path, struct error **err)
{
    struct stat st;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && p->split)
        return error_set(err, ERROR_UNREACHABLE, "the part %s is missing", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s is no regular file", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    int *fds = realloc(p->fds, (p->count + 1) * sizeof *fds);
    uint64_t *sizes = realloc(p->sizes, (p->count + 1) * sizeof *sizes);
    if (!fds || !sizes)
        abort();
    fds[p->count] = take_fd(&fd);
    sizes[p->count] = (uint64_t)st.st_size;
    p->fds = fds;
    p->sizes = sizes;
    p->count++;
    p->total += (uint64_t)st.st_size;
    return true;
}

static bool open_split(struct parts *p, const char *base, struct error **err)
{
    unsigned highest = highest_part(base);
    p->split = true;
    for (unsigned i = 1; i <= highest; i++) {
        autofree char *path = part_path(base, i);
        if (!add_part(p, path, err))
            return false;
        uint64_t size = p->sizes[i - 1], first = p->sizes[0];
        if (size == 0 || size > first || (size != first && i < highest))
            return error_set(err, ERROR_INPUT,
                             "the part %s has %ju bytes, where the first has %ju: all but the last "
                             "are of one size; copy it again",
                             path, (uintmax_t)size, (uintmax_t)first);
    }
    return true;
}

bool parts_open(const char *path, struct parts *p, struct error **err)
{
    unsigned number = part_number(path_basename(path));
    *p = (struct parts){.name = path};
    autofree char *base = strdup(path);
    if (!base)
        abort();
    bool there = access(path, F_OK) == 0;
    if (number > 0) {
        base[strlen(base) - 4] = '\0';
        if (number != 1 && there)
            return error_set(err, ERROR_USAGE, "%s is part %u: name the first, %s.001", path,
                             number, base);
        if (number == 1)
            return open_split(p, base, err) &&
                   (p->count || error_errno(err, ERROR_INPUT, ENOENT, "%s", path));
    } else if (!there && errno == ENOENT && highest_part(path) > 0) {
        return open_split(p, path, err);
    }
    return add_part(p, path, err);
}

void parts_close(struct parts *p)
{
    for (size_t i = 0; i < p->count; i++)
        close(p->fds[i]);
    free(p->fds);
    free(p->sizes);
    *p = (struct parts){0};
}

bool parts_read(struct parts *p, void *bytes, size_t size, struct error **err)
{
    char *to = bytes;
    uint64_t start = 0;
    size_t i = 0;
    while (i < p->count && p->at >= start + p->sizes[i])
        start += p->sizes[i++];
    while (size) {
        if (i == p->count)
            return error_set(err, ERROR_INPUT, "%s is cut off", p->name);
        uint64_t in = p->at - start;
        size_t n = size < p->sizes[i] - in ? size : (size_t)(p->sizes[i] - in);
        ssize_t got = n ? pread(p->fds[i], to, n, (off_t)in) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read %s", p->name);
        if (got == 0 && n)
            return error_set(err, ERROR_CHANGED, "%s became shorter while it was read", p->name);
        to += got;
        size -= (size_t)got;
        p->at += (uint64_t)got;
        if (p->at == start + p->sizes[i])
            start += p->sizes[i++];
    }
    return true;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static bool check_absent(const char *path, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return error_set(err, ERROR_CONFLICT,
                         "%s is there already: remove it, or give another name with -o", path);
    return errno == ENOENT || error_errno(err, ERROR_HOST, errno, "%s", path);
}

bool parts_begin(struct parts_out *p, const char *path, uint64_t split, struct error **err)
{
    *p = (struct parts_out){.path = path, .split = split};
    unsigned highest = highest_part(path);
    if (part_number(path_basename(path)) > 0)
        return error_set(err, ERROR_USAGE,
                         "%s is called as a part of a bundle is: choose a name "
                         "that does not end in a number of three digits",
                         path);
    if (highest) {
        autofree char *part = part_path(path, highest);
        return check_absent(part, err);
    }
    return check_absent(path, err);
}

/* A file without a name where the file system has such: whoever is killed leaves nothing. */
static bool open_part(struct parts_out *p, struct part_out *one, struct error **err)
{
    autofree char *folder = path_dirname(p->path);
    one->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (one->fd < 0) {
        if (asprintf(&one->temporary, "%s/.%s.XXXXXX", folder, path_basename(one->final)) < 0)
            abort();
        one->fd = mkostemp(one->temporary, O_CLOEXEC);
        if (one->fd < 0) {
            free(take_ptr(one->temporary));
            return error_errno(err, ERROR_HOST, errno, "cannot create %s", one->final);
        }
        (void)fchmod(one->fd, 0644); /* a FAT file system has no modes */
    }
    return true;
}

static bool next_part(struct parts_out *p, struct error **err)
{
    struct part_out *items = realloc(p->items, (p->count + 1) * sizeof *items);
    if (!items)
        abort();
    p->items = items;
    struct part_out *one = &items[p->count];
    *one = (struct part_out){.fd = -1};
    one->final = p->split ? part_path(p->path, (unsigned)p->count + 1) : strdup(p->path);
    if (!one->final)
        abort();
    p->count++;
    p->room = p->split ? p->split : UINT64_MAX;
    return open_part(p, one, err);
}

bool parts_write(struct parts_out *p, const void *bytes, size_t size, struct error **err)
{
    const char *from = bytes;
    while (size) {
        if (p->room == 0 && !next_part(p, err))
            return false;
        size_t n = size < p->room ? size : (size_t)p->room;
        const struct part_out *one = &p->items[p->count - 1];
        if (!file_write_all(one->fd, from, n, err))
            return error_wrap(err, "%s", one->final);
        from += n;
        size -= n;
        p->room -= n;
    }
    return true;
}

/* Gives a file its name; one that stands there is never replaced. */
static bool publish(const struct part_out *one, struct error **err)
{
    char self[64];
    int rc;
    if (one->temporary) {
        rc = renameat2(AT_FDCWD, one->temporary, AT_FDCWD, one->final, RENAME_NOREPLACE);
        if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
            rc = check_absent(one->final, err) ? rename(one->temporary, one->final) : -1;
    } else {
        snprintf(self, sizeof self, "/proc/self/fd/%d", one->fd);
        rc = linkat(AT_FDCWD, self, AT_FDCWD, one->final, AT_SYMLINK_FOLLOW);
    }
    if (rc == 0)
        return true;
    if (errno == EEXIST)
        return error_set(err, ERROR_CONFLICT, "%s has come to be meanwhile", one->final);
    return error_errno(err, ERROR_HOST, errno, "cannot name %s", one->final);
}

bool parts_commit(struct parts_out *p, struct error **err)
{
    autofree char *folder = path_dirname(p->path);
    for (size_t i = 0; i < p->count; i++)
        if (fsync(p->items[i].fd) < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot write %s", p->items[i].final);
    for (size_t i = p->count; i-- > 0;) {
        if (publish(&p->items[i], err)) {
            free(take_ptr(p->items[i].temporary));
            continue;
        }
        while (++i < p->count)
            unlink(p->items[i].final);
        return false;
    }
    return file_sync(folder, err);
}

void parts_abandon(struct parts_out *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].temporary)
            unlink(p->items[i].temporary);
        if (p->items[i].fd >= 0)
            close(p->items[i].fd);
        free(p->items[i].final);
        free(p->items[i].temporary);
    }
    free(p->items);
    *p = (struct parts_out){0};
}
