#include "boot/agent.h"

#include "base/interrupt.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CALL_SECONDS 30
#define PIECE (1 << 20)        /* 1.4 MB in base 64; libvirt carries 4 MB */
#define INPUT_PIECE (48 << 10) /* the agent reads its requests slowly */

/* Prints the first folder that can be written, with a new one in it for this command. */
static const char prepare[] = "umask 077\n"
                              "for dir in /var/tmp /tmp /run; do\n"
                              "  mkdir \"$dir/$1\" 2>/dev/null && cd \"$dir/$1\" && : > 0 && : > 1 "
                              "&& : > 2 && echo \"$dir/$1\" && exit 0\n"
                              "done\n"
                              "exit 1\n";
/* The command replaces the shell: it has the process id that the agent knows, and its umask. */
static const char run_it[] = "dir=$1; shift; exec \"$@\" < \"$dir/0\" > \"$dir/1\" 2> \"$dir/2\"";

struct job {
    struct domain *d;
    const struct agent_exec *e;
    char *folder; /* in the guest: files 0, 1 and 2 */
    json_int_t pid, handles[3];
    bool open;
};

static bool append(json_t *list, const char *word)
{
    json_t *j = json_string(word);
    return j && json_array_append_new(list, j) == 0;
}

/* Makes the folder and waits for its name. */
static bool make_folder(struct job *j, struct error **err)
{
    unsigned char random[8];
    char name[32];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort();
    int n = snprintf(name, sizeof name, "ingot-exec-");
    for (size_t i = 0; i < sizeof random; i++)
        n += snprintf(name + n, sizeof name - (size_t)n, "%02x", random[i]);
    const char *const argv[] = {"/bin/sh", "-c", prepare, "sh", name, NULL};
    autofree char *out = NULL;
    autojson json_t *nothing = NULL;
    /* A guest without an agent gets the better message. */
    if (!agent_call(j->d, "guest-ping", NULL, CALL_SECONDS, &nothing, err))
        return false;
    if (!agent_try(j->d, argv, &out))
        return error_set(err, ERROR_GUEST,
                         "the guest has no /bin/sh or no folder that can be written, or its agent "
                         "does not allow guest-exec");
    out[strcspn(out, "\n")] = '\0';
    j->folder = strdup(out);
    if (!j->folder)
        abort();
    return *out == '/' || error_set(err, ERROR_GUEST, "the guest's shell gives a strange answer");
}

static bool start(struct job *j, struct error **err)
{
    autojson json_t *arguments = json_object(), *started = NULL;
    json_t *list = json_array();
    json_set_string(arguments, "path", "/bin/sh");
    json_set(arguments, "arg", list);
    bool ok =
        append(list, "-c") && append(list, run_it) && append(list, "sh") && append(list, j->folder);
    for (size_t i = 0; ok && j->e->argv[i]; i++)
        ok = append(list, j->e->argv[i]);
    if (!ok)
        return error_set(err, ERROR_USAGE, "the command is not UTF-8, which the agent needs");
    json_set_bool(arguments, "capture-output", false);
    if (!agent_call(j->d, "guest-exec", json_incref(arguments), CALL_SECONDS, &started, err))
        return false;
    const json_t *pid = json_object_get(started, "pid");
    j->pid = json_integer_value(pid);
    return json_is_integer(pid) ||
           error_set(err, ERROR_GUEST, "the guest agent's answer to guest-exec lacks 'pid'");
}

/* Something small beside it, whose outcome does not matter. */
static void run_aside(struct domain *d, const char *program, const char *first, const char *second)
{
    json_t *arguments = json_object(), *list = json_array();
    json_set_string(arguments, "path", program);
    json_set(arguments, "arg", list);
    if (!append(list, first) || !append(list, second))
        abort();
    autojson json_t *ignored = NULL;
    autoerror struct error *err = NULL;
    if (!agent_call(d, "guest-exec", arguments, CALL_SECONDS, &ignored, &err))
        return; /* it was asked for; there is nothing more to do */
}

static void kill_it(const struct job *j)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)j->pid);
    run_aside(j->d, "kill", "-KILL", number);
}

static bool open_one(struct job *j, int stream, struct error **err)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/%d", j->folder, stream) < 0)
        abort();
    json_t *arguments = json_object();
    json_set_string(arguments, "path", path);
    json_set_string(arguments, "mode", stream == 0 ? "w" : "r");
    autojson json_t *answer = NULL;
    if (!agent_call(j->d, "guest-file-open", arguments, CALL_SECONDS, &answer, err))
        return false;
    j->handles[stream] = json_integer_value(answer);
    return json_is_integer(answer) ||
           error_set(err, ERROR_GUEST, "the guest agent's answer to guest-file-open is no number");
}

