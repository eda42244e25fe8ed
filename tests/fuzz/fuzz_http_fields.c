/* Any bytes as fields of an HTTP answer, and as mirrors: what is taken makes sense. */
#include "source/http_fields.h"
#include "source/mirror.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mirrors(const char *text)
{
    autoarena struct arena *a = arena_new();
    autoerror struct error *err = NULL;
    struct mirrors m = {0};
    if (mirrors_parse(a, text, "fuzz", &m, &err) == (err != NULL))
        abort();
    if (!mirrors_candidates(a, &m, "https://h/a/b", NULL)[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = malloc(size + 1);
    uint64_t first, last, whole, seconds;
    time_t t;
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (http_content_range(text, &first, &last, &whole) &&
        (first > last || (whole && last >= whole)))
        abort();
    if (http_date(text, &t) && t < -86400)
        abort();
    (void)!http_retry_after(text, 0, &seconds);
    (void)http_strong_validator(text, text, text);
    (void)http_strong_validator(NULL, text, text);
    mirrors(text);
    return 0;
}
