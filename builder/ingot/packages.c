#include "ingot/packages.h"

#include "bake/guest_state.h"
#include "bake/system.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "resolve/apt.h"
#include "source/fetch.h"

#include <string.h>

#define MAX_INDEX (256 * MIB)
#define MAX_PACKAGE (4 * GIB)

/* --- what was resolved last time ----------------------------------------------------------------
 */

static json_t *describe_repository(const struct package_repository *r, const char *key_digest)
{
    const struct repository *from = r->repository;
    json_t *j = json_object(), *components = json_array();
    json_set_integer(j, "kind", from->kind);
    json_set_string(j, "url", from->url);
    json_set_string(j, "suite", from->suite);
    for (size_t i = 0; i < from->components.count; i++)
        json_array_append_new(components, json_string(from->components.items[i].text));
    json_set(j, "components", components);
    json_set_string(j, "key", key_digest);
    return j;
}

/* resolutions/DIGEST.json, where the digest is over all that was asked. */
static bool memory_path(struct pipeline *p, char **path, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    autofree char *folder = NULL, *name = NULL;
    autojson json_t *j = json_object();
    json_t *repositories = json_array();
    json_set_string(j, "base", p->base_key);
    json_set_bool(j, "recommends", p->recipe->recommends);
    json_set(j, "wanted", json_strings(p->plan->packages_wanted));
    json_set(j, "repositories", repositories);
    for (size_t i = 0; i < p->repository_count; i++) {
        const struct input_file *key = NULL;
        const char *file = p->repositories[i].key;
        if (file && !inputs_file(p->session->inputs, file, &key, err))
            return error_wrap(err, "package_repositories");
        json_array_append_new(repositories,
                              describe_repository(&p->repositories[i], key ? key->digest : NULL));
    }
    autofree char *text = json_canonical(j);
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    if (!store_folder(p->session->store, "resolutions", &folder, err))
        return false;
    if (asprintf(&name, "%.64s.json", hex) < 0)
        abort();
    *path = path_join(folder, name);
    return true;
}

/* The keys of the recipe's repositories as files: those named by URL are fetched. */
bool packages_repositories(struct pipeline *p, struct error **err)
{
    const struct recipe *r = p->recipe;
    if (p->repositories || !r->repository_count)
        return true;
    struct package_repository *list = arena_alloc(p->arena, r->repository_count * sizeof *list);
    for (size_t i = 0; i < r->repository_count; i++) {
        const struct repository *from = &r->repositories[i];
        const char *key = from->key.text;
        list[i].repository = from;
        if (key && key[0] != '/') {
            char sha256[DIGEST_HEX_MAX];
            autofree char *path = NULL;
            if (from->kind != REPOSITORY_APT || !from->fingerprint)
                return error_set_at(err, ERROR_TRUST, from->key.place,
                                    "package_repositories: a key that is fetched needs a "
                                    "fingerprint to compare it with; or name a file");
            if (p->options->offline)
                return error_set(err, ERROR_UNREACHABLE, "%s cannot be fetched with --offline",
                                 key);
            if (!fetch_text(p->session->fetcher, key, MIB, &path, sha256, err))
                return error_wrap(err, "package_repositories");
            list[i].key = arena_strdup(p->arena, path);
        } else {
            list[i].key = key;
        }
    }
    p->repositories = list;
    p->repository_count = r->repository_count;
    return true;
}

bool packages_remembered(struct pipeline *p, struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = NULL;
    autoerror struct error *why = NULL;
    if (!packages_repositories(p, &why)) {
        log_debug("packages stay unresolved: %s", error_text(why));
        return true;
    }
    if (!memory_path(p, &path, err))
        return false;
    if (access(path, R_OK) != 0)
        return true;
    if (!json_read_file(path, 64 * MIB, &j, &why) ||
        !resolution_from_json(p->arena, j, &p->resolution, &why)) {
        log_debug("the remembered resolution is left aside: %s", error_text(why));
        p->resolution = NULL;
    }
    return true;
}

static bool remember(struct pipeline *p, struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = resolution_to_json(p->resolution);
    return memory_path(p, &path, err) && json_write_file(path, j, 0600, err);
}

