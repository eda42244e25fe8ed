/* What the host needs for an appliance, looked at without starting one (supermin(1)). */
#include "disk/appliance_internal.h"

#include "base/path.h"
#include "base/process.h"

#include <glob.h>
#include <string.h>

#if defined(__aarch64__)
#define QEMU "qemu-system-aarch64"
#define QEMU_PACKAGE "qemu-system-arm"
#define KERNEL_PACKAGE "linux-image-arm64"
#else
#define QEMU "qemu-system-x86_64"
#define QEMU_PACKAGE "qemu-system-x86"
#define KERNEL_PACKAGE "linux-image-cloud-amd64"
#endif

static const struct {
    const char *names[3]; /* any of these; absolute ones too */
    const char *remedy;
} programs[] = {
    {{QEMU, "/usr/libexec/qemu-kvm", NULL}, "apt-get install " QEMU_PACKAGE},
    {{"supermin", NULL, NULL}, "apt-get install libguestfs-tools"},
};

/* Kernels as supermin looks for them: Debian and others in /boot, Fedora beside the modules. */
static const char *const kernel_patterns[] = {"/boot/vmlinuz-*", "/lib/modules/*/vmlinuz"};

static bool check_kernels(struct error **err)
{
    autobuffer struct buffer unreadable = {0};
    for (size_t i = 0; i < COUNT(kernel_patterns); i++) {
        glob_t found = {0};
        bool readable = false;
        if (glob(kernel_patterns[i], 0, NULL, &found) == 0)
            for (size_t k = 0; k < found.gl_pathc && !readable; k++) {
                readable = access(found.gl_pathv[k], R_OK) == 0;
                if (!readable)
                    buffer_printf(&unreadable,
                                  " sudo dpkg-statoverride --update --add root root 0644 %s;",
                                  found.gl_pathv[k]);
            }
        globfree(&found);
        if (readable)
            return true;
    }
    if (!unreadable.size)
        return error_set(err, ERROR_HOST,
                         "there is no kernel in /boot for the appliance: install one, for example "
                         "with: apt-get install " KERNEL_PACKAGE);
    unreadable.data[unreadable.size - 1] = '\0';
    return error_set(err, ERROR_HOST,
                     "the appliance needs a kernel, and those of this host may be read by root "
                     "only: make one readable with:%s",
                     unreadable.data);
}

bool appliance_host_check(struct error **err)
{
    for (size_t i = 0; i < COUNT(programs); i++) {
        autofree char *found = NULL;
        for (size_t n = 0; !found && programs[i].names[n]; n++)
            found = process_find(programs[i].names[n]);
        if (!found)
            return error_set(err, ERROR_HOST,
                             "%s is not installed, the appliance needs it: install it, for example "
                             "with: %s",
                             programs[i].names[0], programs[i].remedy);
    }
    return check_kernels(err);
}

bool appliance_explain_launch(struct error **err)
{
    autoerror struct error *found = NULL;
    if (appliance_host_check(&found))
        return false;
    error_free(*err);
    *err = NULL;
    *err = take_ptr(found);
    return true;
}
