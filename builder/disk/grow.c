#include "disk/grow.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/space.h"
#include "base/units.h"
#include "disk/delta.h"
#include "disk/mounts.h"
#include "disk/partitions.h"
#include "disk/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#define TIMEOUT_SECONDS 3600
#define COPY_CHUNK (1 << 20)

static bool check_size(const char *raw, uint64_t size, bool *same, struct error **err)
{
    struct stat st;
    char has[16], wanted[16];
    if (stat(raw, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read the disk %s", raw);
    if (size % 512 != 0)
        return error_set(err, ERROR_INPUT, "a disk of %llu bytes: not a multiple of 512",
                         (unsigned long long)size);
    if ((uint64_t)st.st_size > size)
        return error_set(err, ERROR_INPUT,
                         "the disk of the base has %s already, more than the %s that are wanted",
                         units_format_size((uint64_t)st.st_size, has),
                         units_format_size(size, wanted));
    *same = (uint64_t)st.st_size == size;
    return true;
}

static const struct partition *partition_at(const struct partition_table *t, uint64_t offset)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->partitions[i].offset == offset)
            return &t->partitions[i];
    return NULL;
}

/* The root's partition, if this file can grow it: last on the disk, primary, a clean ext4. */
static bool find_root(const char *raw, const struct facts *facts, struct arena *a,
                      struct partition *root, struct error **err)
{
    struct partition_table t;
    struct fact_mount mounts[FACTS_MAX_MOUNTS];
    size_t count;
    if (!partitions_read(a, raw, &t, err))
        return false;
    if (facts && facts->mount_count)
        mounts[0] = facts->mounts[0];
    else if (!mounts_read(a, NULL, &t, NULL, mounts, &count, err))
        return false;
    const struct partition *p = partition_at(&t, mounts[0].offset);
    if (!p)
        return error_set(err, ERROR_INPUT, "%s has no partition at byte %llu, where the root was",
                         raw, (unsigned long long)mounts[0].offset);
    if (strcmp(p->file_system, "ext4") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "the root is %s, not ext4", p->file_system);
    for (size_t i = 0; i < t.count; i++)
        if (t.partitions[i].offset > p->offset)
            return error_set(err, ERROR_UNSUPPORTED, "the root is not the last partition");
    if (strcmp(t.type, "dos") == 0 && p->number > 4)
        return error_set(err, ERROR_UNSUPPORTED, "the root is a logical partition");
    /* Opening it finds a journal to recover, damage and features not known. */
    struct facts only_root = {.mount_count = 1, .mounts = {mounts[0]}};
    only_root.mounts[0].mountpoint = "/";
    only_root.mounts[0].type = "ext4";
    const struct disk_options o = {.raw = raw, .facts = &only_root};
    autodisk struct disk *d = NULL;
    if (!disk_ext4.open(&o, &d, err))
        return false;
    *root = *p;
    return true;
}

/* Runs one of e2fsprogs with the epoch as its clock. */
static bool run_e2fs(const char *const *argv, int64_t epoch, struct error **err)
{
    char clock[48];
    snprintf(clock, sizeof clock, "E2FSPROGS_FAKE_TIME=%lld", epoch > 0 ? (long long)epoch : 1LL);
    const char *const env[] = {clock, "LC_ALL=C", NULL};
    struct process p = {
        .argv = argv, .env = env, .log_output = true, .timeout_seconds = TIMEOUT_SECONDS};
    return process_check(&p, ERROR_INPUT, NULL, err);
}

/* Makes the ext4 that a file holds from its first byte fill the file, and has it judged. */
static bool resize_ext4(const char *path, int64_t epoch, struct error **err)
{
    /* -f: it asks for an e2fsck before; ours comes behind, and the disk is a copy. */
    const char *const resize[] = {"resize2fs", "-f", path, NULL};
    const char *const judge[] = {"e2fsck", "-fn", path, NULL};
    return run_e2fs(resize, epoch, err) && run_e2fs(judge, epoch, err);
}

/* The partition's entry reaches the end of the disk, and the GPT's backup stands there. */
static bool extend_partition(const char *raw, unsigned number, struct error **err)
{
    char n[16];
    snprintf(n, sizeof n, "%u", number);
    const char *const argv[] = {"sfdisk",
                                "--quiet",
                                "--no-reread",
                                "--no-tell-kernel",
                                "--wipe",
                                "never",
                                "--wipe-partitions",
                                "never",
                                "-N",
                                n,
                                raw,
                                NULL};
    static const char *const env[] = {"LC_ALL=C", NULL};
    struct process p = {.argv = argv,
                        .env = env,
                        .input = ",+\n",
                        .input_size = 3,
                        .log_output = true,
                        .timeout_seconds = TIMEOUT_SECONDS};
    return process_check(&p, ERROR_INPUT, NULL, err);
}

