/* containers-registries.conf(5), version 2, as a drop-in of /etc/containers/registries.conf.d.
 *
 * An image name that begins with `prefix` is asked of the mirrors in order, then of `location`,
 * with the rest of the name behind it. A wildcard prefix has no location: the image's own host is
 * asked. `insecure` allows both plain HTTP and certificates that cannot be verified.
 */
#include "plan/registries.h"

#include "base/text.h"

#include <string.h>

/* A TOML basic string. The characters are checked: nothing in them needs an escape. */
static void setting(struct buffer *out, const char *key, const char *value)
{
    buffer_printf(out, "%s = \"%s\"\n", key, value);
}

static bool write_registry(const struct registry *r, struct buffer *out, struct error **err)
{
    if (!registries_check_name(&r->name, err))
        return false;
    if (strcmp(r->name.text, "*") == 0)
        return error_set_at(err, ERROR_INPUT, r->name.place,
                            "'*': registries.conf has no entry for every registry; name each, or a "
                            "domain as *.example.com");
    buffer_puts(out, "\n[[registry]]\n");
    setting(out, "prefix", r->name.text);
    if (!text_starts_with(r->name.text, "*."))
        setting(out, "location", r->name.text);
    if (r->insecure)
        buffer_puts(out, "insecure = true\n");
    if (r->blocked)
        buffer_puts(out, "blocked = true\n");
    for (size_t i = 0; i < r->mirrors.count; i++) {
        struct mirror m;
        if (!registries_parse_mirror(&r->mirrors.items[i], &m, err))
            return false;
        buffer_puts(out, "\n[[registry.mirror]]\n");
        size_t n = 0; /* without slashes at the end */
        for (size_t at = 0; m.location[at]; at++)
            if (m.location[at] != '/')
                n = at + 1;
        buffer_printf(out, "location = \"%.*s\"\n", (int)n, m.location);
        if (m.plain || r->insecure)
            buffer_puts(out, "insecure = true\n");
    }
    return true;
}

static bool write_file(const struct registry *registries, size_t count, struct buffer *out,
                       struct error **err)
{
    buffer_puts(out, "# Written by ingot, from the recipe's registries.\n");
    for (size_t i = 0; i < count; i++)
        if (!write_registry(&registries[i], out, err))
            return false;
    return true;
}

const struct registries_format registries_containers = {
    "containers", "/etc/containers/registries.conf.d/50-ingot.conf", write_file};
