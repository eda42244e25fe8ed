/* gpg in a home of the test's own, for tests that make keys and signatures. */
#ifndef INGOT_TESTS_GPG_HOME_H
#define INGOT_TESTS_GPG_HOME_H

#include "unit.h"

#include "base/process.h"

#include <string.h>

/* Runs gpg with these words behind ours, NULL at the end, and fails the test if gpg does; its
 * stdout goes to *out where that is not NULL. */
static void gpg_run(const char *home, char **out, const char *input, const char *const *more)
{
    const char *argv[32] = {"gpg",           "--homedir",    home,    "--batch",
                            "--no-options",  "--quiet",      "--yes", "--pinentry-mode",
                            "loopback",      "--passphrase", "",      "--no-auto-check-trustdb",
                            "--trust-model", "always"};
    size_t n = 0;
    while (argv[n])
        n++;
    for (; *more && n < COUNT(argv) - 1; more++)
        argv[n++] = *more;
    struct process p = {.argv = argv,
                        .input = input,
                        .input_size = input ? strlen(input) : 0,
                        .timeout_seconds = 120};
    autoresult struct process_result r = {0};
    assert_ok(process_check(&p, ERROR_HOST, &r, &err));
    if (out)
        *out = buffer_take(&r.out);
}

#endif
