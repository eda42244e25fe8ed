#include "resolve/apt_proxy.h"

#include "base/process.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

char *apt_host_proxy(const char *scheme)
{
    autofree char *key = NULL, *variable = NULL;
    if (asprintf(&key, "Acquire::%s::Proxy", scheme) < 0 ||
        asprintf(&variable, "%s_proxy", scheme) < 0)
        abort();
    if (getenv(variable))
        return NULL;
    const char *argv[] = {"apt-config", "dump", "--format", "%v%n", key, NULL};
    const struct process p = {.argv = argv, .timeout_seconds = 10};
    autoresult struct process_result r = {0};
    if (!process_run(&p, &r, NULL) || r.status != 0 || !r.out.size ||
        !text_starts_with(r.out.data, "http"))
        return NULL;
    return strndup(r.out.data, strcspn(r.out.data, "\n"));
}
