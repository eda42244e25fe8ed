/* What is put into a base made from packages, beside the packages: constant data, the same for
 * every architecture; bootstrap_platform.h has the rest. */
#ifndef INGOT_BAKE_BOOTSTRAP_FILES_H
#define INGOT_BAKE_BOOTSTRAP_FILES_H

#define BOOTSTRAP_MENU "boot/grub/grub.cfg" /* in the folder that bootstrap_files makes */
#define BOOTSTRAP_ROOT_LABEL "cloudimg-rootfs"
#define BOOTSTRAP_BOOT_LABEL "BOOT"
#define BOOTSTRAP_ESP_LABEL "UEFI"

struct bootstrap_file {
    const char *path; /* relative; with a slash at the end a folder */
    unsigned mode;
    const char *content; /* of a file */
    const char *link;    /* or where the symbolic link leads */
};

/* Laid before the packages are configured, and in place of what was dropped at the end. Each ends
 * with a NULL path. */
extern const struct bootstrap_file bootstrap_files[], bootstrap_late_files[];
/* Members that must not be in the image although the packages' scripts made them: identity (host
 * keys, seeds), logs and caches. fnmatch patterns, NULL-terminated. */
extern const char *const bootstrap_dropped[];
/* The packages of every base beside the kernel, NULL-terminated, sorted. */
extern const char *const bootstrap_packages[];
/* What the boot loader does first, built into it: find the partition that holds the menu. */
extern const char bootstrap_grub_early[];

#endif
