/* k3s and RKE2: `mirrors` with endpoints per registry, `configs` with TLS settings per endpoint's
 * host. The registry itself is asked last, unless the distribution's own configuration says
 * otherwise. `insecure` is here "do not verify the certificates" of the mirrors and the registry;
 * plain HTTP is said by a mirror's http://. The name * stands for every registry.
 */
#include "plan/registries.h"

#include <string.h>

struct hosts {
    const char *text;
    size_t length;
};

static bool write_mirrors(const struct registry *r, struct buffer *out, struct error **err)
{
    if (!registries_check_name(&r->name, err))
        return false;
    if (strncmp(r->name.text, "*.", 2) == 0)
        return error_set_at(err, ERROR_INPUT, r->name.place,
                            "'%s': this distribution's registries.yaml knows no wildcard domains; "
                            "name each registry",
                            r->name.text);
    if (r->blocked)
        return error_set_at(err, ERROR_INPUT, r->name.place,
                            "'%s': this distribution's registries.yaml cannot block a registry",
                            r->name.text);
    if (!r->mirrors.count)
        return true;
    buffer_printf(out, "  \"%s\":\n    endpoint:\n", r->name.text);
    for (size_t i = 0; i < r->mirrors.count; i++) {
        struct mirror m;
        if (!registries_parse_mirror(&r->mirrors.items[i], &m, err))
            return false;
        buffer_printf(out, "      - \"%s\"\n", r->mirrors.items[i].text);
    }
    return true;
}

/* The hosts whose certificates are not verified, each once, in the order of the recipe. */
static bool insecure_hosts(const struct registry *registries, size_t count, struct hosts **hosts,
                           size_t *host_count, struct error **err)
{
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room += registries[i].mirrors.count + 1;
    *hosts = calloc(room, sizeof **hosts);
    if (!*hosts)
        abort();
    for (size_t i = 0; i < count; i++) {
        const struct registry *r = &registries[i];
        for (size_t j = 0; r->insecure && j <= r->mirrors.count; j++) {
            struct hosts h = {r->name.text, strcspn(r->name.text, "/")};
            if (j < r->mirrors.count) {
                struct mirror m;
                if (!registries_parse_mirror(&r->mirrors.items[j], &m, err))
                    return false;
                if (m.plain)
                    continue;
                h = (struct hosts){m.location, m.host_length};
            }
            bool known = false;
            for (size_t k = 0; k < *host_count; k++)
                known = known || ((*hosts)[k].length == h.length &&
                                  memcmp((*hosts)[k].text, h.text, h.length) == 0);
            if (!known)
                (*hosts)[(*host_count)++] = h;
        }
    }
    return true;
}

static bool write_file(const struct registry *registries, size_t count, struct buffer *out,
                       struct error **err)
{
    autobuffer struct buffer mirrors = {0};
    for (size_t i = 0; i < count; i++)
        if (!write_mirrors(&registries[i], &mirrors, err))
            return false;
    buffer_puts(out, "# Written by ingot, from the recipe's registries.\n");
    if (mirrors.size)
        buffer_printf(out, "mirrors:\n%s", mirrors.data);
    autofree struct hosts *hosts = NULL;
    size_t n = 0;
    if (!insecure_hosts(registries, count, &hosts, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, "%s  \"%.*s\":\n    tls:\n      insecure_skip_verify: true\n",
                      i ? "" : "configs:\n", (int)hosts[i].length, hosts[i].text);
    return true;
}

const struct registries_format registries_k3s = {"k3s", "/etc/rancher/k3s/registries.yaml",
                                                 write_file};
