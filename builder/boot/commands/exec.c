#include "base/file.h"
#include "base/log.h"
#include "boot/agent.h"
#include "boot/commands/commands.h"
#include "boot/registry.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define OUR_FAILURE 125

struct options {
    const char *connect; /* first */
    const char *timeout;
    bool input;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"timeout", 't', OPTION_STRING, offsetof(struct options, timeout), "DURATION",
     "kill the command after so long (no limit)"},
    {"stdin", 'i', OPTION_FLAG, offsetof(struct options, input), NULL,
     "hand our stdin on (at most 64 MiB, read to its end first)"},
    {0},
};

static bool read_input(struct buffer *b, struct error **err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
        if (n < 0)
            return error_errno(err, ERROR_INPUT, errno, "cannot read stdin");
        if (n == 0)
            break;
        buffer_add(b, chunk, (size_t)n);
        if (b->size > AGENT_INPUT_MAX)
            return error_set(err, ERROR_INPUT, "more than 64 MiB on stdin do not pass the agent");
    }
    buffer_add(b, "", 0);
    return true;
}

/* `exec N -- CMD…` and `exec -- CMD…` look alike once the dashes are gone: the first word is a name
 * if there is an instance of that name. */
static bool find_target(const struct cli *cli, const char *uri, struct target *t, size_t *command,
                        struct error **err)
{
    t->arena = arena_new();
    if (!virt_open(uri, &t->virt, err))
        return false;
    struct registered *all;
    size_t count;
    if (!registry_list(t->virt, t->arena, &all, &count, err))
        return false;
    bool named = false;
    for (size_t i = 0; i < count; i++)
        named = named || strcmp(all[i].instance->name, cli->arguments[0]) == 0;
    *command = named ? 1 : 0;
    if (*command >= cli->argument_count)
        return error_set(err, ERROR_USAGE, "no command: ingot-boot exec %s -- COMMAND",
                         cli->arguments[0]);
    if (!named && count != 1 && cli->argument_count > 1)
        return error_set(err, ERROR_INPUT, "there is no instance '%s' at %s", cli->arguments[0],
                         virt_uri(t->virt));
    return registry_find(t->virt, t->arena, named ? cli->arguments[0] : NULL, &t->domain,
                         &t->instance, err);
}

static bool hand_on(int stream, const void *bytes, size_t size, void *data, struct error **err)
{
    (void)data;
    return file_write_all(stream, bytes, size, err);
}

static bool execute(const struct cli *cli, const struct options *o, struct error **err)
{
    autotarget struct target t = {0};
    autobuffer struct buffer input = {0};
    size_t command;
    struct agent_exec e = {.on_output = hand_on};
    if (o->timeout && !parse_timeout(o->timeout, 1, &e.timeout_seconds, err))
        return false;
    if (!find_target(cli, o->connect, &t, &command, err))
        return false;
    if (o->input && !read_input(&input, err))
        return false;
    e.argv = (const char *const *)cli->arguments + command;
    e.input = o->input ? (input.data ? input.data : "") : NULL;
    e.input_size = input.size;
    return agent_exec(t.domain, &e, cli->exit_code, err);
}

static bool run(const struct cli *cli, const void *options, struct error **err)
{
    const struct options *o = options;
    autoerror struct error *why = NULL;
    if (execute(cli, o, &why))
        return true;
    /* The guest's exit codes pass through: ours must not look like one of them. */
    enum error_kind kind = error_kind(why);
    if (kind == ERROR_INTERRUPTED || kind == ERROR_TERMINATED || kind == ERROR_USAGE)
        return error_set(err, kind, "%s", error_text(why));
    log_error("%s", error_text(why));
    *cli->exit_code = OUR_FAILURE;
    return true;
}

const struct command command_exec = {
    .name = "exec",
    .arguments = "[N] -- COMMAND…",
    .summary = "run a command in the guest, through its agent",
    .details =
        "stdout, stderr and the exit code are the command's; 125 is a failure of ours (no agent,\n"
        "time-out), 126 not executable, 127 not found, 128+n ended by signal n. Runs as root,\n"
        "without a terminal; its output comes as it is written.",
    .options = specs,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