static bool copy_piece(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t size,
                       char *buffer, struct error **err)
{
    while (size > 0) {
        size_t part = size < COPY_CHUNK ? (size_t)size : COPY_CHUNK;
        ssize_t n = pread(from, buffer, part, (off_t)from_at);
        if (n > 0 && pwrite(to, buffer, (size_t)n, (off_t)to_at) != n)
            n = -1;
        if (n <= 0)
            return error_errno(err, ERROR_HOST, n < 0 ? errno : EIO, "cannot copy a partition");
        from_at += (uint64_t)n;
        to_at += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return true;
}

/* The partition as a file of its own: a reflink where that goes, else its data between the holes.
 */
static bool extract(int raw, const struct partition *p, int to, struct error **err)
{
    struct file_clone_range range = {.src_fd = raw, .src_offset = p->offset, .src_length = p->size};
    if (p->size % 4096 == 0 && ioctl(to, FICLONERANGE, &range) == 0)
        return true;
    autofree char *buffer = malloc(COPY_CHUNK);
    uint64_t end = p->offset + p->size;
    if (!buffer)
        abort();
    for (uint64_t at = p->offset; at < end;) {
        off_t data = lseek(raw, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        off_t hole = data < 0 ? -1 : lseek(raw, data, SEEK_HOLE);
        if (data < 0 || hole < 0) { /* a file system without holes */
            data = (off_t)at;
            hole = (off_t)end;
        }
        if ((uint64_t)data >= end)
            break;
        if ((uint64_t)hole > end)
            hole = (off_t)end;
        if (!copy_piece(raw, (uint64_t)data, to, (uint64_t)data - p->offset,
                        (uint64_t)(hole - data), buffer, err))
            return false;
        at = (uint64_t)hole;
    }
    return true;
}

/* Puts what has changed back. */
static bool put_back(int from, int raw, const struct partition *p, struct error **err)
{
    autofree struct changed_cluster *changed = NULL;
    size_t count, used;
    char bytes[DELTA_CLUSTER];
    struct delta_side was = {raw, p->offset}, is = {from, 0};
    if (!delta_find(was, is, p->size, &changed, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        off_t at = (off_t)(p->offset + changed[i].offset);
        if (!delta_read(is, changed[i].offset, p->size, bytes, &used, err))
            return false;
        if (changed[i].zero &&
            fallocate(raw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)used) == 0)
            continue;
        if (pwrite(raw, bytes, used, at) != (ssize_t)used)
            return error_errno(err, ERROR_HOST, errno, "cannot write to the disk");
    }
    log_debug("growing changed %zu clusters of the file system", count);
    return true;
}

/* resize2fs takes an offset, but then cuts the whole disk to the size of the file system (e2fsprogs
 * 1.47): so the partition is grown as a file of its own. */
static bool resize_in_partition(const char *raw, const struct partition *p, uint64_t old_size,
                                int64_t epoch, struct error **err)
{
    autofree char *beside = path_dirname(raw);
    autotempdir char *dir = NULL;
    uint64_t needed;
    if (!space_of_copy(raw, &needed, err) || !space_check(raw, needed, "growing the disk", err) ||
        !file_temp_dir(beside, ".grow-", &dir, err))
        return false;
    autofree char *name = path_join(dir, "partition");
    autoclose int disk = open(raw, O_RDWR | O_CLOEXEC);
    autoclose int file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (disk < 0 || file < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open %s", disk < 0 ? raw : name);
    struct partition before = *p;
    before.size = old_size;
    if (!extract(disk, &before, file, err))
        return false;
    if (ftruncate(file, (off_t)p->size) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot enlarge %s", name);
    return resize_ext4(name, epoch, err) && put_back(file, disk, p, err);
}

bool grow_disk(const char *raw, const struct facts *facts, uint64_t size, int64_t epoch,
               struct error **err)
{
    autoarena struct arena *a = arena_new();
    struct partition root = {0};
    struct partition_table t;
    bool same = false;
    if (!check_size(raw, size, &same, err))
        return false;
    if (same)
        return true;
    if (!find_root(raw, facts, a, &root, err))
        return false;
    if (truncate(raw, (off_t)size) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot enlarge %s", raw);
    if (root.number == 0)
        return resize_ext4(raw, epoch, err) || error_wrap(err, "cannot grow the file system");
    if (!extend_partition(raw, root.number, err) || !partitions_read(a, raw, &t, err))
        return error_wrap(err, "cannot extend the root partition");
    const struct partition *now = partition_at(&t, root.offset);
    if (!now || now->number != root.number || now->size < root.size)
        return error_set(err, ERROR_INTERNAL, "sfdisk did not extend partition %u", root.number);
    return resize_in_partition(raw, now, root.size, epoch, err) ||
           error_wrap(err, "cannot grow the file system");
}
