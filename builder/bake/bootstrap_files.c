#include "bake/bootstrap_files.h"

#include <stddef.h>

const char *const bootstrap_packages[] = {
    "apparmor", /* without it docker.io starts no container on Debian's kernel */
    "ca-certificates",
    "cloud-guest-utils", /* growpart */
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "netbase",
    "netplan.io",
    "openssh-server",
    "procps",
    "python3",
    "qemu-guest-agent",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "tzdata",
    "udev",
    "usr-is-merged", /* in place of usrmerge, which needs the whole of perl */
    "zstd",          /* for the initramfs */
    NULL,
};

const char bootstrap_grub_early[] =
    "search --no-floppy --label " BOOTSTRAP_BOOT_LABEL " --set=root\n"
    "set prefix=($root)/grub\n";

static const char fstab[] = "LABEL=" BOOTSTRAP_ROOT_LABEL " / ext4 discard,errors=remount-ro 0 1\n"
                            "LABEL=" BOOTSTRAP_BOOT_LABEL " /boot ext4 defaults 0 2\n"
                            "LABEL=" BOOTSTRAP_ESP_LABEL " /boot/efi vfat umask=0077 0 0\n";

/* C.UTF-8 is there without locale-gen, which costs half a minute of a slow machine's first boot
 * (and `locale: false` is no valid cloud-config); RSA and DSA host keys cost a quarter. */
static const char cloud_cfg[] = "datasource_list: [NoCloud, None]\n"
                                "ssh_genkeytypes: [ed25519, ecdsa]\n"
                                "locale: C.UTF-8\n"
                                "apt:\n"
                                "  preserve_sources_list: true\n";

/* A guest without a network, or with a second one that gives no address, is not a failed unit. */
static const char wait_online[] =
    "[Service]\n"
    "ExecStart=\n"
    "ExecStart=-/lib/systemd/systemd-networkd-wait-online --any --timeout=30\n";

#define UNIT(name) "/lib/systemd/system/" name
#define WANTS(target, unit)                                                                        \
    {                                                                                              \
        "etc/systemd/system/" target ".wants/" unit, 0777, NULL, UNIT(unit)                        \
    }

const struct bootstrap_file bootstrap_files[] = {
    {"etc/fstab", 0644, fstab, NULL},
    {"etc/hostname", 0644, "debian\n", NULL},
    {"etc/hosts", 0644,
     "127.0.0.1 localhost\n127.0.1.1 debian\n"
     "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
     NULL},
    {"etc/kernel-img.conf", 0644, "do_symlinks = yes\nlink_in_boot = yes\n", NULL},
    {"etc/cloud/", 0755, NULL, NULL},
    {"etc/cloud/cloud.cfg.d/", 0755, NULL, NULL},
    {"etc/cloud/cloud.cfg.d/95-base.cfg", 0644, cloud_cfg, NULL},
    /* Everything is mounted by fstab; this one would mount the ESP a second time, on /efi. */
    {"etc/systemd/system-generators/", 0755, NULL, NULL},
    {"etc/systemd/system-generators/systemd-gpt-auto-generator", 0777, NULL, "/dev/null"},
    {"etc/systemd/system/", 0755, NULL, NULL},
    {"etc/systemd/system/multi-user.target.wants/", 0755, NULL, NULL},
    {"etc/systemd/system/network-online.target.wants/", 0755, NULL, NULL},
    {"etc/systemd/system/sockets.target.wants/", 0755, NULL, NULL},
    {"etc/systemd/system/sysinit.target.wants/", 0755, NULL, NULL},
    {"etc/systemd/system/systemd-networkd-wait-online.service.d/", 0755, NULL, NULL},
    {"etc/systemd/system/systemd-networkd-wait-online.service.d/10-base.conf", 0644, wait_online,
     NULL},
    {"etc/systemd/system/dbus-org.freedesktop.network1.service", 0777, NULL,
     UNIT("systemd-networkd.service")},
    WANTS("multi-user.target", "systemd-networkd.service"),
    WANTS("network-online.target", "systemd-networkd-wait-online.service"),
    WANTS("sockets.target", "systemd-networkd.socket"),
    WANTS("sysinit.target", "systemd-network-generator.service"),
    {"boot/", 0755, NULL, NULL},
    {"boot/efi/", 0755, NULL, NULL},
    {"boot/grub/", 0755, NULL, NULL},
    {NULL, 0, NULL, NULL},
};

const struct bootstrap_file bootstrap_late_files[] = {
    {"etc/default/locale", 0644, "LANG=C.UTF-8\n", NULL}, /* as cloud-init would write it */
    /* Without the access list that systemd's package gives it: the guest sets it at each boot, as
     * tmpfiles.d says, and the owning group too. */
    {"var/log/journal/", 02755, NULL, NULL},
    /* apt gives them to its own user where the host's apt could; the guest's apt does so anyway. */
    {"var/cache/apt/archives/partial/", 0700, NULL, NULL},
    {"var/lib/apt/lists/partial/", 0700, NULL, NULL},
    {NULL, 0, NULL, NULL},
};

const char *const bootstrap_dropped[] = {
    "etc/default/locale",
    "etc/ssh/ssh_host_*",
    "usr/share/python3/debpython/__pycache__", /* made while installing, not twice the same */
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/cloud/*",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/dpkg/*-old",
    "var/log/*.log",
    "var/log/apt/*",
    "var/log/journal",
    "dev/*",
    NULL,
};
