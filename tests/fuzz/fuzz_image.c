/* Any bytes as a qcow2 of the default format: looked at by our header parser; what passes that is
 * handed to qemu-img, which the fuzzer leaves out by breaking PATH. `make fuzz` runs it. */
#include "base/file.h"
#include "disk/image.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoerror struct error *err = NULL;
    struct image_info info;
    char path[64];
    autoclose int fd = memfd_create("image", MFD_CLOEXEC);
    setenv("PATH", "/nonexistent", 1);
    if (fd < 0 || !file_write_all(fd, data, size, &err))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (image_info(path, "qcow2", &info, &err) == (err != NULL))
        abort();
    return 0;
}
