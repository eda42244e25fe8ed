/* Any bytes as a file of apk: a package, an index, and the tar of a control. None of them is ever
 * the package of a checksum that was not made for it. `make fuzz` runs it with libFuzzer. */
#include "resolve/apk_package.h"

#include "base/attributes.h"
#include "base/digest.h"
#include "base/file.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error *err[3] = {NULL};
    char hex[DIGEST_HEX_MAX], path[64];
    autofree char *text = NULL;
    autoclose int fd = memfd_create("apk", MFD_CLOEXEC);
    if (fd < 0 || !file_write_all(fd, data, size, NULL))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (apk_package_check(path, "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "it", &err[0]) || !err[0] ||
        apk_package_index(path, &text, &err[1]) == (err[1] != NULL))
        abort();
    bool ok = apk_package_datahash(data, size, hex, "it", &err[2]);
    if (ok == (err[2] != NULL) || (ok && !digest_is_valid(DIGEST_SHA256, hex)))
        abort();
    for (size_t i = 0; i < COUNT(err); i++)
        error_free(err[i]);
    return 0;
}
