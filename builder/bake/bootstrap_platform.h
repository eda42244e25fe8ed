/* What differs by architecture in a base made from packages. */
#ifndef INGOT_BAKE_BOOTSTRAP_PLATFORM_H
#define INGOT_BAKE_BOOTSTRAP_PLATFORM_H

#include "base/error.h"

/* GRUB for one kind of firmware. */
struct grub_target {
    const char *format;  /* of grub-mkimage, and the folder of its modules in /usr/lib/grub */
    const char *package; /* Debian's package of that folder */
};

struct bootstrap_platform {
    const char *architecture; /* "amd64", as Debian says */
    const char *machine;      /* "x86_64", as uname(2) says */
    const char *kernel;       /* the package that needs the newest kernel */
    const char *menu;         /* /boot/grub/grub.cfg: the serial console is in it */
    struct grub_target bios;  /* without a format: there is no BIOS, nor a BIOS boot partition */
    struct grub_target uefi;
    const char *uefi_file; /* in \EFI\BOOT: UEFI specification 2.10, table 3.2 */
};

/* ERROR_UNSUPPORTED where no base can be made from packages for that architecture. */
bool bootstrap_platform_find(const char *architecture, const struct bootstrap_platform **out,
                             struct error **err) must_check;

/* The host's own, or NULL. */
const struct bootstrap_platform *bootstrap_platform_host(void);

/* A base is made on a host of its own architecture, whose programs its packages' scripts run:
 * ERROR_HOST elsewhere. */
bool bootstrap_platform_check_host(const struct bootstrap_platform *p, struct error **err)
    must_check;

#endif
