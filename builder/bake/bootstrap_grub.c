#include "bake/bootstrap_grub.h"

#include "bake/bootstrap_files.h"
#include "base/file.h"
#include "base/path.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    MAX_IMAGE = 4 << 20,
    BOOT_KERNEL_SECTOR = 0x5c, /* GRUB_BOOT_MACHINE_KERNEL_SECTOR */
    BOOT_DRIVE_CHECK = 0x66,   /* GRUB_BOOT_MACHINE_DRIVE_CHECK */
    BOOT_BPB_END = 0x5a,       /* GRUB_BOOT_MACHINE_BPB_END: the BPB before it stays the disk's */
    BOOT_BPB_START = 0x3,
    BOOT_WINDOWS_NT_MAGIC = 0x1b8, /* from here the disk's: signature, partition table */
    CORE_BLOCKLIST = 0x1f4,        /* 512 - GRUB_BOOT_MACHINE_LIST_SIZE */
    CORE_SEGMENT = 0x820,          /* GRUB_BOOT_MACHINE_KERNEL_SEG + 0x20 */
};

static void put(unsigned char *p, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

bool grub_patch_boot(unsigned char boot[GRUB_SECTOR], const unsigned char disk[GRUB_SECTOR],
                     uint64_t core_lba, struct error **err)
{
    if (boot[510] != 0x55 || boot[511] != 0xaa)
        return error_set(err, ERROR_HOST, "GRUB's boot.img is not a boot sector");
    memcpy(boot + BOOT_BPB_START, disk + BOOT_BPB_START, BOOT_BPB_END - BOOT_BPB_START);
    memcpy(boot + BOOT_WINDOWS_NT_MAGIC, disk + BOOT_WINDOWS_NT_MAGIC,
           GRUB_SECTOR - BOOT_WINDOWS_NT_MAGIC);
    boot[510] = 0x55;
    boot[511] = 0xaa;
    put(boot + BOOT_KERNEL_SECTOR, core_lba, 8);
    memset(boot + BOOT_DRIVE_CHECK, 0x90, 2);
    return true;
}

bool grub_patch_core(unsigned char *core, size_t size, uint64_t core_lba, uint64_t room_sectors,
                     struct error **err)
{
    uint64_t sectors = (size + GRUB_SECTOR - 1) / GRUB_SECTOR;
    if (sectors < 2 || sectors > room_sectors || sectors - 1 > UINT16_MAX)
        return error_set(err, ERROR_HOST, "GRUB's core.img of %zu bytes does not fit", size);
    put(core + CORE_BLOCKLIST, core_lba + 1, 8);
    put(core + CORE_BLOCKLIST + 8, sectors - 1, 2);
    put(core + CORE_BLOCKLIST + 10, CORE_SEGMENT, 2);
    return true;
}

/* Where GRUB's images for a firmware are. Debian, Ubuntu, Arch, Alpine: /usr/lib/grub; Fedora too.
 */
static char *grub_file(const struct grub_target *t, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "/usr/lib/grub/%s/%s", t->format, name) < 0)
        abort();
    return path;
}

static bool grub_present(const struct grub_target *t, struct error **err)
{
    autofree char *modules = grub_file(t, "moddep.lst");
    return access(modules, R_OK) == 0 ||
           error_set(err, ERROR_HOST, "%s is not there: install the package %s", modules,
                     t->package);
}

static const char *const bios_modules[] = {
    "biosdisk", "part_gpt", "part_msdos", "ext2",       "search", "search_label", "normal",
    "linux",    "serial",   "terminal",   "configfile", "echo",   "test",         "sleep",
    "ls",       "cat",      "halt",       "reboot",     NULL};
static const char *const efi_modules[] = {
    "part_gpt", "part_msdos", "ext2",    "fat",     "search",     "search_label", "normal",
    "linux",    "all_video",  "efi_gop", "gfxterm", "configfile", "echo",         "test",
    "sleep",    "ls",         "cat",     "halt",    "reboot",     "efifwsetup",   NULL};

static bool make_image(const struct bootstrap_grub *g, const struct grub_target *t,
                       const char *prefix, const char *const *modules, const char *out,
                       struct error **err)
{
    autofree char *early = path_join(g->work, "early.cfg");
    if (!file_write(early, bootstrap_grub_early, strlen(bootstrap_grub_early), 0600, err))
        return false;
    const char *argv[48] = {"grub-mkimage", "-O", t->format, "-p", prefix, "-c", early, "-o", out};
    size_t n = 9;
    for (size_t i = 0; modules[i]; i++)
        argv[n++] = modules[i];
    struct process p = {.argv = argv, .timeout_seconds = 120, .log_output = true};
    return process_check(&p, ERROR_HOST, NULL, err);
}

