/* Any bytes as what package managers and mirrors say: apk's index, repositories and simulation,
 * apt's list of URIs. `make fuzz` runs it with libFuzzer; the ordinary tests with mutations. */
#include "resolve/apk.h"
#include "resolve/apt.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoarena struct arena *a = arena_new();
    autofree char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    struct apk_index index = {0}, changes = {0};
    struct apk_repositories repositories = {.architecture = "x86_64"};
    struct package package = {0};
    struct error *err[5] = {NULL};
    if (apk_parse_index(a, text, &index, &err[0]) == (err[0] != NULL) ||
        apk_parse_simulation(a, text, &changes, &err[1]) == (err[1] != NULL) ||
        apk_read_repositories(a, text, NULL, 0, &repositories, &err[2]) == (err[2] != NULL) ||
        apt_parse_uri(a, text, &package, &err[3]) == (err[3] != NULL) ||
        apk_check_trust(text, &err[4]) == (err[4] != NULL))
        abort();
    for (size_t i = 0; i < COUNT(err); i++)
        error_free(err[i]);
    return 0;
}
