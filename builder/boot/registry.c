#include "boot/registry.h"

#include "base/buffer.h"
#include "base/log.h"
#include "boot/xml.h"

#include <string.h>

struct domains {
    struct domain **items;
    size_t count;
};

static void cleanup_domains(struct domains *l)
{
    for (size_t i = 0; i < l->count; i++)
        domain_free(l->items[i]);
    free(l->items);
}

static bool read_instance(struct arena *a, const struct domain *d, const struct instance **i,
                          struct error **err)
{
    autofree char *xml = NULL;
    if (!domain_metadata(d, &xml, err))
        return false;
    if (!xml)
        return error_set(err, ERROR_INPUT, "the domain '%s' is not one of ingot's", domain_name(d));
    return xml_metadata(a, xml, domain_name(d), i, err);
}

static bool only_one(struct virt *v, struct domain **d, struct error **err)
{
    cleanup(cleanup_domains) struct domains all = {0};
    if (!virt_list(v, &all.items, &all.count, err))
        return false;
    if (all.count == 1) {
        *d = take_ptr(all.items[0]);
        return true;
    }
    if (all.count == 0)
        return error_set(err, ERROR_INPUT,
                         "there is no instance at %s: `ingot-boot up ARTIFACT` makes one",
                         virt_uri(v));
    autobuffer struct buffer names = {0};
    for (size_t i = 0; i < all.count; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", domain_name(all.items[i]));
    return error_set(err, ERROR_USAGE, "there are several instances, say which: %s", names.data);
}

bool registry_find(struct virt *v, struct arena *a, const char *name, struct domain **d,
                   const struct instance **i, struct error **err)
{
    *d = NULL;
    if (!name && !only_one(v, d, err))
        return false;
    if (name && !virt_find(v, name, d, err))
        return false;
    if (!*d)
        return error_set(err, ERROR_INPUT,
                         "there is no instance '%s' at %s (`ingot-boot list` shows them)", name,
                         virt_uri(v));
    if (read_instance(a, *d, i, err))
        return true;
    domain_free(*d);
    *d = NULL;
    return false;
}

bool registry_list(struct virt *v, struct arena *a, struct registered **out, size_t *count,
                   struct error **err)
{
    cleanup(cleanup_domains) struct domains all = {0};
    *out = NULL;
    *count = 0;
    if (!virt_list(v, &all.items, &all.count, err))
        return false;
    for (size_t n = 0; n < all.count; n++) {
        struct registered r = {0};
        autoerror struct error *why = NULL;
        if (read_instance(a, all.items[n], &r.instance, &why) &&
            domain_state(all.items[n], &r.state, &r.active, &why))
            arena_append(a, *out, *count, r);
        else
            log_warning("%s", error_text(why));
    }
    return true;
}
