/* The local repository that a base is made from, sources.list(5)'s flat format: no tool of Debian's
 * is needed for so little. */
#include "bake/bootstrap_internal.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/progress.h"
#include "resolve/deb.h"
#include "source/store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static bool write_open(const char *folder, const char *name, const struct buffer *text,
                       struct error **err)
{
    autofree char *path = path_join(folder, name);
    if (!file_write(path, text->data, text->size, 0644, err))
        return false;
    return chmod(path, 0644) == 0 ||
           error_errno(err, ERROR_HOST, errno, "cannot change the mode of %s", path);
}

/* The suite's name is what patterns of packages go by. */
static bool write_release(const struct bootstrap *b, const char *folder,
                          const struct buffer *packages, struct error **err)
{
    char hex[DIGEST_HEX_MAX], date[64];
    time_t epoch = (time_t)b->epoch;
    struct tm tm;
    digest_bytes(DIGEST_SHA256, packages->data, packages->size, hex);
    if (!gmtime_r(&epoch, &tm) ||
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S UTC", &tm) == 0)
        return error_set(err, ERROR_INPUT, "the epoch %lld is no time", (long long)b->epoch);
    autobuffer struct buffer text = {0};
    buffer_printf(&text, "Suite: %s\nCodename: %s\nDate: %s\nSHA256:\n %s %zu Packages\n", b->suite,
                  b->suite, date, hex, packages->size);
    return write_open(folder, "Release", &text, err);
}

bool bootstrap_repository(const struct bootstrap *b, const char *folder, struct error **err)
{
    const struct resolution *r = b->resolution;
    autobuffer struct buffer packages = {0};
    if (!file_make_dirs(folder, 0755, err))
        return false;
    if (chmod(folder, 0755) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot change the mode of %s", folder);
    progress_note("laying out the packages");
    for (size_t i = 0; i < r->count; i++) {
        const struct package *p = &r->packages[i];
        char name[32];
        snprintf(name, sizeof name, "%zu.deb", i);
        autofree char *to = path_join(folder, name);
        if (!store_link(b->files[i], to, err) || !deb_control(p, to, &packages, err))
            return false;
        buffer_printf(&packages, "Filename: ./%s\nSize: %llu\nSHA256: %s\n\n", name,
                      (unsigned long long)p->size, p->digest);
    }
    return write_open(folder, "Packages", &packages, err) &&
           write_release(b, folder, &packages, err);
}
