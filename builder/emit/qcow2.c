#include "emit/qcow2.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/space.h"
#include "disk/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define TIMEOUT_SECONDS 7200
#define BATCH 256 /* clusters for one qemu-io: 16 MiB of temporary files */

static const struct {
    const char *name, *option; /* option NULL: clusters are not compressed */
} compressions[] = {
    {"zstd", "compression_type=zstd,cluster_size=65536"},
    {"zlib", "compression_type=zlib,cluster_size=65536"},
    {"none", NULL},
};

static bool find_compression(const char *name, const char **option, struct error **err)
{
    for (size_t i = 0; i < COUNT(compressions); i++)
        if (strcmp(name, compressions[i].name) == 0) {
            *option = compressions[i].option;
            return true;
        }
    return error_set(err, ERROR_INTERNAL, "no compression '%s'", name);
}

static bool convert(const char *const *argv, const char *path, struct error **err)
{
    static const char *const env[] = {"LC_ALL=C", NULL};
    struct process p = {.argv = argv, .env = env, .timeout_seconds = TIMEOUT_SECONDS};
    autoresult struct process_result r = {0};
    autoerror struct error *why = NULL;
    if (process_check(&p, ERROR_HOST, &r, &why))
        return true;
    unlink(path);
    return error_set(err, space_ran_out(&r) ? ERROR_SPACE : error_kind(why), "%s", error_text(why));
}

bool qcow2_from_raw(const char *raw, const char *path, const char *compression, struct error **err)
{
    const char *option;
    uint64_t bytes;
    if (!find_compression(compression, &option, err) || !space_of_copy(raw, &bytes, err))
        return false;
    if (!option && !space_check(path, bytes, "the qcow2", err))
        return false;
    const char *const compressed[] = {"qemu-img", "convert", "-q",   "-c", "-f", "raw", "-O",
                                      "qcow2",    "-o",      option, raw,  path, NULL};
    const char *const plain[] = {"qemu-img", "convert", "-q", "-f", "raw",
                                 "-O",       "qcow2",   raw,  path, NULL};
    return convert(option ? compressed : plain, path, err);
}

bool vmdk_from_raw(const char *raw, const char *path, struct error **err)
{
    const char *const argv[] = {
        "qemu-img", "convert", "-q", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized",
        raw,        path,      NULL};
    return convert(argv, path, err);
}

/* One cluster into a file of its own: qemu-io's `write -s` reads a file from its start. */
static bool export_cluster(int fd, uint64_t offset, uint64_t size, const char *path,
                           struct error **err)
{
    char bytes[DELTA_CLUSTER];
    size_t used;
    if (!delta_read((struct delta_side){fd, 0}, offset, size, bytes, &used, err))
        return false;
    /* Not cut: what the batch before left behind the bytes is not read. */
    autoclose int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (to < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot write %s", path);
    return file_write_all(to, bytes, used, err);
}

/* A compressed write over a cluster that is allocated is refused: discard first. */
static bool write_batch(int fd, uint64_t size, const struct changed_cluster *changed, size_t count,
                        const char *dir, const char *path, struct error **err)
{
    autobuffer struct buffer commands = {0};
    for (size_t i = 0; i < count; i++) {
        unsigned long long at = changed[i].offset;
        unsigned long long n = size - at < DELTA_CLUSTER ? size - changed[i].offset : DELTA_CLUSTER;
        buffer_printf(&commands, "discard -q %llu %llu\n", at, n);
        if (changed[i].zero)
            continue;
        char name[32];
        snprintf(name, sizeof name, "%zu", i);
        autofree char *file = path_join(dir, name);
        if (!export_cluster(fd, at, size, file, err))
            return false;
        /* Relative to its working folder, so that no name needs quoting. */
        buffer_printf(&commands, "write -q -c -s %s %llu %llu\n", name, at, n);
    }
    autofree char *absolute = path_absolute(".", path);
    const char *const argv[] = {"qemu-io", "-f",     "qcow2",  "-d", "unmap",
                                "-t",      "unsafe", absolute, NULL};
    static const char *const env[] = {"LC_ALL=C", NULL};
    struct process p = {.argv = argv,
                        .env = env,
                        .cwd = dir,
                        .input = commands.data,
                        .input_size = commands.size,
                        .timeout_seconds = TIMEOUT_SECONDS};
    autoresult struct process_result r = {0};
    autoerror struct error *why = NULL;
    bool ok = process_check(&p, ERROR_HOST, &r, &why);
    if (!ok)
        return error_set(err, space_ran_out(&r) ? ERROR_SPACE : error_kind(why), "%s",
                         error_text(why));
    if (r.err.size) /* a command that failed, or was not understood */
        return error_set(err, space_ran_out(&r) ? ERROR_SPACE : ERROR_HOST, "qemu-io: %s",
                         process_last_lines(r.err.data, 2));
    return true;
}

static bool write_changes(int fd, uint64_t size, const struct changed_cluster *changed,
                          size_t count, const char *path, struct error **err)
{
    autofree char *beside = path_dirname(path);
    autotempdir char *dir = NULL;
    autofree char *where = NULL;
    if (count == 0)
        return true;
    if (!file_temp_dir(beside, ".clusters-", &dir, err))
        return false;
    where = path_absolute(".", dir);
    for (size_t i = 0; i < count; i += BATCH)
        if (!write_batch(fd, size, changed + i, count - i < BATCH ? count - i : BATCH, where, path,
                         err))
            return false;
    return true;
}

static bool copy_file(const char *from, const char *to, struct error **err)
{
    uint64_t bytes;
    if (!space_of_copy(from, &bytes, err) || !space_check(to, bytes, "the qcow2", err))
        return false;
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    autoclose int out = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (in < 0 || out < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open %s", in < 0 ? from : to);
    return file_copy_sparse(in, out, err);
}

static bool update_copy(int old_fd, int new_fd, uint64_t size, const char *old_qcow2,
                        const char *path, struct error **err)
{
    autofree struct changed_cluster *changed = NULL;
    size_t count;
    if (!delta_find((struct delta_side){old_fd, 0}, (struct delta_side){new_fd, 0}, size, &changed,
                    &count, err))
        return false;
    log_debug("%zu clusters of the qcow2 change", count);
    if (copy_file(old_qcow2, path, err) && write_changes(new_fd, size, changed, count, path, err))
        return true;
    unlink(path);
    return false;
}

bool qcow2_rebuild(const char *old_raw, const char *old_qcow2, const char *raw, const char *path,
                   const char *compression, struct error **err)
{
    const char *option;
    struct stat old_st, new_st;
    autoclose int old_fd = open(old_raw, O_RDONLY | O_CLOEXEC);
    autoclose int new_fd = open(raw, O_RDONLY | O_CLOEXEC);
    if (!find_compression(compression, &option, err))
        return false;
    if (old_fd < 0 || new_fd < 0 || fstat(old_fd, &old_st) < 0 || fstat(new_fd, &new_st) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot read %s", old_fd < 0 ? old_raw : raw);
    if (!option || old_st.st_size != new_st.st_size)
        return qcow2_from_raw(raw, path, compression, err);
    return update_copy(old_fd, new_fd, (uint64_t)new_st.st_size, old_qcow2, path, err) ||
           error_wrap(err, "cannot renew the changed clusters");
}
