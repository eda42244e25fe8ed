#include "base/log.h"
#include "emit/seed.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <string.h>

struct options {
    const char *output, *kind, *hostname, *instance_id, *user, *user_data, *password_hash_file,
        *address, *gateway, *network_config;
    struct cli_list ssh_keys, nameservers, set;
};

#define OPTION(letter, name, field, value, help)                                                   \
    {                                                                                              \
        name, letter, OPTION_STRING, offsetof(struct options, field), value, help                  \
    }
static const struct option_spec options[] = {
    OPTION('o', "output", output, "FILE", "the ISO to write"),
    OPTION(0, "kind", kind, "cloud-init|tiny-cloud", "who reads it in the guest (cloud-init)"),
    OPTION(0, "hostname", hostname, "NAME", "the guest's name"),
    OPTION(0, "instance-id", instance_id, "ID", "a new one makes the guest set itself up again"),
    OPTION(0, "user", user, "NAME", "login name"),
    {"ssh-key", 0, OPTION_LIST, offsetof(struct options, ssh_keys), "KEY|FILE",
     "a public key, or a file of them; may be repeated"},
    OPTION(0, "password-hash-file", password_hash_file, "FILE", "holds a crypt(5) hash"),
    OPTION(0, "user-data", user_data, "FILE", "a whole user-data file, used as it is"),
    OPTION(0, "network-config", network_config, "FILE", "a whole network-config, used as it is"),
    OPTION(0, "address", address, "ADDRESS/BITS", "static IPv4 address; DHCP without it"),
    OPTION(0, "gateway", gateway, "ADDRESS", "default route for --address"),
    {"nameserver", 0, OPTION_LIST, offsetof(struct options, nameservers), "ADDRESS",
     "DNS server for --address; may be repeated"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe"},
    {0},
};

static const char *const *with_end(struct arena *a, const struct cli_list *list)
{
    const char **copy = arena_alloc(a, (list->count + 1) * sizeof *copy);
    for (size_t i = 0; i < list->count; i++)
        copy[i] = list->items[i];
    return list->count ? copy : NULL;
}

static bool read_keys(struct session *s, const struct options *o, struct cidata *c,
                      struct error **err)
{
    const char **keys = NULL, *end = NULL;
    size_t count = 0;
    for (size_t i = 0; i < o->ssh_keys.count; i++) {
        const char *key = o->ssh_keys.items[i];
        if (strncmp(key, "ssh-", 4) == 0 || strncmp(key, "ecdsa-", 6) == 0 ||
            strncmp(key, "sk-", 3) == 0)
            keys = arena_append_(s->arena, keys, &count, sizeof key, &key);
        else if (!seed_read_keys(s->arena, s->inputs, key, &keys, &count, err))
            return false;
    }
    if (count)
        c->ssh_keys = arena_append_(s->arena, keys, &count, sizeof end, &end);
    return true;
}

static bool read_text(struct session *s, const char *path, const char **into, struct error **err)
{
    size_t size;
    return !path || inputs_text(s->inputs, path, (size_t)1 << 20, into, &size, err);
}

/* What the flags say wins over the recipe. */
static bool apply(struct session *s, const struct options *o, struct cidata *c, struct error **err)
{
    const struct {
        const char *given, **into;
    } fields[] = {{o->kind, &c->kind},       {o->hostname, &c->hostname},
                  {o->user, &c->user},       {o->instance_id, &c->instance_id},
                  {o->address, &c->address}, {o->gateway, &c->gateway}};
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].given)
            *fields[i].into = fields[i].given;
    if (o->nameservers.count)
        c->nameservers = with_end(s->arena, &o->nameservers);
    if (o->password_hash_file &&
        !seed_read_hash(s->arena, s->inputs, o->password_hash_file, &c->password_hash, err))
        return false;
    return read_keys(s, o, c, err) && read_text(s, o->user_data, &c->user_data, err) &&
           read_text(s, o->network_config, &c->network_config, err);
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    if (!o->output)
        return error_set(err, ERROR_USAGE, "cidata needs -o FILE");
    if (o->set.count && !cli->argument_count)
        return error_set(err, ERROR_USAGE, "--set overrides a key of a recipe, and none is named");
    if (o->kind && strcmp(o->kind, "cloud-init") != 0 && strcmp(o->kind, "tiny-cloud") != 0)
        return error_set(err, ERROR_USAGE, "--kind is cloud-init or tiny-cloud, not '%s'", o->kind);
    autosession struct session *s = NULL;
    if (!session_open(&s, err))
        return false;
    autorecipe struct recipe *r = NULL;
    struct cidata c = {.kind = "cloud-init", .hostname = "ingot", .has_locales = true};
    if (!session_cache(s, NULL, err) || !session_epoch(NULL, &c.epoch, err))
        return false;
    if (cli->argument_count && (!session_recipe(s, cli->arguments[0], &o->set, false, &r, err) ||
                                !session_recipe_epoch(s, r, &c.epoch, err) ||
                                !seed_make(s->arena, r, s->inputs, NULL, c.epoch, NULL, &c, err)))
        return false;
    if (!apply(s, o, &c, err))
        return false;
    if (!c.instance_id)
        c.instance_id = arena_printf(s->arena, "ingot-%s", c.hostname);
    if (!cidata_write(&c, o->output, err))
        return false;
    if (cli->json) {
        autojson json_t *j = json_object();
        json_set_string(j, "file", o->output);
        json_set_string(j, "instance_id", c.instance_id);
        json_set_string(j, "hostname", c.hostname);
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
    } else {
        printf("%s\n", o->output);
    }
    return true;
}

const struct command command_cidata = {
    .name = "cidata",
    .arguments = "[RECIPE]",
    .summary = "Writes the NoCloud seed ISO alone, for somebody else's provisioner",
    .details = "From a recipe's `boot:`, from the options, or both: options win.",
    .options = options,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
