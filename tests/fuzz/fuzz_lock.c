/* Any bytes as a NAME.lock: an error, or a lock that is written and read again as the same text.
 * `make fuzz` runs it with libFuzzer; the ordinary tests with mutations (test_mutations.c). */
#include "resolve/lock.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoerror struct error *err = NULL;
    autoarena struct arena *a = arena_new();
    const struct lock *l = NULL, *again = NULL;
    bool ok = lock_parse(a, (const char *)data, size, "x.lock", "/srv/site", &l, &err);
    if (ok == (err != NULL))
        abort();
    if (!ok)
        return 0;
    autofree char *text = lock_text(l, "/srv/site");
    if (!lock_parse(a, text, strlen(text), "x.lock", "/srv/site", &again, &err))
        abort();
    autofree char *second = lock_text(again, "/srv/site");
    if (strcmp(text, second) != 0)
        abort();
    return 0;
}
