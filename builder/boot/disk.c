#include "boot/disk.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/progress.h"
#include "boot/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define IMG_SECONDS 60
#define CHUNK (1u << 20)

/* digest_fd with a bar. */
static bool hash(int fd, uint64_t size, char hex[DIGEST_HEX_MAX], struct error **err)
{
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(fd, chunk, CHUNK, (off_t)at);
        if (interrupted())
            return interrupt_error(err);
        if (n < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot read");
        if (n == 0)
            break;
        digest_add(d, chunk, (size_t)n);
        at += (uint64_t)n;
        progress_update(at, size);
    }
    digest_finish(d, hex);
    return true;
}

static bool check_bytes(const char *path, const struct contract_file *f, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    struct stat st;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is no regular file", path);
    if ((uint64_t)st.st_size != f->bytes)
        return error_set(err, ERROR_TRUST,
                         "%s: has %lld bytes where image.json says %llu: the artifact is not whole",
                         path, (long long)st.st_size, (unsigned long long)f->bytes);
    if (!hash(fd, f->bytes, hex, err))
        return error_wrap(err, "%s", path);
    return strcmp(hex, f->sha256) == 0 ||
           error_set(err, ERROR_TRUST, "%s: its SHA-256 is %s where image.json says %s", path, hex,
                     f->sha256);
}

/* A disk that names another file would show that file to its guest. */
static bool check_header(const char *path, const struct contract_file *f, struct error **err)
{
    autoresult struct process_result r = {0};
    autojson json_t *info = NULL;
    const char *const argv[] = {"qemu-img", "info", "--output=json", "-f", f->format, path, NULL};
    const struct process p = {.argv = argv, .timeout_seconds = IMG_SECONDS};
    if (!process_check(&p, ERROR_INPUT, &r, err) ||
        !json_parse(r.out.data ? r.out.data : "", r.out.size, "qemu-img's answer", &info, err))
        return error_wrap(err, "%s", path);
    const json_t *data = json_object_get(
        json_object_get(json_object_get(info, "format-specific"), "data"), "data-file");
    const char *other = json_string_or(info, "backing-filename", json_string_value(data));
    if (other)
        return error_set(err, ERROR_TRUST, "%s: refers to another file, '%s', which no image may",
                         path, other);
    return true;
}

bool disk_check(const char *folder, const struct contract *c, struct error **err)
{
    const struct contract_file *f = contract_find_file(c, "disk");
    autofree char *path = path_join(folder, f->name);
    progress_step("check %s", f->name);
    if (strcmp(f->format, "qcow2") != 0 && strcmp(f->format, "raw") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a disk of the format %s cannot be booted here", path, f->format);
    return check_bytes(path, f, err) && check_header(path, f, err);
}

static bool copy(const char *from, const char *to, uid_t uid, gid_t gid, struct error **err)
{
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", from);
    autonew struct new_file out = NEW_FILE;
    if (!file_create(&out, to, 0400, err) || !file_copy_sparse(in, out.fd, err))
        return error_wrap(err, "cannot copy %s", from);
    if (geteuid() == 0 && fchown(out.fd, uid, gid) != 0)
        return error_errno(err, ERROR_HOST, errno, "cannot hand %s to QEMU's user", to);
    return file_commit(&out, err);
}

bool disk_place_base(struct arena *a, const struct virt *v, const char *artifact, const char *dir,
                     const char **base, struct error **err)
{
    autofree char *own = path_join(dir, "base");
    uid_t uid = geteuid();
    gid_t gid = getegid();
    (void)virt_qemu_user(v, &uid, &gid);
    /* An artifact in a pool is a link to its volume. */
    bool linked = linkat(AT_FDCWD, artifact, AT_FDCWD, own, AT_SYMLINK_FOLLOW) == 0;
    if (linked && !state_reachable(own, uid, gid)) {
        unlink(own);
        linked = false;
    }
    /* Never the artifact under its own name: the next build puts another there. */
    if (!linked) {
        log_info("%s cannot be linked to %s: using a copy", artifact, dir);
        if (!copy(artifact, own, uid, gid, err))
            return false;
    }
    *base = arena_strdup(a, own);
    return true;
}

bool disk_make_overlay(const char *base, const char *format, const char *overlay,
                       struct error **err)
{
    /* qemu-img keeps the mode of a file that is there. */
    if (!file_write(overlay, "", 0, 0600, err))
        return false;
    const char *const argv[] = {"qemu-img", "create", "-q", "-f",    "qcow2", "-F",
                                format,     "-b",     base, overlay, NULL};
    const struct process p = {.argv = argv, .timeout_seconds = IMG_SECONDS};
    return process_check(&p, ERROR_HOST, NULL, err) || error_wrap(err, "cannot make the overlay");
}
