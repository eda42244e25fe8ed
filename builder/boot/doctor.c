#include "boot/doctor.h"

#include "accel/accel.h"
#include "base/file.h"
#include "base/path.h"
#include "base/units.h"
#include "boot/state.h"
#include "boot/virt.h"

#include <string.h>

#define SPACE_WANTED (2 * GIB)

static void look_at_kvm(struct findings *f)
{
    autofree char *cache = state_cache();
    autoerror struct error *err = NULL;
    struct accel_verdict v;
    if (!accel_probe(cache, &v, &err)) {
        finding_add(f, FINDING_FAULT, "qemu", "apt-get install qemu-system-x86", "%s",
                    error_text(err));
        return;
    }
    static const char *const fixes[] = {
        [ACCEL_ABSENT] = "modprobe kvm_intel || modprobe kvm_amd",
        [ACCEL_DENIED] = "usermod -aG kvm $USER  # then log in again",
        [ACCEL_WORKS] = NULL,
    };
    finding_add(f, v.use == ACCEL_KVM ? FINDING_OK : FINDING_WARNING, "kvm", fixes[v.state], "%s",
                v.reason);
}

static void look_at_folder(struct findings *f, const struct virt *v)
{
    autofree char *root = state_root(v);
    autofree char *there = path_absolute("/", root);
    /* The folder itself is made when it is needed: what counts is the nearest one that exists. */
    while (access(there, F_OK) != 0) {
        char *above = path_dirname(there);
        free(there);
        there = above;
    }
    autoerror struct error *err = NULL;
    uint64_t bytes = 0;
    char size[16];
    uid_t uid;
    gid_t gid;
    if (access(there, W_OK | X_OK) != 0)
        finding_add(f, FINDING_FAULT, "state", "export INGOT_STATE=FOLDER",
                    "instances would be in %s, where this user may not write", root);
    else if (!file_free_space(root, &bytes, &err))
        finding_add(f, FINDING_WARNING, "state", NULL, "%s", error_text(err));
    else
        finding_add(f, bytes < SPACE_WANTED ? FINDING_WARNING : FINDING_OK, "state",
                    bytes < SPACE_WANTED ? "export INGOT_STATE=FOLDER" : NULL,
                    "instances are in %s, %s free", root, units_format_size(bytes, size));
    autofree char *probe = strcmp(there, "/") == 0 ? NULL : path_dirname(there);
    if (virt_qemu_user(v, &uid, &gid) && probe && !state_reachable(probe, uid, gid))
        finding_add(f, FINDING_FAULT, "reach", "export INGOT_STATE=/var/lib/ingot",
                    "libvirt runs QEMU as uid %u, which cannot reach %s", (unsigned)uid, root);
}

static void look_at_libvirt(struct findings *f, const char *uri)
{
    autoerror struct error *err = NULL;
    autovirt struct virt *v = NULL;
    char version[24];
    if (!virt_open(uri, &v, &err)) {
        finding_add(f, FINDING_FAULT, "libvirt", virt_start_command(), "%s", error_text(err));
        return;
    }
    finding_add(f, FINDING_OK, "libvirt", NULL, "libvirt %s at %s: %s", virt_version(v, version),
                virt_uri(v), virt_why(v));
    look_at_folder(f, v);
}

/* Where distributions put the firmware descriptors that libvirt chooses from. */
static void look_at_firmware(struct findings *f)
{
    static const char *const folders[] = {"/usr/share/qemu/firmware", "/etc/qemu/firmware"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        if (access(folders[i], R_OK) == 0) {
            finding_add(f, FINDING_OK, "uefi", NULL, "firmware for UEFI images is there (%s)",
                        folders[i]);
            return;
        }
    }
    finding_add(f, FINDING_WARNING, "uefi", "apt-get install ovmf",
                "no firmware for UEFI images; those that boot with BIOS need none");
}

void doctor_look(struct findings *f, const char *uri)
{
    look_at_kvm(f);
    look_at_libvirt(f, uri);
    finding_program(f, "qemu-img", "qemu-utils", "for disks of instances", FINDING_FAULT);
    look_at_firmware(f);
}