static void close_one(const struct job *j, int stream)
{
    json_t *arguments = json_object();
    json_set_integer(arguments, "handle", j->handles[stream]);
    autojson json_t *ignored = NULL;
    autoerror struct error *err = NULL;
    if (!agent_call(j->d, "guest-file-close", arguments, CALL_SECONDS, &ignored, &err))
        return; /* the agent forgets it when it ends */
}

static bool write_input(struct job *j, struct error **err)
{
    if (!j->e->input_size)
        return true;
    if (!open_one(j, 0, err))
        return false;
    bool ok = true;
    for (size_t at = 0; ok && at < j->e->input_size;) {
        size_t left = j->e->input_size - at, size = left < INPUT_PIECE ? left : INPUT_PIECE;
        autofree char *data = base64_encode((const char *)j->e->input + at, size);
        json_t *arguments = json_object();
        json_set_integer(arguments, "handle", j->handles[0]);
        json_set_string(arguments, "buf-b64", data);
        autojson json_t *answer = NULL;
        ok = agent_call(j->d, "guest-file-write", arguments, CALL_SECONDS, &answer, err);
        json_int_t n = json_integer_value(json_object_get(answer, "count"));
        if (ok && (n <= 0 || (size_t)n > size))
            ok = error_set(err, ERROR_GUEST, "the guest does not take the input: no space?");
        at += ok ? (size_t)n : 0;
        if (ok && interrupted())
            ok = interrupt_error(err);
    }
    close_one(j, 0);
    return ok;
}

static bool open_output(struct job *j, struct error **err)
{
    if (!open_one(j, 1, err))
        return false;
    j->open = open_one(j, 2, err);
    if (!j->open)
        close_one(j, 1);
    return j->open;
}

/* Hands on what has come since the last time. *more is true where there may be more at once. */
static bool read_output(const struct job *j, bool *more, struct error **err)
{
    *more = false;
    for (int stream = 1; stream <= 2; stream++) {
        json_t *arguments = json_object();
        json_set_integer(arguments, "handle", j->handles[stream]);
        json_set_integer(arguments, "count", PIECE);
        autojson json_t *answer = NULL;
        autobuffer struct buffer piece = {0};
        if (!agent_call(j->d, "guest-file-read", arguments, CALL_SECONDS, &answer, err))
            return false;
        if (!base64_decode(json_string_or(answer, "buf-b64", ""), &piece))
            return error_set(err, ERROR_GUEST, "the guest agent sends what is no base 64");
        if (piece.size && !j->e->on_output(stream, piece.data, piece.size, j->e->data, err))
            return false;
        *more = *more || piece.size == PIECE;
    }
    return true;
}

static bool get_status(const struct job *j, json_t **status, struct error **err)
{
    json_t *arguments = json_object();
    json_set_integer(arguments, "pid", j->pid);
    return agent_call(j->d, "guest-exec-status", arguments, CALL_SECONDS, status, err);
}

/* The command has ended: its code, and what is left of its output. */
static bool finish(const struct job *j, const json_t *status, int *code, struct error **err)
{
    const json_t *signal = json_object_get(status, "signal");
    *code = signal ? 128 + (int)json_integer_value(signal)
                   : (int)json_integer_value(json_object_get(status, "exitcode")) & 0xff;
    for (bool more = true; more;)
        if (!read_output(j, &more, err))
            return false;
    return true;
}

static bool follow(const struct job *j, int *code, struct error **err)
{
    struct timespec pause = {0, 5000000}, began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        autojson json_t *status = NULL;
        bool more = false;
        if (!get_status(j, &status, err))
            return false;
        if (json_is_true(json_object_get(status, "exited")))
            return finish(j, status, code, err);
        if (!read_output(j, &more, err))
            return false;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (interrupted())
            return interrupt_error(err);
        if (j->e->timeout_seconds && now.tv_sec - began.tv_sec >= (time_t)j->e->timeout_seconds)
            return error_set(err, ERROR_TIMEOUT,
                             "the command did not end within %u s and was killed",
                             j->e->timeout_seconds);
        if (!more)
            nanosleep(&pause, NULL);
        if (pause.tv_nsec < 400000000)
            pause.tv_nsec = pause.tv_nsec * 3 / 2;
    }
}

bool agent_exec(struct domain *d, const struct agent_exec *e, int *code, struct error **err)
{
    struct job j = {.d = d, .e = e};
    if (e->input_size > AGENT_INPUT_MAX)
        return error_set(err, ERROR_INPUT, "more than 64 MiB of input do not pass the agent");
    if (!make_folder(&j, err)) {
        free(j.folder);
        return false;
    }
    bool started = write_input(&j, err) && open_output(&j, err) && start(&j, err);
    bool ok = started && follow(&j, code, err);
    if (started && !ok)
        kill_it(&j);
    if (j.open) {
        close_one(&j, 1);
        close_one(&j, 2);
    }
    run_aside(d, "rm", "-rf", j.folder);
    free(j.folder);
    return ok;
}
