#include "boot/up.h"

#include "base/log.h"
#include "base/progress.h"
#include "base/units.h"
#include "boot/commands/commands.h"

#include <string.h>

#define DEFAULT_SECONDS 600

struct options {
    const char *connect; /* first */
    const char *name, *memory, *network, *hostname, *user_data, *timeout, *console_log, *stage,
        *title, *key, *fingerprint;
    unsigned cpus;
    struct cli_list forwards, keys;
    bool no_wait, no_forward, keep;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"name", 'n', OPTION_STRING, offsetof(struct options, name), "N",
     "name of the instance (the image's)"},
    {"memory", 'm', OPTION_STRING, offsetof(struct options, memory), "SIZE",
     "as 2GiB (what the image asks for)"},
    {"cpus", 0, OPTION_NUMBER, offsetof(struct options, cpus), "N", "processors"},
    {"forward", 'p', OPTION_LIST, offsetof(struct options, forwards), "HOST:GUEST",
     "[ADDRESS:]HOST:GUEST[/udp], beside those that the image asks for"},
    {"no-forward", 0, OPTION_FLAG, offsetof(struct options, no_forward), NULL,
     "not the forwards that the image asks for"},
    {"network", 0, OPTION_STRING, offsetof(struct options, network), "user|NAME",
     "QEMU's own network, or one of libvirt's (user)"},
    {"hostname", 0, OPTION_STRING, offsetof(struct options, hostname), "H",
     "the guest's name (the instance's)"},
    {"ssh-key", 0, OPTION_LIST, offsetof(struct options, keys), "KEY|FILE",
     "public key for the image's user"},
    {"user-data", 0, OPTION_STRING, offsetof(struct options, user_data), "FILE",
     "whole user-data instead of what the recipe says"},
    {"console-log", 0, OPTION_STRING, offsetof(struct options, console_log), "FILE",
     "where the serial console is logged (in the instance's folder)"},
    {"title", 0, OPTION_STRING, offsetof(struct options, title), "TITLE",
     "which artifact of a bundle with several"},
    {"key", 0, OPTION_STRING, offsetof(struct options, key), "FILE",
     "the public key that must have signed the bundle"},
    {"fingerprint", 0, OPTION_STRING, offsetof(struct options, fingerprint), "F",
     "the OpenPGP key in FILE that must have signed it"},
    {"no-wait", 0, OPTION_FLAG, offsetof(struct options, no_wait), NULL, "return once it runs"},
    {"for", 0, OPTION_STRING, offsetof(struct options, stage), "STAGE",
     "wait for kernel, agent or cloud-init (the last that the image has)"},
    {"timeout", 't', OPTION_STRING, offsetof(struct options, timeout), "DURATION",
     "how long to wait (10m)"},
    {"keep", 0, OPTION_FLAG, offsetof(struct options, keep), NULL,
     "leave the instance for a look when it fails"},
    {0},
};

static bool translate(const struct options *given, struct arena *a, struct up_options *o,
                      struct error **err)
{
    const char *why = NULL;
    if (given->memory && !units_parse_size(given->memory, &o->memory, &why))
        return error_set(err, ERROR_USAGE, "--memory '%s': %s", given->memory, why);
    if (given->memory && o->memory < 16 * MIB)
        return error_set(err, ERROR_USAGE, "--memory '%s' is too little", given->memory);
    if (given->cpus > 4096)
        return error_set(err, ERROR_USAGE, "--cpus %u is too much", given->cpus);
    if (given->stage && !ready_parse(given->stage, &o->until, err))
        return false;
    if (!parse_timeout(given->timeout, DEFAULT_SECONDS, &o->timeout_seconds, err))
        return false;
    struct forward *forwards = NULL;
    for (size_t i = 0; i < given->forwards.count; i++) {
        struct forward f;
        if (!forward_parse(a, given->forwards.items[i], &f, err))
            return false;
        arena_append(a, forwards, o->forward_count, f);
    }
    const char **keys = arena_alloc(a, (given->keys.count + 1) * sizeof *keys);
    for (size_t i = 0; i < given->keys.count; i++)
        keys[i] = given->keys.items[i];
    o->ssh_keys = keys;
    o->forwards = forwards;
    o->name = given->name;
    o->title = given->title;
    o->key = given->key;
    o->fingerprint = given->fingerprint;
    o->hostname = given->hostname;
    o->network = given->network ? given->network : "user";
    o->user_data = given->user_data;
    o->console_log = given->console_log;
    o->cpus = given->cpus;
    o->no_forwards = given->no_forward;
    o->wait = !given->no_wait;
    o->until_given = given->stage != NULL;
    o->keep = given->keep;
    return true;
}

static void say(struct target *t, const struct up_result *r)
{
    struct address *at = NULL;
    size_t count = 0;
    const struct instance *i = r->instance;
    const char *user = i->user ? i->user : "USER";
    if (!domain_addresses(t->domain, t->arena, &at, &count, NULL))
        count = 0;
    log_info("'%s' runs%s%s%s", i->name, count ? " at " : "", count ? at[0].ip : "",
             r->created ? "" : " (it was there already)");
    for (size_t n = 0; n < i->forward_count; n++)
        if (i->forwards[n].guest == 22)
            log_info("  ssh -p %u %s@%s", i->forwards[n].host, user, i->forwards[n].address);
    log_info("  ingot-boot exec %s -- COMMAND, ingot-boot console %s, ingot-boot delete %s",
             i->name, i->name, i->name);
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *given = options;
    autotarget struct target t = {.arena = arena_new()};
    struct up_options o = {.artifact = cli->arguments[0]};
    struct up_result result = {0};
    if (!translate(given, t.arena, &o, err) || !virt_open(given->connect, &t.virt, err))
        return false;
    log_info("libvirt: %s, %s", virt_uri(t.virt), virt_why(t.virt));
    if (!up(t.virt, &o, t.arena, &result, err))
        return false;
    progress_done();
    if (!virt_find(t.virt, result.instance->name, &t.domain, err))
        return false;
    if (!t.domain)
        return error_set(err, ERROR_CONFLICT, "'%s' was removed meanwhile", result.instance->name);
    if (cli->json) {
        json_t *j = instance_to_json(result.instance, virt_uri(t.virt));
        json_set_bool(j, "created", result.created);
        json_set(j, "addresses", addresses_to_json(&t));
        print_json(j);
    } else {
        say(&t, &result);
    }
    return true;
}

const struct command command_up = {
    .name = "up",
    .arguments = "ARTIFACT",
    .summary = "make an instance of an image, start it, wait until it is ready",
    .details =
        "ARTIFACT is a folder that ingot built, or the image.json in it; a bundle, which is "
        "checked\n"
        "and unpacked once; or a name below out/ or of what was imported. The same artifact again\n"
        "starts the instance that is there. When something fails, nothing is left behind.",
    .options = specs,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
