#include "boot/commands/commands.h"

#include <string.h>

/* Link-local addresses are of no use without an interface: only --json has them. */
static bool is_link_local(const char *ip)
{
    return strncmp(ip, "fe80:", 5) == 0 || strncmp(ip, "169.254.", 8) == 0;
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct connect_options *o = options;
    autotarget struct target t = {0};
    struct address *at;
    size_t count;
    if (!target_open(&t, o->connect, first_argument(cli), err) ||
        !domain_addresses(t.domain, t.arena, &at, &count, err))
        return false;
    if (cli->json) {
        json_t *j = instance_to_json(t.instance, virt_uri(t.virt));
        json_set(j, "addresses", addresses_to_json(&t));
        print_json(j);
        return true;
    }
    size_t shown = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_link_local(at[i].ip))
            shown += printf("%s\n", at[i].ip) > 0;
    return shown || error_set(err, ERROR_GUEST, "'%s' has no address yet", t.instance->name);
}

const struct command command_ip = {
    .name = "ip",
    .arguments = "[N]",
    .summary = "addresses of an instance, as its agent or libvirt's DHCP server says",
    .options = connect_options,
    .options_size = sizeof(struct connect_options),
    .max_arguments = 1,
    .run = run,
};
