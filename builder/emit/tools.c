#include "emit/tools.h"

#include "base/interrupt.h"
#include "base/process.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *name;
    const char *argv[3];
} tools_asked[] = {
    {"qemu-img", {"qemu-img", "--version", NULL}},
    {"e2fsprogs", {"mke2fs", "-V", NULL}},
};

/* The first word that starts with a digit: "qemu-img version 7.2.22 (Debian …)", "mke2fs 1.47.0 …".
 */
static const char *find_version(struct arena *a, const char *said)
{
    for (const char *p = said; *p && *p != '\n'; p++) {
        if (isdigit((unsigned char)*p) && (p == said || isspace((unsigned char)p[-1])))
            return arena_strndup(a, p, strcspn(p, " ,()\n"));
    }
    return NULL;
}

bool tools_versions(struct arena *a, const struct contract_tool **tools, size_t *count,
                    struct error **err)
{
    struct contract_tool own = {"ingot", INGOT_VERSION};
    *tools = NULL;
    *count = 0;
    arena_append(a, *tools, *count, own);
    for (size_t i = 0; i < COUNT(tools_asked); i++) {
        autoresult struct process_result r = {0};
        const struct process p = {.argv = tools_asked[i].argv, .timeout_seconds = 10};
        if (!process_run(&p, &r, NULL)) {
            if (interrupted())
                return interrupt_error(err);
            continue;
        }
        const char *said = r.out.size ? r.out.data : r.err.size ? r.err.data : "";
        struct contract_tool one = {tools_asked[i].name, find_version(a, said)};
        if (one.version)
            arena_append(a, *tools, *count, one);
    }
    return true;
}
