#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "ingot/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct options {
    const char *base, *distribution;
};

static const struct option_spec options[] = {
    {"base", 'b', OPTION_STRING, offsetof(struct options, base), "BASE",
     "a profile in recipes/bases (ubuntu-24.04)"},
    {"distribution", 'd', OPTION_STRING, offsetof(struct options, distribution), "DISTRIBUTION",
     "a profile in recipes/distributions (k3s)"},
    {0},
};

static const char text[] =
    "# A golden image. `ingot plan %1$s.yaml` says what it will do, `ingot build %1$s.yaml` makes\n"
    "# out/%1$s, `ingot-boot up out/%1$s` boots it. docs/recipe.md has every key.\n"
    "ingot: 1\n"
    "name: %1$s\n"
    "base: %2$s            # a profile in recipes/bases/, {image: URL, verify: …} or {bootstrap: "
    "…}\n"
    "distribution: %3$s    # a profile in recipes/distributions/\n"
    "disk: 8GiB\n"
    "\n"
    "# packages: [nfs-common]\n"
    "# registries:\n"
    "#   docker.io: {mirrors: [\"https://mirror.example\"]}\n"
    "# overlays: [./rootfs]      # folders laid over the guest's root\n"
    "# files:\n"
    "#   - {path: /etc/motd, content: \"hello\\n\", mode: \"0644\"}\n"
    "# services: {enable: [name]}\n"
    "\n"
    "boot:                       # defaults for instances; nothing here is baked\n"
    "  memory: 2GiB\n"
    "  cpus: 2\n"
    "  # ssh_keys: [~/.ssh/id_ed25519.pub]\n";

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    const char *name = cli->argument_count ? cli->arguments[0] : "golden";
    const char *base = o->base ? o->base : "ubuntu-24.04";
    const char *distribution = o->distribution ? o->distribution : "k3s";
    const char *const words[] = {name, base, distribution};
    for (size_t i = 0; i < COUNT(words); i++)
        if (!path_is_plain_name(words[i]))
            return error_set(err, ERROR_USAGE,
                             "'%s' is no name: letters, digits, dots, dashes and underscores",
                             words[i]);
    autofree char *file = NULL, *body = NULL;
    if (asprintf(&file, "%s.yaml", name) < 0 || asprintf(&body, text, name, base, distribution) < 0)
        abort();
    autoclose int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, errno == EEXIST ? ERROR_CONFLICT : ERROR_HOST, errno, "%s", file);
    if (!file_write_all(fd, body, strlen(body), err)) {
        unlink(file);
        return error_wrap(err, "%s", file);
    }
    if (cli->json) {
        autojson json_t *j = json_object();
        json_set_string(j, "file", file);
        autofree char *document = json_pretty(j);
        fputs(document, stdout);
    } else {
        printf("%s\n", file);
    }
    log_info("next: ingot check %s, ingot plan %s, ingot build %s", file, file, file);
    return true;
}

const struct command command_new = {
    .name = "new",
    .arguments = "[NAME]",
    .summary = "Writes a commented recipe NAME.yaml into this folder",
    .options = options,
    .options_size = sizeof(struct options),
    .max_arguments = 1,
    .run = run,
};
