#include "unit.h"

#include "base/path.h"
#include "emit/emit.h"

#include <unistd.h>

static void only_an_artifact_is_replaced(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *out = path_join(dir, "golden"), *notes = path_join(dir, "golden/notes.txt");
    autofree char *image = path_join(dir, "golden/image.json"), *link = path_join(dir, "link");
    assert_ok(emit_check_folder(out, &err));
    assert_ok(file_make_dirs(out, 0755, &err));
    assert_ok(emit_check_folder(out, &err));
    assert_ok(file_write(notes, "mine", 4, 0644, &err));
    assert_fails(emit_check_folder(out, &err), ERROR_CONFLICT, "no image.json");
    assert_ok(file_write(image, "{}", 2, 0644, &err));
    assert_ok(emit_check_folder(out, &err));
    assert_fails(emit_check_folder(notes, &err), ERROR_CONFLICT, "is no folder");
    assert_int_equal(symlink("golden", link), 0);
    assert_fails(emit_check_folder(link, &err), ERROR_CONFLICT, "is no folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_an_artifact_is_replaced)};
    return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
