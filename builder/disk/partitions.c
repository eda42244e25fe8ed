#include "disk/partitions.h"

#include <blkid/blkid.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PARTITIONS 128

static void cleanup_probe(blkid_probe *p)
{
    if (*p)
        blkid_free_probe(*p);
}
#define autoprobe cleanup(cleanup_probe)

static const char *text_of(struct arena *a, const char *s)
{
    for (const unsigned char *c = (const unsigned char *)(s ? s : ""); *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            return "";
    return arena_strdup(a, s ? s : "");
}

static const char *value(struct arena *a, blkid_probe probe, const char *key)
{
    const char *s = NULL;
    return blkid_probe_lookup_value(probe, key, &s, NULL) == 0 ? text_of(a, s) : "";
}

/* Which file system lies in [offset, offset + size)? */
static bool probe_file_system(struct arena *a, int fd, const char *path, struct partition *p,
                              struct error **err)
{
    p->file_system = p->label = p->uuid = "";
    autoprobe blkid_probe probe = blkid_new_probe();
    if (!probe ||
        blkid_probe_set_device(probe, fd, (blkid_loff_t)p->offset, (blkid_loff_t)p->size) < 0)
        return error_set(err, ERROR_INPUT, "cannot look at partition %u of %s", p->number, path);
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe,
                                      BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE);
    blkid_probe_enable_partitions(probe, 0);
    if (blkid_do_safeprobe(probe) != 0)
        return true; /* nothing, or more than one thing: unknown */
    p->file_system = value(a, probe, "TYPE");
    p->label = value(a, probe, "LABEL");
    p->uuid = value(a, probe, "UUID");
    return true;
}

static bool read_partition(struct arena *a, int fd, const char *path, blkid_partition from,
                           uint64_t disk_size, struct partition *p, struct error **err)
{
    blkid_loff_t start = blkid_partition_get_start(from), size = blkid_partition_get_size(from);
    p->number = (unsigned)blkid_partition_get_partno(from);
    if (start < 0 || size < 0 || (uint64_t)start > disk_size / 512 ||
        (uint64_t)size > disk_size / 512 - (uint64_t)start)
        return error_set(err, ERROR_INPUT,
                         "%s: partition %u goes beyond the end of the disk; the image is cut short",
                         path, p->number);
    p->offset = (uint64_t)start * 512;
    p->size = (uint64_t)size * 512;
    const char *guid = blkid_partition_get_type_string(from);
    p->type = guid ? text_of(a, guid)
                   : arena_printf(a, "0x%02x", (unsigned)blkid_partition_get_type(from));
    p->name = text_of(a, blkid_partition_get_name(from));
    p->partuuid = text_of(a, blkid_partition_get_uuid(from));
    p->file_system = p->label = p->uuid = "";
    if (p->size == 0 || blkid_partition_is_extended(from))
        return true;
    return probe_file_system(a, fd, path, p, err);
}

static int by_number(const void *a, const void *b)
{
    const struct partition *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* The partitions of the table; *found is false where there is none. */
static bool read_table(struct arena *a, int fd, const char *path, struct partition_table *t,
                       bool *found, struct error **err)
{
    *found = false;
    autoprobe blkid_probe probe = blkid_new_probe();
    if (!probe || blkid_probe_set_device(probe, fd, 0, (blkid_loff_t)t->disk_size) < 0)
        return error_set(err, ERROR_INPUT, "cannot look at %s", path);
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
    blkid_partlist list = blkid_probe_get_partitions(probe);
    blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
    int n = table ? blkid_partlist_numof_partitions(list) : 0;
    if (n <= 0)
        return true;
    if (n > MAX_PARTITIONS)
        return error_set(err, ERROR_INPUT, "%s has more than %d partitions", path, MAX_PARTITIONS);
    *found = true;
    t->type = text_of(a, blkid_parttable_get_type(table));
    struct partition *all = arena_alloc(a, (size_t)n * sizeof *all);
    for (int i = 0; i < n; i++)
        if (!read_partition(a, fd, path, blkid_partlist_get_partition(list, i), t->disk_size,
                            &all[i], err))
            return false;
    qsort(all, (size_t)n, sizeof *all, by_number);
    t->partitions = all;
    t->count = (size_t)n;
    return true;
}

/* libblkid says nothing of a GPT that does not fit its disk: what is left of a disk that was cut.
 */
static bool check_gpt(int fd, const char *path, const struct partition_table *t, struct error **err)
{
    static const char signature[8] = "EFI PART"; /* UEFI 2.10, 5.3.2: at the second sector */
    char has[sizeof signature];
    if (strcmp(t->type, "gpt") == 0 || pread(fd, has, sizeof has, 512) != sizeof has ||
        memcmp(has, signature, sizeof has) != 0)
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s has a GPT that does not fit it: the image is damaged or cut short", path);
}

bool partitions_read(struct arena *a, const char *path, struct partition_table *out,
                     struct error **err)
{
    *out = (struct partition_table){.type = ""};
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read the disk %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s is not a file", path);
    out->disk_size = (uint64_t)st.st_size;
    if (out->disk_size < 64 * 1024)
        return error_set(err, ERROR_INPUT, "%s is too small to be a disk", path);
    bool found;
    /* A table wins over a superblock: the one that a disk had before it was partitioned stays. */
    struct partition whole = {.size = out->disk_size, .type = "", .name = "", .partuuid = ""};
    if (!probe_file_system(a, fd, path, &whole, err) ||
        !read_table(a, fd, path, out, &found, err) || !check_gpt(fd, path, out, err))
        return false;
    if (found || !*whole.file_system)
        return true;
    out->partitions = arena_memdup(a, &whole, sizeof whole);
    out->count = 1;
    return true;
}
