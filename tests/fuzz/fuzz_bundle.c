/* Any bytes as a bundle, and as the manifest of one: what is taken names nothing outside, and comes
 * out again as it went in. `make fuzz` runs it with libFuzzer. */
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "bundle/internal.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *path)
{
    if (*path == '/' || strstr(path, "..") == path || strstr(path, "/../") || strstr(path, "//") ||
        strchr(path, '\\') || strchr(path, '\n'))
        abort();
}

static void check_bundle(const struct bundle *b)
{
    for (size_t i = 0; i < b->count; i++)
        check_path(b->members[i].path);
    for (const char *const *f = b->folders; f && *f; f++)
        check_path(*f);
    for (size_t i = 0; i < b->link_count; i++) {
        const char *target = b->links[i].target;
        check_path(b->links[i].path);
        if (*target == '/' && strcmp(target, "/dev/null") != 0)
            abort();
    }
}

static void as_manifest(const uint8_t *data, size_t size)
{
    autoarena struct arena *a = arena_new();
    autoerror struct error *err = NULL;
    struct bundle b = {0}, again = {0};
    bool ok = manifest_parse(a, (const char *)data, size, &b, &err);
    if (ok == (err != NULL))
        abort();
    if (!ok)
        return;
    check_bundle(&b);
    autofree char *text = manifest_text(&b);
    if (!manifest_parse(a, text, strlen(text), &again, &err))
        abort();
    autofree char *second = manifest_text(&again);
    if (strcmp(text, second) != 0)
        abort();
}

static void as_file(const uint8_t *data, size_t size)
{
    autoclose int fd = memfd_create("bundle", MFD_CLOEXEC);
    autobundle struct bundle_reader *r = NULL;
    autoerror struct error *err = NULL;
    const struct bundle_sink nothing = {0};
    char path[64];
    if (fd < 0 || !file_write_all(fd, data, size, NULL))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (!bundle_open(path, &r, &err)) {
        if (!err)
            abort();
        return;
    }
    check_bundle(bundle_manifest(r));
    if (bundle_read(r, &nothing, &err) == (err != NULL))
        abort();
}

/* The bytes as the manifest of a tar in which nothing else is wrong but its members. */
static void as_tar(const uint8_t *data, size_t size)
{
    autobuffer struct buffer b = {0};
    header_add(&b, BUNDLE_MANIFEST, size, 0644, 1704067200);
    buffer_add(&b, data, size);
    while (b.size % TAR_BLOCK)
        buffer_add(&b, "", 1);
    for (int i = 0; i < 3 * TAR_BLOCK; i++)
        buffer_add(&b, "", 1);
    as_file((const uint8_t *)b.data, b.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_ERROR);
    progress_set_mode(PROGRESS_NONE);
    as_manifest(data, size);
    as_file(data, size);
    as_tar(data, size);
    return 0;
}
