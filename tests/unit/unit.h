/* What every unit test needs: cmocka and helpers around errors and temporary folders. */
#ifndef INGOT_TESTS_UNIT_H
#define INGOT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"

#include <string.h>

/* The call succeeds; its error is printed where it does not. Uses a variable `err` of its own. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        autoerror struct error *err = NULL;                                                        \
        bool ok_ = (call);                                                                         \
        if (!ok_)                                                                                  \
            fail_msg("%s: %s", #call, err ? error_text(err) : "failed without an error");          \
    } while (0)

/* The call fails with this kind of error, and its text contains `part`. */
#define assert_fails(call, expected_kind, part)                                                    \
    do {                                                                                           \
        autoerror struct error *err = NULL;                                                        \
        if (call)                                                                                  \
            fail_msg("%s: succeeded", #call);                                                      \
        assert_non_null(err);                                                                      \
        if (!strstr(error_text(err), part))                                                        \
            fail_msg("%s: \"%s\" does not contain \"%s\"", #call, error_text(err), part);          \
        assert_int_equal(error_kind(err), expected_kind);                                          \
    } while (0)

/* A temporary folder that goes away at the end of the scope. */
static inline char *unit_temp_dir(void)
{
    char *path = NULL;
    const char *tmp = getenv("TMPDIR");
    assert_ok(file_temp_dir(tmp ? tmp : "/tmp", "ingot-unit-", &path, &err));
    return path;
}

#endif
