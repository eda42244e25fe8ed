#include "bake/bootstrap_platform.h"

#include "bake/bootstrap_files.h"

#include <string.h>
#include <sys/utsname.h>

/* /vmlinuz and /initrd.img on the boot partition are links that the kernel packages keep pointed at
 * the newest kernel (/etc/kernel-img.conf), so that an upgrade needs no grub package. */
#define MENU(serial)                                                                               \
    "# No package writes this file. /vmlinuz and /initrd.img are links that the kernel\n"          \
    "# packages keep at the newest kernel (kernel-img.conf(5)); the .old ones at the one "         \
    "before.\n"                                                                                    \
    "set default=0\n"                                                                              \
    "set timeout_style=hidden\n"                                                                   \
    "set timeout=1\n"                                                                              \
    "if [ \"$grub_platform\" = pc ]; then\n"                                                       \
    "  if serial --unit=0 --speed=115200; then\n"                                                  \
    "    terminal_input console serial\n"                                                          \
    "    terminal_output console serial\n"                                                         \
    "  fi\n"                                                                                       \
    "fi\n"                                                                                         \
    "search --no-floppy --label " BOOTSTRAP_BOOT_LABEL " --set=root\n"                             \
    "set arguments=\"root=LABEL=" BOOTSTRAP_ROOT_LABEL " ro console=tty0 console=" serial          \
    ",115200\"\n"                                                                                  \
    "menuentry 'Linux' {\n"                                                                        \
    "  linux /vmlinuz $arguments\n"                                                                \
    "  initrd /initrd.img\n"                                                                       \
    "}\n"                                                                                          \
    "menuentry 'Linux, the kernel before' {\n"                                                     \
    "  linux /vmlinuz.old $arguments\n"                                                            \
    "  initrd /initrd.img.old\n"                                                                   \
    "}\n"                                                                                          \
    "menuentry 'Linux, rescue' {\n"                                                                \
    "  linux /vmlinuz $arguments systemd.unit=rescue.target\n"                                     \
    "  initrd /initrd.img\n"                                                                       \
    "}\n"

static const struct bootstrap_platform platforms[] = {
    {
        .architecture = "amd64",
        .machine = "x86_64",
        .kernel = "linux-image-cloud-amd64",
        .menu = MENU("ttyS0"),
        .bios = {"i386-pc", "grub-pc-bin"},
        .uefi = {"x86_64-efi", "grub-efi-amd64-bin"},
        .uefi_file = "BOOTX64.EFI",
    },
    {
        .architecture = "arm64",
        .machine = "aarch64",
        .kernel = "linux-image-cloud-arm64",
        .menu = MENU("ttyAMA0"),
        .uefi = {"arm64-efi", "grub-efi-arm64-bin"},
        .uefi_file = "BOOTAA64.EFI",
    },
};

bool bootstrap_platform_find(const char *architecture, const struct bootstrap_platform **out,
                             struct error **err)
{
    for (size_t i = 0; i < COUNT(platforms); i++) {
        *out = &platforms[i];
        if (strcmp(platforms[i].architecture, architecture) == 0)
            return true;
    }
    *out = NULL;
    return error_set(err, ERROR_UNSUPPORTED,
                     "a base for %s cannot be made from packages: only for amd64 and arm64",
                     architecture);
}

const struct bootstrap_platform *bootstrap_platform_host(void)
{
    struct utsname host;
    for (size_t i = 0; uname(&host) == 0 && i < COUNT(platforms); i++)
        if (strcmp(platforms[i].machine, host.machine) == 0)
            return &platforms[i];
    return NULL;
}

bool bootstrap_platform_check_host(const struct bootstrap_platform *p, struct error **err)
{
    struct utsname host = {0};
    return p == bootstrap_platform_host() || uname(&host) < 0 ||
           error_set(err, ERROR_HOST,
                     "a base for %s is made from packages on a host of that architecture, and this "
                     "host is %s",
                     p->architecture, host.machine);
}
