/* Any bytes as a recipe: recipe_load must say what is wrong, and neither crash nor hang.
 *
 * With clang's libFuzzer:
 *   clang -g -fsanitize=fuzzer,address,undefined -Ibuilder -D_GNU_SOURCE -DINGOT_VERSION='"0.1.0"'
 * \
 *     tests/fuzz/fuzz_recipe.c builder/recipe/[!.]*.c builder/base/[!.]*.c -lyaml -ljansson
 * -lcrypto \ -o build/fuzz_recipe && build/fuzz_recipe tests/good tests/bad The ordinary tests run
 * it over tests/good and tests/bad with mutations (tests/unit/test_recipes.c).
 */
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
