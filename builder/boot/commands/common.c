#include "boot/commands/commands.h"

#include "base/log.h"
#include "base/units.h"
#include "boot/registry.h"

#include <limits.h>

const struct option_spec connect_options[] = {OPTION_CONNECT, {0}};

bool target_open(struct target *t, const char *uri, const char *name, struct error **err)
{
    t->arena = arena_new();
    if (!virt_open(uri, &t->virt, err))
        return false;
    log_debug("libvirt: %s, %s", virt_uri(t->virt), virt_why(t->virt));
    return registry_find(t->virt, t->arena, name, &t->domain, &t->instance, err);
}

void target_close(struct target *t)
{
    domain_free(t->domain);
    virt_close(t->virt);
    arena_free(t->arena);
}

const char *first_argument(const struct cli *cli)
{
    return cli->argument_count ? cli->arguments[0] : NULL;
}

bool parse_timeout(const char *text, unsigned fallback, unsigned *seconds, struct error **err)
{
    uint64_t n = fallback;
    const char *why = NULL;
    if (text && !units_parse_duration(text, &n, &why))
        return error_set(err, ERROR_USAGE, "--timeout '%s': %s", text, why);
    if (n == 0 || n > UINT_MAX)
        return error_set(err, ERROR_USAGE, "--timeout must be at least a second");
    *seconds = (unsigned)n;
    return true;
}

bool parse_stage(const char *text, const struct instance *i, enum ready_stage *stage,
                 struct error **err)
{
    *stage = ready_last(i);
    return !text || ready_parse(text, stage, err);
}

void print_json(json_t *j)
{
    autofree char *text = json_pretty(j);
    fputs(text, stdout);
    json_decref(j);
}

static json_t *forwards_to_json(const struct instance *i)
{
    json_t *list = json_array();
    for (size_t n = 0; n < i->forward_count; n++) {
        json_t *f = json_object();
        json_set_string(f, "address", i->forwards[n].address);
        json_set_string(f, "protocol", i->forwards[n].protocol);
        json_set_integer(f, "host", i->forwards[n].host);
        json_set_integer(f, "guest", i->forwards[n].guest);
        json_array_append_new(list, f);
    }
    return list;
}

json_t *instance_to_json(const struct instance *i, const char *uri)
{
    json_t *j = json_object();
    json_set_string(j, "name", i->name);
    json_set_string(j, "uri", uri);
    json_set_string(j, "image", i->image);
    json_set_string(j, "version", i->version);
    json_set_string(j, "artifact", i->artifact);
    json_set_string(j, "folder", i->folder);
    json_set_string(j, "console_log", i->console_log);
    json_set_string(j, "instance_id", i->instance_id);
    json_set_string(j, "hostname", i->hostname);
    json_set_string(j, "user", i->user);
    json_set_string(j, "network", i->network);
    json_set(j, "forwards", forwards_to_json(i));
    return j;
}

json_t *addresses_to_json(struct target *t)
{
    json_t *list = json_array();
    struct address *at;
    size_t count;
    if (!domain_addresses(t->domain, t->arena, &at, &count, NULL))
        return list;
    for (size_t i = 0; i < count; i++) {
        json_t *j = json_object();
        json_set_string(j, "interface", at[i].interface);
        json_set_string(j, "mac", at[i].mac);
        json_set_string(j, "address", at[i].ip);
        json_set_integer(j, "prefix", at[i].prefix);
        json_array_append_new(list, j);
    }
    return list;
}