/* --- fetching -----------------------------------------------------------------------------------
 */

/* One package file. apk's have no digest before the first fetch: apk compares what it installs with
 * its signed index. */
static bool fetch_package(struct pipeline *p, const struct package *k, const char **file,
                          char sha256[DIGEST_HEX_MAX], struct error **err)
{
    autofree char *path = NULL;
    const struct verify v = {
        .kind = VERIFY_DIGEST, .digest_kind = k->digest_kind, .digest = k->digest};
    const struct fetch_request r = {.url = k->url, .verify = &v, .what = k->name};
    if (k->digest && fetch_known(p->session->store, &r, sha256)) {
        path = store_blob_path(p->session->store, sha256);
    } else if (p->options->offline && strncmp(k->url, "file:", 5) != 0) {
        return error_set(err, ERROR_UNREACHABLE,
                         "%s is not in the cache, and --offline forbids to fetch it", k->url);
    } else if (k->digest) {
        if (!fetch_blob(p->session->fetcher, &r, sha256, err))
            return false;
        path = store_blob_path(p->session->store, sha256);
    } else if (!fetch_text(p->session->fetcher, k->url, MAX_PACKAGE, &path, sha256, err)) {
        return false;
    }
    *file = arena_strdup(p->arena, path);
    return true;
}

bool packages_fetch(struct pipeline *p, struct error **err)
{
    const struct resolution *r = p->resolution;
    size_t n = r ? r->count : 0;
    if (p->package_files)
        return true;
    const char **files = arena_alloc(p->arena, (n + 1) * sizeof *files);
    struct package *packages = arena_alloc(p->arena, (n + 1) * sizeof *packages);
    if (n)
        progress_step("fetch %zu package%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        char sha256[DIGEST_HEX_MAX];
        progress_note("%s", r->packages[i].name);
        if (!fetch_package(p, &r->packages[i], &files[i], sha256, err))
            return error_wrap(err, "package %s", r->packages[i].name);
        packages[i] = r->packages[i];
        if (!packages[i].digest) {
            packages[i].digest_kind = DIGEST_SHA256;
            packages[i].digest = arena_strdup(p->arena, sha256);
        }
    }
    progress_note("%s", "");
    p->package_files = files;
    if (n) { /* with every digest */
        struct resolution *whole = arena_memdup(p->arena, r, sizeof *r);
        whole->packages = packages;
        p->resolution = whole;
    }
    return true;
}

/* --- resolving ----------------------------------------------------------------------------------
 */

