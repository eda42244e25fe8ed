#include "accel/accel.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define ROM_SIZE 65536
#define ROM_EXIT 33 /* isa-debug-exit: (0x10 << 1) | 1 */
#define PROBE_SECONDS 3
#define MEMORY_BYTES 65536

#if defined(__x86_64__)
#define QEMU "qemu-system-x86_64"
#elif defined(__aarch64__)
#define QEMU "qemu-system-aarch64"
#else
#define QEMU "qemu-system-" /* no accelerator that we know on this architecture */
#endif

static const char *const state_names[] = {
    [ACCEL_ABSENT] = "absent", [ACCEL_DENIED] = "denied", [ACCEL_BROKEN] = "broken",
    [ACCEL_PROBED] = "probed", [ACCEL_WORKS] = "works",
};

static void __attribute__((format(printf, 3, 4)))
decide(struct accel_verdict *v, enum accel_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->reason, sizeof v->reason, fmt, ap);
    va_end(ap);
    v->state = state;
    v->use = state >= ACCEL_PROBED ? ACCEL_KVM : ACCEL_TCG;
}

/* --- the memory: a verdict holds for this boot, this QEMU and this user -------------------------
 */

static char *boot_id(void)
{
    char *text = NULL;
    size_t size;
    if (!file_read("/proc/sys/kernel/random/boot_id", 256, &text, &size, NULL)) {
        text = strdup("unknown");
        if (!text)
            abort();
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* The first line of `qemu --version`. */
static bool qemu_version(char **version, struct error **err)
{
    autoresult struct process_result r = {0};
    const char *const argv[] = {QEMU, "--version", NULL};
    if (!process_check(&(struct process){.argv = argv, .timeout_seconds = 20}, ERROR_HOST, &r, err))
        return false;
    *version = strndup(r.out.data ? r.out.data : "", strcspn(r.out.data ? r.out.data : "", "\n"));
    if (!*version)
        abort();
    return true;
}

static json_t *key(const char *version)
{
    autofree char *boot = boot_id();
    json_t *j = json_object();
    json_set_string(j, "boot", boot);
    json_set_string(j, "qemu", version);
    json_set_integer(j, "uid", (json_int_t)getuid());
    return j;
}

static bool recall(const char *path, const char *version, struct accel_verdict *v)
{
    autojson json_t *j = NULL, *wanted = key(version);
    if (access(path, R_OK) != 0 || !json_read_file(path, MEMORY_BYTES, &j, NULL) ||
        !json_equal(json_object_get(j, "key"), wanted))
        return false;
    const char *state = json_string_or(j, "state", ""), *reason = json_string_or(j, "reason", "");
    for (size_t i = 0; i < COUNT(state_names); i++) {
        if (strcmp(state, state_names[i]) == 0) {
            decide(v, (enum accel_state)i, "%s", reason);
            return true;
        }
    }
    return false;
}

static void remember(const char *cache_dir, const char *version, const struct accel_verdict *v)
{
    if (!cache_dir)
        return;
    autoerror struct error *err = NULL;
    autofree char *path = path_join(cache_dir, "accel.json");
    autojson json_t *j = json_object();
    json_set(j, "key", key(version));
    json_set_string(j, "state", state_names[v->state]);
    json_set_string(j, "reason", v->reason);
    if (!file_make_dirs(cache_dir, 0700, &err) || !json_write_file(path, j, 0600, &err))
        log_debug("cannot remember whether KVM works: %s", error_text(err));
}

/* --- the probe ----------------------------------------------------------------------------------
 */

#if defined(__x86_64__)
/* A BIOS of one act. The processor starts at f000:fff0, 16 bytes from the end of the ROM: it writes
 * 0x10 to QEMU's isa-debug-exit port, and QEMU exits with ROM_EXIT. Intel SDM, volume 3, 9.1.4. */
static bool write_rom(const char *path, struct error **err)
{
    static const unsigned char code[] = {
        0xb0, 0x10, /* mov al, 0x10 */
        0xe6, 0xf4, /* out 0xf4, al */
        0xf4,       /* hlt */
    };
    static unsigned char rom[ROM_SIZE];
    memcpy(rom + ROM_SIZE - 16, code, sizeof code);
    return file_write(path, rom, sizeof rom, 0600, err);
}

static bool run_rom(struct accel_verdict *v, struct error **err)
{
    autotempdir char *dir = NULL;
    const char *tmp = getenv("TMPDIR");
    if (!file_temp_dir(tmp && *tmp ? tmp : "/tmp", "ingot-accel-", &dir, err))
        return false;
    autofree char *rom = path_join(dir, "rom");
    if (!write_rom(rom, err))
        return false;
    const char *const argv[] = {QEMU,
                                "-nodefaults",
                                "-no-user-config",
                                "-display",
                                "none",
                                "-machine",
                                "pc",
                                "-accel",
                                "kvm",
                                "-cpu",
                                "host",
                                "-m",
                                "16",
                                "-no-reboot",
                                "-device",
                                "isa-debug-exit,iobase=0xf4,iosize=0x04",
                                "-bios",
                                rom,
                                NULL};
    autoresult struct process_result r = {0};
    autoerror struct error *why = NULL;
    const struct process p = {.argv = argv, .cwd = dir, .timeout_seconds = PROBE_SECONDS};
    bool ran = process_run(&p, &r, &why);
    if (!ran && interrupted())
        return interrupt_error(err);
    if (!ran && error_kind(why) != ERROR_TIMEOUT)
        return error_set(err, error_kind(why), "%s", error_text(why));
    if (!ran)
        decide(v, ACCEL_BROKEN, "KVM is there but a guest under it does nothing: using TCG");
    else if (r.status == ROM_EXIT)
        decide(v, ACCEL_PROBED, "KVM runs a guest");
    else if (r.signal)
        decide(v, ACCEL_BROKEN,
               "KVM is there but does not run a guest (QEMU ended by signal %d): using TCG",
               r.signal);
    else
        decide(v, ACCEL_BROKEN,
               "KVM is there but does not run a guest (QEMU exited with %d): using TCG", r.status);
    return true;
}
#else
/* The ROM is x86 code; elsewhere only use can tell. */
static bool run_rom(struct accel_verdict *v, struct error **err)
{
    (void)err;
    decide(v, ACCEL_PROBED, "KVM is there; whether it runs a guest will be seen");
    return true;
}
#endif

static bool probe(struct accel_verdict *v, struct error **err)
{
    autoclose int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return run_rom(v, err);
    if (errno == EACCES || errno == EPERM)
        decide(v, ACCEL_DENIED, "this user may not open /dev/kvm (join the group kvm): using TCG");
    else if (errno == ENOENT)
        decide(v, ACCEL_ABSENT, "this machine has no /dev/kvm: using TCG");
    else
        decide(v, ACCEL_BROKEN, "/dev/kvm cannot be opened (%s): using TCG", strerror(errno));
    return true;
}

/* True if INGOT_ACCEL has decided. */
static bool forced(struct accel_verdict *v, bool *decided, struct error **err)
{
    const char *wish = getenv("INGOT_ACCEL");
    *decided = wish && *wish && strcmp(wish, "auto") != 0;
    if (!*decided)
        return true;
    if (strcmp(wish, "tcg") == 0)
        decide(v, ACCEL_ABSENT, "using TCG, as INGOT_ACCEL says");
    else if (strcmp(wish, "kvm") == 0)
        decide(v, ACCEL_WORKS, "using KVM, as INGOT_ACCEL says");
    else
        return error_set(err, ERROR_USAGE, "INGOT_ACCEL is auto, kvm or tcg, not '%s'", wish);
    return true;
}

bool accel_probe(const char *cache_dir, struct accel_verdict *v, struct error **err)
{
    bool decided;
    autofree char *version = NULL;
    autofree char *path = cache_dir ? path_join(cache_dir, "accel.json") : NULL;
    *v = (struct accel_verdict){0};
    if (!qemu_version(&version, err) || !forced(v, &decided, err))
        return false;
    if (decided || (path && recall(path, version, v)))
        return true;
    if (!probe(v, err))
        return error_wrap(err, "cannot find out whether KVM works");
    remember(cache_dir, version, v);
    return true;
}

void accel_report(const char *cache_dir, bool works, const char *reason)
{
    autofree char *version = NULL;
    struct accel_verdict v = {0};
    const char *wish = getenv("INGOT_ACCEL");
    /* What was forced says nothing about the other choice. */
    if ((wish && *wish && strcmp(wish, "auto") != 0) || !qemu_version(&version, NULL))
        return;
    decide(&v, works ? ACCEL_WORKS : ACCEL_BROKEN, "%s", reason);
    remember(cache_dir, version, &v);
}