static bool write_at(int fd, const void *bytes, size_t size, uint64_t offset, struct error **err)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, ERROR_HOST, errno, "cannot write the disk");
        done += (size_t)n;
    }
    return true;
}

static bool install_bios(const struct bootstrap_grub *g, int disk, struct error **err)
{
    autofree char *core_path = path_join(g->work, "core.img");
    autofree char *boot_path = grub_file(&g->platform->bios, "boot.img"), *boot = NULL,
                  *core = NULL;
    size_t boot_size = 0, core_size = 0;
    unsigned char first[GRUB_SECTOR];
    if (!make_image(g, &g->platform->bios, "(hd0,gpt16)/grub", bios_modules, core_path, err) ||
        !file_read(core_path, MAX_IMAGE, &core, &core_size, err) ||
        !file_read(boot_path, MAX_IMAGE, &boot, &boot_size, err))
        return false;
    if (boot_size != GRUB_SECTOR)
        return error_set(err, ERROR_HOST, "%s has %zu bytes, not 512", boot_path, boot_size);
    if (pread(disk, first, sizeof first, 0) != sizeof first)
        return error_errno(err, ERROR_HOST, errno, "cannot read %s", g->raw);
    return grub_patch_boot((unsigned char *)boot, first, g->bios_start, err) &&
           grub_patch_core((unsigned char *)core, core_size, g->bios_start, g->bios_sectors, err) &&
           write_at(disk, core, core_size, g->bios_start * GRUB_SECTOR, err) &&
           write_at(disk, boot, boot_size, 0, err);
}

/* The file system is made in a file of its own: mkfs.vfat --offset makes one that cannot be read.
 */
static bool copy_esp(const char *from, int disk, uint64_t offset, struct error **err)
{
    enum { CHUNK = 65536 };
    autoclose int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open %s", from);
    static const char zeros[CHUNK];
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
        ssize_t n = pread(fd, chunk, CHUNK, at);
        if (n <= 0)
            return n == 0 || error_errno(err, ERROR_HOST, errno, "cannot read %s", from);
        if (memcmp(chunk, zeros, (size_t)n) != 0 &&
            !write_at(disk, chunk, (size_t)n, offset + (uint64_t)at, err))
            return false;
        at += n;
    }
    return errno == ENXIO || error_errno(err, ERROR_HOST, errno, "cannot read %s", from);
}

static bool install_uefi(const struct bootstrap_grub *g, int disk, struct error **err)
{
    const char *file = g->platform->uefi_file;
    autofree char *image = path_join(g->work, file), *esp = path_join(g->work, "esp.img");
    autofree char *to = path_join("::/EFI/BOOT", file), *kib = NULL, *serial = NULL, *epoch = NULL;
    if (asprintf(&kib, "%llu", (unsigned long long)g->esp_sectors / 2) < 0 ||
        asprintf(&serial, "%08x", g->esp_serial) < 0 ||
        asprintf(&epoch, "SOURCE_DATE_EPOCH=%lld", (long long)g->epoch) < 0)
        abort();
    const char *env[] = {epoch, "TZ=UTC", "LC_ALL=C.UTF-8", "MTOOLSRC=/dev/null", NULL};
    const char *mkfs[] = {"mkfs.vfat", "-F", "32",         "-s", "1", "--invariant", "-i",
                          serial,      "-n", g->esp_label, "-C", esp, kib,           NULL};
    const char *mmd[] = {"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", NULL};
    const char *mcopy[] = {"mcopy", "-i", esp, image, to, NULL};
    const char *const *steps[] = {mkfs, mmd, mcopy};
    if (!make_image(g, &g->platform->uefi, "/grub", efi_modules, image, err))
        return false;
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct process p = {
            .argv = steps[i], .env = env, .timeout_seconds = 120, .log_output = true};
        if (!process_check(&p, ERROR_HOST, NULL, err))
            return false;
    }
    return copy_esp(esp, disk, g->esp_start * GRUB_SECTOR, err);
}

bool bootstrap_grub_install(const struct bootstrap_grub *g, struct error **err)
{
    const struct bootstrap_platform *p = g->platform;
    if ((p->bios.format && !grub_present(&p->bios, err)) || !grub_present(&p->uefi, err))
        return false;
    autoclose int disk = open(g->raw, O_RDWR | O_CLOEXEC);
    if (disk < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open %s", g->raw);
    return ((!p->bios.format || install_bios(g, disk, err)) && install_uefi(g, disk, err)) ||
           error_wrap(err, "cannot put the boot loader on the disk");
}
