#include "boot/artifact.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "boot/state.h"
#include "bundle/import.h"

#include <errno.h>
#include <string.h>

char *artifact_folder(const struct virt *v)
{
    autofree char *root = state_root(v);
    return path_join(root, "artifacts");
}

bool artifact_open_bundle(const char *path, const char *key, const char *fingerprint,
                          struct bundle_reader **out, const char **signed_by, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    if (fingerprint && !key)
        return error_set(err, ERROR_USAGE, "--fingerprint names a key in the file of --key");
    if (!bundle_open(path, &r, err) || (key && !bundle_check_signature(r, key, fingerprint, err)))
        return false;
    const struct bundle *b = bundle_manifest(r);
    *signed_by = !b->signature ? "none" : key ? "good" : "not checked";
    if (b->signature && !key)
        log_warning("%s is signed, which is not checked: --key FILE%s names the key", path,
                    b->openpgp ? " --fingerprint F" : "");
    *out = take_ptr(r);
    return true;
}

/* --- a bundle -----------------------------------------------------------------------------------
 */

static bool choose(const struct bundle *b, const struct artifact_wish *w, const char **title,
                   struct error **err)
{
    autobuffer struct buffer all = {0};
    if (b->kind != BUNDLE_ARTIFACTS)
        return error_set(err, ERROR_INPUT,
                         "%s is a bundle for rebuilding: `ingot bundle import` takes it", w->given);
    for (const char *const *n = b->names; *n; n++) {
        buffer_printf(&all, "%s%s", n == b->names ? "" : ", ", *n);
        if (w->title ? strcmp(*n, w->title) == 0 : !b->names[1]) {
            *title = *n;
            return true;
        }
    }
    if (w->title)
        return error_set(err, ERROR_INPUT, "%s has no artifact '%s': it has %s", w->given, w->title,
                         all.data);
    return error_set(err, ERROR_USAGE, "%s has several artifacts: --title names one of %s",
                     w->given, all.data);
}

static bool from_bundle(const struct virt *v, struct arena *a, const struct artifact_wish *w,
                        const char **folder, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    const char *title = NULL, *signed_by;
    if (!artifact_open_bundle(w->given, w->key, w->fingerprint, &r, &signed_by, err) ||
        !choose(bundle_manifest(r), w, &title, err))
        return false;
    const char *const tops[] = {title, NULL};
    autofree char *root = artifact_folder(v);
    const char *own =
        arena_printf(a, "%s/bundles/%.32s", root, bundle_manifest(r)->manifest_sha256);
    *folder = arena_printf(a, "%s/%s", own, title);
    /* It got this name when all of it was there and right. */
    if (access(*folder, F_OK) == 0)
        return true;
    const struct bundle_import o = {.folder = own, .tops = tops, .names = tops};
    if (!file_make_dirs(own, virt_is_session(v) ? 0700 : 0711, err))
        return error_wrap(err, "cannot make a folder for artifacts (INGOT_STATE says where)");
    return bundle_import(r, &o, NULL, err);
}

/* --- anything -----------------------------------------------------------------------------------
 */

static bool by_name(const struct virt *v, struct arena *a, const char *name, const char **folder)
{
    autofree char *imported = artifact_folder(v);
    const char *const places[] = {"out", imported};
    for (size_t i = 0; i < COUNT(places) && path_is_plain_name(name); i++) {
        autofree char *path = path_join(places[i], name), *image = path_join(path, "image.json");
        if (access(image, F_OK) != 0)
            continue;
        *folder = arena_strdup(a, path);
        return true;
    }
    return false;
}

bool artifact_find(const struct virt *v, struct arena *a, const struct artifact_wish *w,
                   const char **folder, struct error **err)
{
    bool there = access(w->given, F_OK) == 0;
    *folder = arena_strdup(a, w->given);
    if (bundle_is_one(w->given))
        return from_bundle(v, a, w, folder, err);
    if (w->key || w->title)
        return error_set(err, ERROR_USAGE, "%s is no bundle: --key and --title are for bundles",
                         w->given);
    if (there || by_name(v, a, w->given, folder))
        return true;
    autofree char *imported = artifact_folder(v);
    return strchr(w->given, '/') ||
           error_set(err, ERROR_INPUT,
                     "there is no '%s' here, nor an artifact of that name in out/ or %s", w->given,
                     imported);
}
