#include "base/log.h"
#include "boot/commands/commands.h"
#include "boot/registry.h"

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct connect_options *o = options;
    autoarena struct arena *a = arena_new();
    autovirt struct virt *v = NULL;
    struct registered *all;
    size_t count;
    if (!virt_open(o->connect, &v, err) || !registry_list(v, a, &all, &count, err))
        return false;
    log_info("libvirt: %s, %s", virt_uri(v), virt_why(v));
    json_t *list = cli->json ? json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct instance *n = all[i].instance;
        if (list) {
            json_t *j = instance_to_json(n, virt_uri(v));
            json_set_string(j, "state", all[i].state);
            json_array_append_new(list, j);
        } else {
            printf("%-24s %-12s %s%s%s\n", n->name, all[i].state, n->image, n->version ? " " : "",
                   n->version ? n->version : "");
        }
    }
    if (list) {
        json_t *document = json_object();
        json_set(document, "instances", list);
        print_json(document);
    }
    return true;
}

const struct command command_list = {
    .name = "list",
    .summary = "all instances at this libvirt: name, state, image",
    .options = connect_options,
    .options_size = sizeof(struct connect_options),
    .run = run,
};
