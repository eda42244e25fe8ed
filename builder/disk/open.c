#include "base/log.h"
#include "disk/writer.h"

bool disk_open(const struct disk_options *o, struct disk **out, struct error **err)
{
    autoerror struct error *why = NULL;
    if (disk_ext4.open(o, out, &why))
        return true;
    if (error_kind(why) != ERROR_UNSUPPORTED) {
        error_set(err, error_kind(why), "%s", error_text(why));
        return false;
    }
    log_debug("using the appliance: %s", error_text(why));
    return disk_appliance.open(o, out, err);
}
