/* Any bytes as the answers of an update service: the first byte says which checker reads them, the
 * rest is the first answer and, behind 0xFF, the second. What comes out is fit to be printed, or
 * there is an error that says why. */
#include "updates/updates.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answers {
    const uint8_t *next, *end;
};

static bool get(void *data, const char *url, size_t max_bytes, char **text, size_t *size,
                struct error **err)
{
    struct answers *a = data;
    const uint8_t *stop = memchr(a->next, 0xFF, (size_t)(a->end - a->next));
    const uint8_t *end = stop ? stop : a->end;
    *size = (size_t)(end - a->next);
    if (!a->next[0] || *size > max_bytes)
        return error_set(err, ERROR_UNREACHABLE, "%s: no answer", url);
    *text = malloc(*size ? *size : 1);
    if (!*text)
        abort();
    memcpy(*text, a->next, *size);
    a->next = stop ? stop + 1 : end;
    return true;
}

static void check_text(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7F)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct update_source sources[] = {
        {.kind = UPDATE_ALPINE,
         .url = "https://a.example/r",
         .folder = "https://a.example/i",
         .product = "3.23"},
        {.kind = UPDATE_SIMPLESTREAMS,
         .url = "https://a.example/streams/v1/index.json",
         .product = "p",
         .item = "i"},
        {.kind = UPDATE_GITHUB, .url = "https://a.example/latest"},
        {.kind = UPDATE_CHANNEL, .url = "https://a.example/channels", .product = "stable"},
    };
    if (size == 0)
        return 0;
    autoarena struct arena *a = arena_new();
    autoerror struct error *err = NULL;
    autofree uint8_t *copy = calloc(1, size); /* a zero behind the last */
    if (!copy)
        abort();
    memcpy(copy, data + 1, size - 1);
    struct answers answers = {copy, copy + size - 1};
    const struct update_service service = {get, &answers};
    const struct update_request r = {
        .source = &sources[data[0] % COUNT(sources)],
        .current = "v1.2.3",
        .image = "https://a.example/i/n-3.23.1-x-r0.q",
        .today = "2026-11-21",
        .what = "it",
    };
    struct update u;
    bool ok = updates_check(a, &service, &r, &u, &err);
    if (ok == (err != NULL) || ok != (u.available != NULL))
        abort();
    check_text(u.current);
    check_text(u.available);
    check_text(u.url);
    check_text(u.sha256);
    check_text(u.note);
    return 0;
}
