/* Any bytes as image.json: a contract whose files are named by one plain component, or an error.
 * `make fuzz` runs it with libFuzzer; the ordinary tests with mutations (test_mutations.c). */
#include "base/path.h"
#include "contract/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoerror struct error *err = NULL;
    autoarena struct arena *a = arena_new();
    autojson json_t *j = NULL;
    const struct contract *c = NULL;
    if (!json_parse((const char *)data, size, "image.json", &j, &err))
        return 0;
    bool ok = contract_from_json(a, j, "image.json", &c, &err);
    if (ok == (err != NULL))
        abort();
    for (size_t i = 0; ok && i < c->file_count; i++)
        if (!path_is_plain_name(c->files[i].name))
            abort();
    if (ok) {
        autojson json_t *again = contract_to_json(c);
        if (!again)
            abort();
    }
    return 0;
}
