#include "bake/guest_state.h"

#include "base/file.h"
#include "base/path.h"

#include <string.h>

#define FILE_MAX ((size_t)64 << 20)

/* Files, and folders with all files in them (not those below). */
static const char *const apt_paths[] = {
    "/var/lib/dpkg/status",   "/var/lib/apt/extended_states",
    "/etc/apt/sources.list",  "/etc/apt/sources.list.d",
    "/etc/apt/mirrors",       "/etc/apt/preferences",
    "/etc/apt/preferences.d", "/etc/apt/trusted.gpg",
    "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings",
    "/usr/share/keyrings",
};

static const char *const apk_key_folders[] = {"/etc/apk/keys", "/lib/apk/keys"};

static bool copy_file(struct disk *d, const char *path, const char *folder, struct error **err)
{
    autofree char *text = NULL, *host = path_join(folder, path + 1);
    size_t size = 0;
    autofree char *parent = path_dirname(host);
    return d->writer->read(d, path, FILE_MAX, &text, &size, err) &&
           file_make_dirs(parent, 0700, err) && file_write(host, text, size, 0600, err);
}

static bool copy_folder(struct disk *d, const char *path, const char *folder, struct error **err)
{
    autonames char **names = NULL;
    if (!d->writer->list(d, path, &names, err))
        return false;
    for (size_t i = 0; names[i]; i++) {
        autofree char *one = path_join(path, names[i]);
        struct disk_stat st;
        bool found;
        if (!d->writer->stat(d, one, true, &st, &found, err))
            return false;
        if (found && S_ISREG(st.mode) && !copy_file(d, one, folder, err))
            return false;
    }
    return true;
}

bool bake_apt_state(struct disk *d, const char *folder, struct error **err)
{
    for (size_t i = 0; i < COUNT(apt_paths); i++) {
        struct disk_stat st;
        bool found;
        if (!d->writer->stat(d, apt_paths[i], true, &st, &found, err))
            return false;
        if (!found)
            continue;
        if (!(S_ISDIR(st.mode) ? copy_folder(d, apt_paths[i], folder, err)
                               : copy_file(d, apt_paths[i], folder, err)))
            return error_wrap(err, "cannot read apt's state in the base");
    }
    return true;
}

static bool read_keys(struct disk *d, struct arena *a, const char *folder,
                      struct apk_repositories *out, struct error **err)
{
    autonames char **names = NULL;
    if (!d->writer->list(d, folder, &names, err))
        return false;
    for (size_t i = 0; names[i]; i++) {
        autofree char *path = path_join(folder, names[i]), *text = NULL;
        size_t size = 0;
        if (!d->writer->read(d, path, FILE_MAX, &text, &size, err) ||
            !apk_add_key(a, out, names[i], text, size, err))
            return error_wrap(err, "cannot read the base's apk keys");
    }
    return true;
}

bool bake_apk_state(struct disk *d, struct arena *a, const char *architecture,
                    const struct package_repository *recipe, size_t count,
                    struct apk_repositories *out, struct error **err)
{
    struct disk_stat st;
    bool found;
    autofree char *text = NULL;
    *out = (struct apk_repositories){.architecture = apk_architecture(architecture)};
    if (!out->architecture)
        return error_set(err, ERROR_UNSUPPORTED, "apk packages for %s are not known", architecture);
    if (!d->writer->stat(d, "/etc/apk/repositories", true, &st, &found, err) ||
        (found && !d->writer->read(d, "/etc/apk/repositories", 1 << 16, &text, NULL, err)))
        return false;
    if (!apk_read_repositories(a, text ? text : "", recipe, count, out, err))
        return false;
    for (size_t i = 0; i < COUNT(apk_key_folders); i++)
        if (!read_keys(d, a, apk_key_folders[i], out, err))
            return false;
    return apk_add_recipe_keys(a, out, err);
}