static bool resolve_apt(struct pipeline *p, struct error **err)
{
    autofree char *tmp = NULL, *work = NULL;
    autotempdir char *guest = NULL;
    const struct disk_options o = {.raw = p->base_raw, .facts = p->facts, .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    if (!store_folder(p->session->store, "tmp", &tmp, err) ||
        !store_folder(p->session->store, "apt", &work, err) ||
        !file_temp_dir(tmp, "apt-", &guest, err) || !disk_open(&o, &d, err) ||
        !bake_apt_state(d, guest, err))
        return false;
    const struct apt_request r = {
        .guest = guest,
        .work = work,
        .architecture = p->facts->architecture,
        .wanted = p->plan->packages_wanted,
        .recommends = p->recipe->recommends,
        .offline = p->options->offline,
        .repositories = p->repositories,
        .repository_count = p->repository_count,
    };
    progress_step("resolve packages");
    return apt_resolve(p->arena, &r, &p->resolution, err);
}

static bool read_apk_state(struct pipeline *p, struct error **err)
{
    const struct disk_options o = {.raw = p->base_raw, .facts = p->facts, .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    p->apk = arena_new_of(p->arena, struct apk_repositories);
    return disk_open(&o, &d, err) &&
           bake_apk_state(d, p->arena, p->facts->architecture, p->repositories, p->repository_count,
                          p->apk, err);
}

/* The index as the cache has it from the remembered resolution. */
static bool known_index(struct pipeline *p, const struct resolution *last,
                        struct apk_repository *one, struct error **err)
{
    for (size_t i = 0; last && i < last->index_count; i++) {
        if (strcmp(last->indexes[i].url, one->index_url) != 0 ||
            !store_has(p->session->store, last->indexes[i].digest))
            continue;
        autofree char *path = store_blob_path(p->session->store, last->indexes[i].digest);
        one->index = arena_strdup(p->arena, path);
        one->digest = last->indexes[i].digest;
        return true;
    }
    return error_set(err, ERROR_UNREACHABLE,
                     "%s is not in the cache, and --offline forbids to fetch it", one->index_url);
}

static bool get_index(struct pipeline *p, const struct resolution *last, struct apk_repository *one,
                      struct error **err)
{
    char sha256[DIGEST_HEX_MAX];
    autofree char *path = NULL;
    bool local = strncmp(one->index_url, "file:", 5) == 0 || one->index_url[0] == '/';
    if (p->options->offline && !local)
        return known_index(p, last, one, err);
    if (!fetch_text(p->session->fetcher, one->index_url, MAX_INDEX, &path, sha256, err))
        return false;
    one->index = arena_strdup(p->arena, path);
    one->digest = arena_strdup(p->arena, sha256);
    return true;
}

/* A base's own repositories are often out of reach, in an air gap always: they are left out, as apk
 * itself does, as long as the recipe's own are there. *missed names the first of them, or is NULL.
 */
static bool fetch_indexes(struct pipeline *p, const struct resolution *last, const char **missed,
                          struct error **err)
{
    struct apk_repositories *all = p->apk;
    size_t kept = 0;
    *missed = NULL;
    progress_step("ask the package indexes");
    for (size_t i = 0; i < all->count; i++) {
        struct apk_repository *one = &all->items[i];
        autoerror struct error *why = NULL;
        if (get_index(p, last, one, &why)) {
            all->items[kept++] = *one;
        } else if (error_kind(why) != ERROR_UNREACHABLE || one->recipe || !p->repository_count) {
            *err = take_ptr(why);
            return false;
        } else {
            log_warning("the base's repository %s is left out: %s", one->url, error_text(why));
            *missed = *missed ? *missed : one->url;
        }
    }
    all->count = kept;
    return true;
}

static bool same_indexes(const struct resolution *last, const struct apk_repositories *now)
{
    bool same = last && last->index_count == now->count;
    for (size_t i = 0; same && i < now->count; i++)
        same = strcmp(last->indexes[i].digest, now->items[i].digest) == 0;
    return same;
}

static bool resolve_apk(struct pipeline *p, const struct resolution *last, struct error **err)
{
    const char *missed;
    autofree char *tmp = NULL;
    if (!read_apk_state(p, err) || !fetch_indexes(p, last, &missed, err))
        return false;
    if (same_indexes(last, p->apk)) {
        p->resolution = last;
        return true;
    }
    if (!store_folder(p->session->store, "tmp", &tmp, err) || !pipeline_open_system(p, err))
        return false;
    const struct system_step step = {
        .facts = p->facts,
        .wanted = p->plan->packages_wanted,
        .repositories = p->repositories,
        .repository_count = p->repository_count,
        .apk = p->apk,
        .tmp = tmp,
    };
    progress_step("resolve packages in the guest");
    autoerror struct error *why = NULL;
    if (bake_apk_resolve(p->appliance, &step, p->arena, &p->resolution, &why))
        return true;
    if (missed && error_kind(why) == ERROR_INPUT)
        return error_set(err, ERROR_UNREACHABLE, "%s (%s of the base could not be asked)",
                         error_text(why), missed);
    *err = take_ptr(why);
    return false;
}

bool packages_resolve(struct pipeline *p, struct error **err)
{
    if (!packages_repositories(p, err) || !packages_remembered(p, err))
        return false;
    const struct resolution *last = p->resolution;
    p->resolution = NULL;
    bool apk = p->facts->packages == PACKAGES_APK;
    if (!apk && last && p->options->offline)
        p->resolution = last;
    else if (!(apk ? resolve_apk(p, last, err) : resolve_apt(p, err)))
        return error_wrap(err, "cannot resolve packages");
    return packages_fetch(p, err) && remember(p, err);
}
