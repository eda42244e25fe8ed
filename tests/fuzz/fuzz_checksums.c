/* Any bytes as a checksum file: a digest of the right length, or an error that says why. `make
 * fuzz` runs it with libFuzzer; the ordinary tests with mutations. */
#include "source/verify_checksums.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoerror struct error *err = NULL;
    autofree char *text = malloc(size + 1);
    enum digest_kind kind;
    char hex[DIGEST_HEX_MAX];
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    bool ok = checksums_find(text, size, "SUMS", "k3s", &kind, hex, &err);
    if (ok == (err != NULL) || (ok && !digest_is_valid(kind, hex)))
        abort();
    return 0;
}
