/* Bundles into folders and the cache. */
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/space.h"
#include "base/units.h"
#include "bundle/import.h"
#include "ingot/bundle.h"

#include <string.h>

/* --- blobs --------------------------------------------------------------------------------------
 */

struct blobs {
    struct store *store;
    struct new_blob blob;
    size_t added, there;
};

static bool begin(void *data, const struct bundle_member *m, bool *take, struct error **err)
{
    struct blobs *b = data;
    *take = !store_has(b->store, m->sha256);
    if (!*take) {
        store_touch(b->store, m->sha256);
        b->there++;
        return true;
    }
    b->blob = NEW_BLOB;
    return blob_begin(b->store, false, &b->blob, err);
}

static bool add(void *data, const void *bytes, size_t size, struct error **err)
{
    return blob_write(&((struct blobs *)data)->blob, bytes, size, err);
}

static bool end(void *data, const struct bundle_member *m, struct error **err)
{
    struct blobs *b = data;
    char hex[DIGEST_HEX_MAX];
    blob_digests(&b->blob, hex, NULL);
    b->added++;
    return blob_commit(&b->blob, m->sha256, err);
}

static bool is_blob(const struct bundle_member *m)
{
    return strncmp(m->path, "blobs/", 6) == 0;
}

static bool check_blob_space(struct session *s, const struct bundle *b, struct error **err)
{
    uint64_t needed = 0;
    char size[16];
    for (size_t i = 0; i < b->count; i++)
        if (is_blob(&b->members[i]) && !store_has(s->store, b->members[i].sha256))
            needed += (b->members[i].size + 4095) / 4096 * 4096;
    autofree char *tmp = path_join(store_root(s->store), "tmp");
    if (needed)
        log_info("needs %s in the cache, %s", units_format_size(needed, size),
                 store_root(s->store));
    return space_check(tmp, needed, "the cache", err);
}

/* --- both kinds ---------------------------------------------------------------------------------
 */

static bool bring_sources(struct session *s, struct bundle_reader *r, const char *to,
                          json_t *report, struct error **err)
{
    static const char *const tops[] = {"recipe", NULL};
    const struct bundle *b = bundle_manifest(r);
    struct blobs blobs = {.store = s->store, .blob = NEW_BLOB};
    const struct bundle_sink sink = {begin, add, end, &blobs};
    autofree char *wanted = strdup(to ? to : b->names[0]);
    for (size_t n = wanted ? strlen(wanted) : 0; n > 1 && wanted[n - 1] == '/'; n--)
        wanted[n - 1] = '\0';
    autofree char *final = path_absolute(".", wanted ? wanted : ".");
    autofree char *folder = path_dirname(final);
    const char *const names[] = {path_basename(final), NULL};
    const struct bundle_import o = {.folder = folder, .tops = tops, .names = names, .other = &sink};
    if (!check_blob_space(s, b, err))
        return false;
    bool ok = bundle_import(r, &o, NULL, err);
    blob_abandon(&blobs.blob);
    if (!ok)
        return false;
    log_info("%zu blobs came into the cache, %zu were there", blobs.added, blobs.there);
    json_set_integer(report, "blobs_added", (json_int_t)blobs.added);
    json_set_integer(report, "blobs_present", (json_int_t)blobs.there);
    autofree char *full = path_absolute(".", final);
    json_set(report, "folders", json_pack("[s]", full));
    for (const char *const *n = b->names; *n; n++) {
        autofree char *file = NULL;
        if (asprintf(&file, "%s/%s.lock", full, *n) < 0)
            abort();
        if (access(file, F_OK) == 0)
            store_add_root(s->store, file);
    }
    return true;
}

static bool bring_artifacts(struct bundle_reader *r, const char *to, json_t *report,
                            struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    const struct bundle_import o = {.folder = to ? to : ".", .tops = b->names, .names = b->names};
    json_t *folders = json_array();
    json_set(report, "folders", folders);
    if (!bundle_import(r, &o, NULL, err))
        return false;
    for (const char *const *n = b->names; *n; n++) {
        autofree char *path = path_join(o.folder, *n), *full = path_absolute(".", path);
        json_array_append_new(folders, json_string(full));
    }
    return true;
}

bool bring_in(struct session *s, struct bundle_reader *r, const char *to, json_t *report,
              struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    json_set_string(report, "kind", bundle_kind_names[b->kind]);
    json_set(report, "names", json_strings(b->names));
    json_set_string(report, "manifest_sha256", b->manifest_sha256);
    return b->kind == BUNDLE_SOURCES ? bring_sources(s, r, to, report, err)
                                     : bring_artifacts(r, to, report, err);
}
