#include "base/space.h"

#include "base/file.h"
#include "base/path.h"
#include "base/process.h"
#include "base/units.h"

#include <errno.h>
#include <string.h>

bool space_of_copy(const char *path, uint64_t *bytes, struct error **err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "cannot read %s", path);
    *bytes = file_allocated(&st);
    return true;
}

bool space_check(const char *path, uint64_t bytes, const char *what, struct error **err)
{
    uint64_t has;
    if (!file_free_space(path, &has, err))
        return false;
    if (has >= bytes)
        return true;
    char needed[16], left[16];
    autofree char *dir = path_dirname(path);
    return error_set(err, ERROR_SPACE, "%s needs %s in %s, where %s are free", what,
                     units_format_size(bytes, needed), dir, units_format_size(has, left));
}

bool space_ran_out(const struct process_result *r)
{
    static const char words[] = "No space left on device";
    return (r->err.data && strstr(r->err.data, words)) ||
           (r->out.data && strstr(r->out.data, words));
}
