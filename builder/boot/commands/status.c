#include "base/units.h"
#include "boot/agent.h"
#include "boot/commands/commands.h"
#include "boot/xml.h"

#include <string.h>

#define PING_SECONDS 5

static void print(const json_t *j, const struct instance *i, const char *memory)
{
    const json_t *addresses = json_object_get(j, "addresses");
    printf("name:      %s\nstate:     %s\n", i->name, json_string_or(j, "state", "?"));
    printf("agent:     %s\n", json_is_true(json_object_get(j, "agent_answers")) ? "answers" : "-");
    if (json_string_or(j, "os", NULL))
        printf("guest:     %s\n", json_string_or(j, "os", ""));
    for (size_t n = 0; n < json_array_size(addresses); n++) {
        const json_t *at = json_array_get(addresses, n);
        printf("address:   %s (%s)\n", json_string_or(at, "address", ""),
               json_string_or(at, "interface", ""));
    }
    for (size_t n = 0; n < i->forward_count; n++)
        printf("forward:   %s:%u -> %u/%s\n", i->forwards[n].address, i->forwards[n].host,
               i->forwards[n].guest, i->forwards[n].protocol);
    printf("image:     %s%s%s from %s\n", i->image, i->version ? " " : "",
           i->version ? i->version : "", i->artifact);
    printf("machine:   %s, %lld CPUs, %s, network %s\n", json_string_or(j, "accelerator", "?"),
           (long long)json_integer_value(json_object_get(j, "cpus")), memory, i->network);
    printf("console:   %s\n", i->console_log);
}

static bool describe(struct target *t, json_t *j, bool *active, struct error **err)
{
    const char *state, *type = NULL;
    uint64_t memory;
    unsigned cpus;
    autofree char *xml = NULL;
    if (!domain_state(t->domain, &state, active, err) ||
        !domain_resources(t->domain, &memory, &cpus, err) || !domain_xml(t->domain, &xml, err) ||
        !xml_domain_type(t->arena, xml, &type, err))
        return false;
    json_set_string(j, "state", state);
    json_set_string(j, "accelerator", type && strcmp(type, "kvm") == 0 ? "kvm" : "tcg");
    json_set_integer(j, "memory", (json_int_t)memory);
    json_set_integer(j, "cpus", cpus);
    return true;
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct connect_options *o = options;
    autotarget struct target t = {0};
    bool active;
    if (!target_open(&t, o->connect, first_argument(cli), err))
        return false;
    autojson json_t *j = instance_to_json(t.instance, virt_uri(t.virt)), *os = NULL;
    if (!describe(&t, j, &active, err))
        return false;
    bool answers = active && t.instance->agent && agent_ping(t.domain, PING_SECONDS, NULL);
    json_set_bool(j, "agent_answers", answers);
    if (answers && agent_call(t.domain, "guest-get-osinfo", NULL, PING_SECONDS, &os, NULL))
        json_set_string(j, "os", json_string_or(os, "pretty-name", NULL));
    if (active)
        json_set(j, "addresses", addresses_to_json(&t));
    char memory[16];
    units_format_size((uint64_t)json_integer_value(json_object_get(j, "memory")), memory);
    if (cli->json)
        print_json(json_incref(j));
    else
        print(j, t.instance, memory);
    return true;
}

const struct command command_status = {
    .name = "status",
    .arguments = "[N]",
    .summary = "state, agent, addresses, machine of an instance",
    .options = connect_options,
    .options_size = sizeof(struct connect_options),
    .max_arguments = 1,
    .run = run,
};
