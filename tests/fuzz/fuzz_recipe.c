/* Any bytes as a recipe: recipe_load must say what is wrong, and neither crash nor hang. `make
 * fuzz` runs it with libFuzzer; the ordinary tests with mutations. */
#include "base/file.h"
#include "recipe/recipe.h"

#include <stdint.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoclose int fd = memfd_create("recipe", MFD_CLOEXEC);
    autoarena struct arena *a = arena_new();
    autofree char *path = NULL;
    autoerror struct error *err = NULL;
    autorecipe struct recipe *r = NULL;
    if (fd < 0 || asprintf(&path, "/proc/self/fd/%d", fd) < 0 ||
        !file_write_all(fd, data, size, &err))
        abort();
    static const char *const search[] = {"recipes", NULL};
    struct recipe_options options = {.search = search};
    struct diagnostics found = {.arena = a};
    bool ok = recipe_load(path, &options, &r, &found, &err);
    if (ok != (r != NULL) || ok == (err != NULL) || ok != (found.errors == 0))
        abort(); /* it fails exactly when it says why */
    return 0;
}
