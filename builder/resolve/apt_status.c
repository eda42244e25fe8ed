#include "resolve/apt_status.h"

#include "resolve/deb.h"
#include "resolve/deb822.h"

#include <string.h>

/* An upgrade of one that is in the base replaces its stanza. A package of another architecture is
 * another one; `all` stands in for any. */
static bool is_locked(struct arena *a, const char *stanza, const struct package *locked,
                      size_t count)
{
    const char *name = deb822_field(a, stanza, "Package");
    const char *architecture = deb822_field(a, stanza, "Architecture");
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(locked[i].name, name) == 0 &&
            (!architecture || strcmp(architecture, locked[i].architecture) == 0 ||
             strcmp(architecture, "all") == 0 || strcmp(locked[i].architecture, "all") == 0))
            return true;
    return false;
}

bool apt_lock_status(const char *status, const struct package *locked, const char *const *files,
                     size_t count, struct buffer *out, struct error **err)
{
    if (!count) {
        buffer_puts(out, status);
        return true;
    }
    while (*status) {
        const char *end = strstr(status, "\n\n");
        size_t n = end ? (size_t)(end - status) + 1 : strlen(status);
        autoarena struct arena *a = arena_new();
        const char *stanza = arena_strndup(a, status, n);
        if (n > 1 && !is_locked(a, stanza, locked, count))
            buffer_printf(out, "%s%s", stanza, stanza[n - 1] == '\n' ? "\n" : "\n\n");
        status += n;
        status += strspn(status, "\n");
    }
    for (size_t i = 0; i < count; i++) {
        if (!deb_control(&locked[i], files[i], out, err))
            return false;
        buffer_puts(out, "Status: hold ok installed\n\n");
    }
    return true;
}
