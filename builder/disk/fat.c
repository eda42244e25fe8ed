#include "disk/fat.h"

#include "base/interrupt.h"
#include "base/process.h"

#include <inttypes.h>
#include <string.h>

bool fat_has(const char *raw, uint64_t offset, const char *path, bool *found, struct error **err)
{
    autofree char *image = NULL, *name = NULL;
    if (asprintf(&image, "%s@@%" PRIu64, raw, offset) < 0 || asprintf(&name, "::%s", path) < 0)
        abort();
    const char *argv[] = {"mdir", "-b", "-i", image, name, NULL};
    const char *env[] = {"MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=0", "LC_ALL=C", NULL};
    const struct process p = {.argv = argv, .env = env, .timeout_seconds = 30};
    autoresult struct process_result r = {0};
    autoerror struct error *why = NULL;
    if (!process_run(&p, &r, &why)) {
        if (interrupted())
            return interrupt_error(err);
        return error_set(err, ERROR_UNSUPPORTED, "%s", error_text(why));
    }
    *found = r.status == 0;
    if (r.status == 0 || (r.err.data && strstr(r.err.data, "not found")))
        return true;
    return error_set(err, ERROR_UNSUPPORTED, "mdir cannot read the FAT at %" PRIu64 ": %s", offset,
                     r.err.data ? process_last_lines(r.err.data, 1) : "");
}
