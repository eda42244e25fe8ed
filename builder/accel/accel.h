/* Does KVM work here? /dev/kvm may be there, open, and still abort or hang real kernels.
 *
 * Two stages: a tiny ROM run by QEMU under KVM (0.1 s); and, where that passes, proof by use, which
 * the user of an accelerator reports with accel_report. Verdicts are remembered in the cache folder
 * by boot id, QEMU version and uid.
 */
#ifndef INGOT_ACCEL_ACCEL_H
#define INGOT_ACCEL_ACCEL_H

#include "base/error.h"

enum accel { ACCEL_TCG, ACCEL_KVM };
enum accel_state {
    ACCEL_ABSENT, /* no /dev/kvm */
    ACCEL_DENIED, /* there, but this user may not open it */
    ACCEL_BROKEN, /* opens, and does not run a guest */
    ACCEL_PROBED, /* the ROM ran; not yet proved by use */
    ACCEL_WORKS   /* proved by use */
};

struct accel_verdict {
    enum accel_state state;
    enum accel use;   /* what to use; INGOT_ACCEL (auto, kvm, tcg) decides over the probe */
    char reason[160]; /* one line for people: "KVM is there but does not run a guest (…): using TCG"
                       */
};

/* Probes, or remembers. cache_dir may be NULL: then nothing is remembered. Fails only if QEMU is
 * not installed or INGOT_ACCEL has a value that it cannot have. */
bool accel_probe(const char *cache_dir, struct accel_verdict *v, struct error **err) must_check;
/* Remembers what use has shown. */
void accel_report(const char *cache_dir, bool works, const char *reason);

#endif
