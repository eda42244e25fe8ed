#include "bake/run.h"

#include "base/progress.h"

#define RUN_SECONDS 3600

bool bake_run(struct appliance *a, const struct recipe *r, struct error **err)
{
    static const char *const env[] = {
        "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", NULL};
    for (size_t i = 0; i < r->run_count; i++) {
        const struct command_line *c = &r->run[i];
        autoerror struct error *why = NULL;
        progress_note("%zu of %zu: %s", i + 1, r->run_count, c->argv[0]);
        const struct guest_command command = {
            .argv = c->argv, .env = env, .timeout_seconds = RUN_SECONDS};
        if (!appliance_run(a, &command, &why))
            return error_set_at(err, error_kind(why), c->place, "run: %s", error_text(why));
    }
    return true;
}
