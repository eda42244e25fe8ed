#include "boot/agent.h"

#include "base/interrupt.h"

#include <string.h>
#include <time.h>

#define CALL_SECONDS 30
#define TRY_SECONDS 20
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    char *text = malloc((size + 2) / 3 * 4 + 1), *at = text;
    if (!text)
        abort();
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                     (n > 2 ? in[i + 2] : 0);
        *at++ = alphabet[v >> 18];
        *at++ = alphabet[v >> 12 & 63];
        *at++ = n > 1 ? alphabet[v >> 6 & 63] : '=';
        *at++ = n > 2 ? alphabet[v & 63] : '=';
    }
    *at = '\0';
    return text;
}

bool base64_decode(const char *text, struct buffer *out)
{
    size_t size = strlen(text);
    if (size % 4)
        return false;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t v = 0;
        size_t n = 4;
        if (i + 4 == size)
            n = text[i + 2] == '=' ? 2 : text[i + 3] == '=' ? 3 : 4;
        if (n == 2 && text[i + 3] != '=')
            return false;
        for (size_t k = 0; k < n; k++) {
            const char *found = strchr(alphabet, text[i + k]);
            if (!found || !text[i + k])
                return false;
            v |= (uint32_t)(found - alphabet) << (18 - 6 * k);
        }
        const unsigned char bytes[3] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8),
                                        (unsigned char)v};
        buffer_add(out, bytes, n - 1);
    }
    return true;
}

bool agent_call(struct domain *d, const char *command, json_t *arguments, int seconds, json_t **out,
                struct error **err)
{
    autojson json_t *request = json_object();
    json_set_string(request, "execute", command);
    if (arguments)
        json_set(request, "arguments", arguments);
    autofree char *text = json_canonical(request), *reply = NULL;
    if (!domain_agent(d, text, seconds, &reply, err))
        return false;
    autojson json_t *answer = NULL;
    if (!json_parse(reply, strlen(reply), "the guest agent's answer", &answer, NULL))
        return error_set(err, ERROR_GUEST, "%s: the guest agent answers with what is no JSON",
                         domain_name(d));
    *out = json_incref(json_object_get(answer, "return"));
    return *out || error_set(err, ERROR_GUEST, "%s: the guest agent's answer lacks 'return'",
                             domain_name(d));
}

bool agent_ping(struct domain *d, int seconds, struct error **err)
{
    autojson json_t *nothing = NULL;
    return agent_call(d, "guest-ping", NULL, seconds, &nothing, err);
}

static json_t *exec_arguments(const struct agent_exec *e)
{
    json_t *arguments = json_object(), *list = json_array();
    json_set_string(arguments, "path", e->argv[0]);
    for (size_t i = 1; e->argv[i]; i++) {
        json_t *word = json_string(e->argv[i]);
        if (!word) {
            json_decref(list);
            json_decref(arguments);
            return NULL;
        }
        json_array_append_new(list, word);
    }
    json_set(arguments, "arg", list);
    if (e->input) {
        autofree char *data = base64_encode(e->input, e->input_size);
        json_set_string(arguments, "input-data", data);
    }
    json_set_bool(arguments, "capture-output", true);
    return arguments;
}

/* What the agent says when the program cannot be started comes from GLib's g_spawn. */
static bool not_started(struct agent_result *r, const char *program, const struct error *why)
{
    const char *text = error_text(why);
    const char *failed = strstr(text, "Failed to execute child process");
    if (!failed)
        return false;
    bool denied = strstr(failed, "Permission denied") || strstr(failed, "Exec format error");
    r->code = denied ? EXIT_NOT_EXECUTABLE : EXIT_NOT_FOUND;
    buffer_printf(&r->err, "%s: %s\n", program, denied ? "cannot be executed" : "not found");
    return true;
}

static void kill_in_guest(struct domain *d, json_int_t pid)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)pid);
    json_t *arguments = json_object(), *list = json_array();
    json_array_append_new(list, json_string("-KILL"));
    json_array_append_new(list, json_string(number));
    json_set_string(arguments, "path", "kill");
    json_set(arguments, "arg", list);
    autojson json_t *ignored = NULL;
    autoerror struct error *err = NULL;
    if (!agent_call(d, "guest-exec", arguments, CALL_SECONDS, &ignored, &err))
        return; /* it was asked for; there is nothing more to do */
}

static bool take_output(const json_t *status, const char *key, const char *cut, struct buffer *out,
                        struct error **err)
{
    const char *text = json_string_or(status, key, "");
    if (!base64_decode(text, out))
        return error_set(err, ERROR_GUEST, "the guest agent sends output that is no base 64");
    if (json_is_true(json_object_get(status, cut)))
        return error_set(err, ERROR_GUEST,
                         "the command's output is larger than the guest agent keeps: let it write "
                         "to a file");
    return true;
}

static bool poll_status(struct domain *d, const struct agent_exec *e, json_int_t pid,
                        json_t **status, struct error **err)
{
    struct timespec pause = {0, 10000000}, start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        json_t *arguments = json_object();
        json_set_integer(arguments, "pid", pid);
        json_decref(*status);
        *status = NULL;
        if (!agent_call(d, "guest-exec-status", arguments, CALL_SECONDS, status, err))
            return error_wrap(err, "the command was started, but its outcome cannot be had (output "
                                   "above 3 MB does not pass the channel: let it write to a file)");
        if (json_is_true(json_object_get(*status, "exited")))
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (interrupted()) {
            kill_in_guest(d, pid);
            return interrupt_error(err);
        }
        if (e->timeout_seconds && now.tv_sec - start.tv_sec >= (time_t)e->timeout_seconds) {
            kill_in_guest(d, pid);
            return error_set(err, ERROR_TIMEOUT,
                             "the command did not end within %u s and was killed",
                             e->timeout_seconds);
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 400000000)
            pause.tv_nsec = pause.tv_nsec * 3 / 2;
    }
}

bool agent_run(struct domain *d, const struct agent_exec *e, struct agent_result *result,
               struct error **err)
{
    json_t *arguments = exec_arguments(e);
    if (!arguments)
        return error_set(err, ERROR_USAGE, "the command is not UTF-8, which the agent needs");
    autojson json_t *started = NULL, *status = NULL;
    autoerror struct error *why = NULL;
    if (!agent_call(d, "guest-exec", arguments, CALL_SECONDS, &started, &why))
        return not_started(result, e->argv[0], why) ||
               error_set(err, error_kind(why), "%s", error_text(why));
    const json_t *pid = json_object_get(started, "pid");
    if (!json_is_integer(pid))
        return error_set(err, ERROR_GUEST, "the guest agent's answer to guest-exec lacks 'pid'");
    if (!poll_status(d, e, json_integer_value(pid), &status, err) ||
        !take_output(status, "out-data", "out-truncated", &result->out, err) ||
        !take_output(status, "err-data", "err-truncated", &result->err, err))
        return false;
    result->signal = (int)json_integer_value(json_object_get(status, "signal"));
    result->code = result->signal
                       ? 128 + result->signal
                       : (int)json_integer_value(json_object_get(status, "exitcode")) & 0xff;
    return true;
}

void agent_result_free(struct agent_result *r)
{
    buffer_free(&r->out);
    buffer_free(&r->err);
}

bool agent_try(struct domain *d, const char *const *argv, char **out)
{
    autoagent struct agent_result r = {0};
    const struct agent_exec e = {.argv = argv, .timeout_seconds = TRY_SECONDS};
    if (!agent_run(d, &e, &r, NULL) || r.code != 0)
        return false;
    if (out)
        *out = buffer_take(&r.out);
    return true;
}
