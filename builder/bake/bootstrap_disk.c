#include "bake/bootstrap_disk.h"

#include "bake/bootstrap_files.h"
#include "bake/bootstrap_grub.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"
#include "base/process.h"
#include "disk/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* In sectors; partition 1 follows the others. Numbers, sizes and order are Ubuntu 24.04's. */
static const struct {
    unsigned number;
    uint64_t start, sectors; /* 0: as large as asked for */
    const char *type;        /* GPT partition types, UEFI specification and systemd's list */
} partitions[] = {
    {1, 2099200, 0, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"},       /* Linux file system */
    {14, 2048, 8192, "21686148-6449-6E6F-744E-656564454649"},      /* BIOS boot */
    {15, 10240, 217088, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"},   /* EFI system */
    {16, 227328, 1869824, "BC13C2FF-59E6-4262-A352-B275FD6F7172"}, /* extended boot loader */
};
enum { P_ROOT, P_BIOS, P_ESP, P_BOOT };
enum { TAIL_SECTORS = 2048 }; /* the second partition table, and alignment */

static const uint64_t MIB = 1 << 20;

void bootstrap_uuid(const char *seed, const char *name, char uuid[UUID_TEXT])
{
    char hex[DIGEST_HEX_MAX];
    struct digest *d = digest_new(DIGEST_SHA256);
    digest_add(d, seed, strlen(seed) + 1);
    digest_add(d, name, strlen(name));
    digest_finish(d, hex);
    digest_free(d);
    hex[12] = '8';
    hex[16] = "89ab"[hex[16] & 3];
    snprintf(uuid, UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

/* Half as much again for what will be put in, 512 MiB more, inodes and journal; at least 2 GiB. */
uint64_t bootstrap_root_sectors(const struct tar_totals *totals)
{
    uint64_t bytes = totals->bytes + totals->bytes / 2 + totals->members * 256 + 512 * MIB;
    if (bytes < 2048 * MIB)
        bytes = 2048 * MIB;
    return (bytes + 256 * MIB - 1) / (256 * MIB) * (256 * MIB) / SECTOR;
}

char *bootstrap_table(const char *seed, const struct bootstrap_platform *p, uint64_t root_sectors)
{
    autobuffer struct buffer b = {0};
    char uuid[UUID_TEXT];
    bootstrap_uuid(seed, "disk", uuid);
    buffer_printf(&b, "label: gpt\nlabel-id: %s\nunit: sectors\nfirst-lba: 2048\n", uuid);
    for (size_t i = 0; i < COUNT(partitions); i++) {
        char name[32];
        if (i == P_BIOS && !p->bios.format)
            continue;
        snprintf(name, sizeof name, "partition %u", partitions[i].number);
        bootstrap_uuid(seed, name, uuid);
        uint64_t sectors = partitions[i].sectors ? partitions[i].sectors : root_sectors;
        buffer_printf(&b, "%u : start=%llu, size=%llu, type=%s, uuid=%s\n", partitions[i].number,
                      (unsigned long long)partitions[i].start, (unsigned long long)sectors,
                      partitions[i].type, uuid);
    }
    return buffer_take(&b);
}

bool bootstrap_disk_partition(const char *raw, const char *seed, const struct bootstrap_platform *p,
                              uint64_t root_sectors, struct error **err)
{
    autoclose int fd = open(raw, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t size = (partitions[P_ROOT].start + root_sectors + TAIL_SECTORS) * SECTOR;
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot make %s", raw);
    autofree char *table = bootstrap_table(seed, p, root_sectors);
    const char *argv[] = {"sfdisk", "--quiet", "--no-reread", "--no-tell-kernel",
                          "--wipe", "never",   raw,           NULL};
    const char *env[] = {"LC_ALL=C.UTF-8", NULL};
    struct process sfdisk = {.argv = argv,
                             .env = env,
                             .input = table,
                             .input_size = strlen(table),
                             .timeout_seconds = 60,
                             .log_output = true};
    return process_check(&sfdisk, ERROR_HOST, NULL, err);
}

/* The features that Linux 5.x, GRUB 2.06 and libext2fs 1.46 all know, whatever the host's
 * /etc/mke2fs.conf says. */
static const char features[] = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,"
                               "64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,"
                               "extra_isize,metadata_csum";

/* An empty file system, straight into the disk. The file is all holes, so a journal need not be
 * zeroed; inode tables are marked as zeroed (mke2fs makes holes of them), or each guest would write
 * them out on its first boot. */
static bool make_ext4(const struct bootstrap_disk *d, const char *label, uint64_t start,
                      uint64_t sectors, struct error **err)
{
    char uuid[UUID_TEXT], hash[UUID_TEXT];
    autofree char *extended = NULL, *kib = NULL, *now = NULL, *conf_env = NULL;
    autofree char *conf = path_join(d->work, "mke2fs.conf"), *hash_name = path_join(label, "hash");
    bootstrap_uuid(d->seed, label, uuid);
    bootstrap_uuid(d->seed, hash_name, hash);
    if (!file_write(conf, "[defaults]\n", 11, 0600, err))
        return false;
    if (asprintf(&extended,
                 "offset=%llu,hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=1",
                 (unsigned long long)start * SECTOR, hash) < 0 ||
        asprintf(&kib, "%lluk", (unsigned long long)sectors / 2) < 0 ||
        asprintf(&now, "E2FSPROGS_FAKE_TIME=%lld", (long long)d->epoch) < 0 ||
        asprintf(&conf_env, "MKE2FS_CONFIG=%s", conf) < 0)
        abort();
    const char *env[] = {now, conf_env, "LC_ALL=C.UTF-8", "MKE2FS_SKIP_PROGRESS=1", NULL};
    const char *argv[] = {"mke2fs", "-q", "-F",     "-O",   features, "-b", "4096", "-I",
                          "256",    "-i", "16384",  "-m",   "1",      "-L", label,  "-U",
                          uuid,     "-E", extended, d->raw, kib,      NULL};
    struct process p = {.argv = argv, .env = env, .timeout_seconds = 300, .log_output = true};
    return process_check(&p, ERROR_HOST, NULL, err);
}

static bool lay(const struct bootstrap_disk *d, const struct facts *facts, const char *tar,
                struct error **err)
{
    const struct disk_options o = {
        .raw = d->raw, .writable = true, .facts = facts, .epoch = d->epoch};
    autodisk struct disk *disk = NULL;
    return disk_ext4.open(&o, &disk, err) && disk->writer->lay(disk, tar, err) &&
           disk->writer->close(take_ptr(disk), err);
}

/* The folder that the second file system is mounted on must be there before it is. */
static bool lay_mount_point(const struct bootstrap_disk *d, struct facts facts, struct error **err)
{
    autofree char *path = path_join(d->work, "mount-point.tar");
    autobuffer struct buffer tar = {0};
    tar_add(&tar, "boot/", 0755, NULL, NULL, d->epoch);
    tar_end(&tar);
    facts.mount_count = 1;
    return file_write(path, tar.data, tar.size, 0600, err) && lay(d, &facts, path, err);
}

static bool populate(const struct bootstrap_disk *d, uint64_t root_sectors, struct error **err)
{
    const uint64_t root = partitions[P_ROOT].start, boot = partitions[P_BOOT].start;
    const struct facts facts = {
        .mounts = {{.mountpoint = "/",
                    .type = "ext4",
                    .partition = partitions[P_ROOT].number,
                    .offset = root * SECTOR,
                    .size = root_sectors * SECTOR},
                   {.mountpoint = "/boot",
                    .type = "ext4",
                    .partition = partitions[P_BOOT].number,
                    .offset = boot * SECTOR,
                    .size = partitions[P_BOOT].sectors * SECTOR}},
        .mount_count = 2,
    };
    return make_ext4(d, BOOTSTRAP_ROOT_LABEL, root, root_sectors, err) &&
           make_ext4(d, BOOTSTRAP_BOOT_LABEL, boot, partitions[P_BOOT].sectors, err) &&
           lay_mount_point(d, facts, err) && lay(d, &facts, d->tar, err);
}

bool bootstrap_disk_make(const struct bootstrap_disk *d, struct error **err)
{
    uint64_t root_sectors = bootstrap_root_sectors(&d->totals);
    char serial[UUID_TEXT];
    bootstrap_uuid(d->seed, BOOTSTRAP_ESP_LABEL, serial);
    struct bootstrap_grub grub = {
        .raw = d->raw,
        .work = d->work,
        .bios_start = partitions[P_BIOS].start,
        .bios_sectors = partitions[P_BIOS].sectors,
        .esp_start = partitions[P_ESP].start,
        .esp_sectors = partitions[P_ESP].sectors,
        .esp_label = BOOTSTRAP_ESP_LABEL,
        .esp_serial = (uint32_t)strtoul(serial, NULL, 16), /* up to the first dash */
        .epoch = d->epoch,
        .platform = d->platform,
    };
    return bootstrap_disk_partition(d->raw, d->seed, d->platform, root_sectors, err) &&
           populate(d, root_sectors, err) && bootstrap_grub_install(&grub, err);
}
