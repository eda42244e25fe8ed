#include "boot/agent.h"

#include "base/interrupt.h"

#include <string.h>
#include <time.h>

#define CALL_SECONDS 30
#define TRY_POLLS 1000 /* 20 s and the time that the calls take */

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

bool agent_try(struct domain *d, const char *const *argv, char **out)
{
    json_t *arguments = json_object();
    json_set_string(arguments, "path", argv[0]);
    json_set(arguments, "arg", json_strings(argv + 1));
    json_set_bool(arguments, "capture-output", true);
    autojson json_t *started = NULL;
    if (!agent_call(d, "guest-exec", arguments, CALL_SECONDS, &started, NULL))
        return false;
    const struct timespec pause = {0, 20000000};
    for (int i = 0; i < TRY_POLLS && !interrupted(); i++) {
        autojson json_t *status = NULL;
        json_t *which = json_object();
        json_set(which, "pid", json_incref(json_object_get(started, "pid")));
        if (!agent_call(d, "guest-exec-status", which, CALL_SECONDS, &status, NULL))
            return false;
        if (json_is_true(json_object_get(status, "exited"))) {
            autobuffer struct buffer text = {0};
            bool ok = json_integer_value(json_object_get(status, "exitcode")) == 0 &&
                      !json_object_get(status, "signal") &&
                      base64_decode(json_string_or(status, "out-data", ""), &text);
            if (ok && out)
                *out = buffer_take(&text);
            return ok;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}
