#include "accel/accel.h"
#include "bake/bootstrap_platform.h"
#include "base/file.h"
#include "base/finding.h"
#include "base/path.h"
#include "base/units.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <string.h>

static const struct {
    const char *program, *package, *needed_for;
    enum finding_state if_missing;
} programs[] = {
    {"qemu-img", "qemu-utils", "to read and write qcow2", FINDING_FAULT},
    {"qemu-io", "qemu-utils", "to write qcow2", FINDING_FAULT},
    {"mke2fs", "e2fsprogs", "to make file systems", FINDING_FAULT},
    {"resize2fs", "e2fsprogs", "to grow file systems", FINDING_FAULT},
    {"sfdisk", "fdisk", "for partition tables", FINDING_FAULT},
    {"supermin", "supermin", "for the appliance", FINDING_FAULT},
    {"apt-get", "apt", "to resolve packages of Debian and Ubuntu guests", FINDING_WARNING},
    {"mmdebstrap", "mmdebstrap", "for `base: {bootstrap: …}`", FINDING_WARNING},
    {"grub-mkimage", "grub-common", "for `base: {bootstrap: …}`", FINDING_WARNING},
    {"mcopy", "mtools", "for `base: {bootstrap: …}`", FINDING_WARNING},
    {"mkfs.vfat", "dosfstools", "for `base: {bootstrap: …}`", FINDING_WARNING},
};

static char *install(const char *package)
{
    char *command = NULL;
    if (asprintf(&command, "apt-get install %s", package) < 0)
        abort();
    return command;
}

/* The appliance boots a kernel of this host, and Ubuntu's are readable by root only. */
static void check_kernel(struct findings *f)
{
    glob_t found = {0};
    const char *unreadable = NULL;
    bool readable = false;
    if (glob("/boot/vmlinuz-*", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (access(found.gl_pathv[i], R_OK) == 0)
                readable = true;
            else
                unreadable = found.gl_pathv[i];
        }
    if (readable) {
        finding_add(f, FINDING_OK, "kernel", NULL, "a kernel for the appliance is there");
    } else if (unreadable) {
        autofree char *fix = NULL;
        if (asprintf(&fix, "sudo dpkg-statoverride --update --add root root 0644 %s", unreadable) <
            0)
            abort();
        finding_add(f, FINDING_FAULT, "kernel", fix, "%s cannot be read by this user", unreadable);
    } else {
        const struct bootstrap_platform *host = bootstrap_platform_host();
        autofree char *fix = host ? install(host->kernel) : NULL;
        finding_add(f, FINDING_FAULT, "kernel", fix, "no kernel in /boot; the appliance needs one");
    }
    globfree(&found);
}

static void check_bootstrap_file(struct findings *f, const char *name, const char *path,
                                 const char *package)
{
    bool there = access(path, R_OK) == 0;
    autofree char *fix = there ? NULL : install(package);
    finding_add(f, there ? FINDING_OK : FINDING_WARNING, name, fix, "%s%s", path,
                there ? "" : " is missing; `base: {bootstrap: …}` needs it");
}

static void check_grub(struct findings *f, const char *name, const struct grub_target *t)
{
    char path[128];
    snprintf(path, sizeof path, "/usr/lib/grub/%s/moddep.lst", t->format);
    check_bootstrap_file(f, name, path, t->package);
}

/* What `base: {bootstrap: …}` takes from other packages' folders. */
static void check_bootstrap_files(struct findings *f)
{
    const struct bootstrap_platform *host = bootstrap_platform_host();
    if (host && host->bios.format)
        check_grub(f, "grub-bios", &host->bios);
    if (host)
        check_grub(f, "grub-uefi", &host->uefi);
    check_bootstrap_file(f, "debian-keys", "/usr/share/keyrings/debian-archive-keyring.gpg",
                         "debian-archive-keyring");
}

/* mmdebstrap in unshare mode needs a range of ids for an ordinary user. */
static void check_subids(struct findings *f)
{
    const struct passwd *me = getpwuid(geteuid());
    if (geteuid() == 0 || !me)
        return;
    static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
    for (size_t i = 0; i < COUNT(files); i++) {
        autofree char *text = NULL, *line = NULL, *fix = NULL;
        size_t size;
        if (asprintf(&line, "%s:", me->pw_name) < 0 ||
            asprintf(&fix,
                     "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
                     me->pw_name) < 0)
            abort();
        bool there = file_read(files[i], MIB, &text, &size, NULL) &&
                     (strncmp(text, line, strlen(line)) == 0 || strstr(text, line));
        if (there)
            finding_add(f, FINDING_OK, path_basename(files[i]), NULL, "%s has a range", files[i]);
        else
            finding_add(f, FINDING_WARNING, path_basename(files[i]), fix,
                        "%s has no range for %s, which `base: {bootstrap: …}` needs", files[i],
                        me->pw_name);
    }
}

static bool check_cache(struct findings *f, struct session *s, const char **root)
{
    autoerror struct error *why = NULL;
    uint64_t free_bytes;
    char size[16];
    if (!session_cache(s, NULL, &why) ||
        !file_free_space(store_root(s->store), &free_bytes, &why)) {
        finding_add(f, FINDING_FAULT, "cache", "set INGOT_CACHE to a folder that you may write to",
                    "%s", error_text(why));
        return false;
    }
    *root = store_root(s->store);
    bool enough = free_bytes >= 10 * GIB;
    finding_add(f, enough ? FINDING_OK : FINDING_WARNING, "cache",
                enough ? NULL : "ingot cache gc, or set INGOT_CACHE to a larger disk",
                "%s, %s free", *root, units_format_size(free_bytes, size));
    return true;
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    (void)given;
    autosession struct session *s = NULL;
    if (!session_open(&s, err))
        return false;
    struct findings f = {.arena = s->arena};
    const char *root = NULL;
    for (size_t i = 0; i < COUNT(programs); i++)
        finding_program(&f, programs[i].program, programs[i].package, programs[i].needed_for,
                        programs[i].if_missing);
    check_kernel(&f);
    check_bootstrap_files(&f);
    check_subids(&f);
    (void)check_cache(&f, s, &root);
    autoerror struct error *why = NULL;
    struct accel_verdict v;
    if (!accel_probe(root, &v, &why))
        finding_add(&f, FINDING_FAULT, "kvm", "apt-get install qemu-system-x86", "%s",
                    error_text(why));
    else
        finding_add(&f, v.use == ACCEL_KVM ? FINDING_OK : FINDING_WARNING, "kvm", NULL, "%s",
                    v.reason);
    finding_report(&f, cli->json, cli->exit_code);
    return true;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Says whether this host is fit to build, and how to mend what is not",
    .run = run,
};
