/* Shared by system*.c only. */
#ifndef INGOT_BAKE_SYSTEM_INTERNAL_H
#define INGOT_BAKE_SYSTEM_INTERNAL_H

#include "bake/system.h"

/* Where the folder of packages is seen in the guest while they are installed. */
#define SYSTEM_DRIVE "/.ingot-packages"

/* Puts a blob into a folder, to be read there. */
bool system_stage(const char *file, const char *folder, const char *name, struct error **err)
    must_check;

bool system_apt_install(struct appliance *a, const struct system_step *step, struct error **err)
    must_check;
bool system_apk_install(struct appliance *a, const struct system_step *step, struct error **err)
    must_check;
/* The recipe's repositories in the guest. */
bool system_apt_keep_repositories(struct appliance *a, const struct system_step *step,
                                  struct error **err) must_check;
bool system_apk_keep_repositories(struct appliance *a, const struct system_step *step,
                                  struct error **err) must_check;

#endif
