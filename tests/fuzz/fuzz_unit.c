/* Any bytes as a systemd unit and as a template. `make fuzz` runs it with libFuzzer; the ordinary
 * tests with mutations. */
#include "plan/services.h"
#include "plan/template.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct template_value values[] = {{"name", "demo"}, {"arch", "amd64"}};
    autoarena struct arena *a = arena_new();
    autoerror struct error *why = NULL, *unfilled = NULL;
    autobuffer struct buffer filled = {0};
    struct unit_install in;
    char *text = arena_alloc(a, size + 1); /* ends in a NUL, as files that are read do */
    memcpy(text, data, size);
    bool ok = unit_parse_install(a, "x.service", text, size, &in, &why);
    if (ok == (why != NULL))
        abort();
    for (size_t i = 0; ok && i < in.count; i++)
        if (strchr(in.links[i].name, '/') || in.links[i].name[0] == '.')
            abort(); /* would leave its folder */
    ok = template_fill(values, COUNT(values), "x.in", text, size, &filled, &unfilled);
    if (ok == (unfilled != NULL))
        abort();
    return 0;
}
