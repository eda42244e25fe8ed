#include "ingot/packages.h"

#include "bake/guest_state.h"
#include "bake/system.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "resolve/apt.h"
#include "resolve/snapshot.h"
#include "source/fetch.h"

#include <string.h>
#include <time.h>

/* Raised when less was looked at before something was remembered. 2: apk packages are compared
 * with their index. */
#define MEMORY_FORMAT 2
#define MAX_INDEX (256 * MIB)

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

bool packages_memory_path(struct pipeline *p, const json_t *asked, char **path, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    autofree char *folder = NULL, *name = NULL, *text = json_canonical(asked);
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    if (!store_folder(p->session->store, "resolutions", &folder, err))
        return false;
    if (asprintf(&name, "%.64s.json", hex) < 0)
        abort();
    *path = path_join(folder, name);
    return true;
}

static bool memory_path(struct pipeline *p, char **path, struct error **err)
{
    autojson json_t *j = json_object();
    json_t *repositories = json_array();
    json_set_integer(j, "format", MEMORY_FORMAT);
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
    return packages_memory_path(p, j, path, err);
}

/* A key that is named by URL: the locked one, else as it is now (whoever uses it compares it with
 * the fingerprint), and then it is locked. */
static bool get_key(struct pipeline *p, const char *url, const char *fingerprint,
                    char sha256[DIGEST_HEX_MAX], struct error **err)
{
    const struct lock_source *pin = lock_find_key(&p->pins.now, url);
    struct stat st;
    if (pin) {
        const struct verify v = {
            .kind = VERIFY_DIGEST, .digest_kind = DIGEST_SHA256, .digest = pin->sha256};
        const struct fetch_request r = {
            .url = url, .verify = &v, .what = "repository key", .locked = pin->sha256};
        return fetch_blob(p->session->fetcher, &r, sha256, err);
    }
    autofree char *path = NULL;
    if (!fetch_text(p->session->fetcher, url, MIB, &path, sha256, err))
        return false;
    uint64_t size = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    pins_record_key(p, url, sha256, size, fingerprint);
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
            if (!get_key(p, key, from->fingerprint, sha256, err))
                return error_wrap(err, "package_repositories");
            path = store_blob_path(p->session->store, sha256);
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

/* --- fetching -----------------------------------------------------------------------------------
 */

static bool read_apk_state(struct pipeline *p, struct error **err)
{
    const struct disk_options o = {.raw = p->base_raw, .facts = p->facts, .epoch = p->epoch};
    autodisk struct disk *d = NULL;
    p->apk = arena_new_of(p->arena, struct apk_repositories);
    return disk_open(&o, &d, err) &&
           bake_apk_state(d, p->arena, p->facts->architecture, p->repositories, p->repository_count,
                          p->apk, err);
}

/* The index files that a resolution was made from, as the store has them. */
static const struct resolution *with_index_paths(struct pipeline *p, const struct resolution *r)
{
    struct resolution *copy = arena_memdup(p->arena, r, sizeof *r);
    struct index_pin *pins = arena_alloc(p->arena, (r->index_count + 1) * sizeof *pins);
    for (size_t i = 0; i < r->index_count; i++) {
        autofree char *path = store_blob_path(p->session->store, r->indexes[i].digest);
        pins[i] = r->indexes[i];
        pins[i].path = arena_strdup(p->arena, path);
    }
    copy->indexes = pins;
    return copy;
}

/* For the installation of locked packages in an apk guest: the indexes that they are of. */
static bool prepare_apk(struct pipeline *p, struct error **err)
{
    if (p->apk || p->facts->packages != PACKAGES_APK)
        return true;
    if (!packages_repositories(p, err) || !read_apk_state(p, err) ||
        !packages_get_indexes(p, p->resolution, err))
        return false;
    apk_put_locked(p->arena, p->apk, with_index_paths(p, p->resolution));
    return true;
}

/* With every digest: apk's have none before the first fetch, which compares them with the index
 * that the guest's apk has just verified, where that has a checksum of them. */
static void take_digests(struct pipeline *p)
{
    struct resolution *whole = arena_memdup(p->arena, p->resolution, sizeof *whole);
    struct package *packages = arena_alloc(p->arena, (whole->count + 1) * sizeof *packages);
    for (size_t i = 0; i < whole->count; i++) {
        struct stat st;
        packages[i] = whole->packages[i];
        if (packages[i].digest)
            continue;
        packages[i].first_use = !packages[i].apk_checksum;
        packages[i].digest_kind = DIGEST_SHA256;
        packages[i].digest = path_basename(p->package_files[i]);
        if (!packages[i].size && stat(p->package_files[i], &st) == 0)
            packages[i].size = (uint64_t)st.st_size;
    }
    whole->packages = packages;
    p->resolution = whole;
}

bool packages_fetch(struct pipeline *p, struct error **err)
{
    if (!p->resolution)
        return true;
    if (!p->package_files) {
        if (!packages_get(p, p->resolution, p->snapshot, &p->package_files, err))
            return false;
        take_digests(p);
    }
    return prepare_apk(p, err);
}

/* --- resolving ----------------------------------------------------------------------------------
 */

static bool is_named(const char *const *list, const char *name)
{
    for (size_t i = 0; list && list[i]; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

/* Both, sorted by name; a name that both have is taken from `more`. */
static const struct resolution *merge(struct pipeline *p, const struct resolution *kept,
                                      const struct resolution *more)
{
    struct resolution *both = arena_new_of(p->arena, struct resolution);
    struct package *packages =
        arena_alloc(p->arena, (kept->count + more->count + 1) * sizeof *packages);
    struct index_pin *pins =
        arena_alloc(p->arena, (kept->index_count + more->index_count + 1) * sizeof *pins);
    for (size_t i = 0, k = 0; i < kept->count || k < more->count;) {
        int order = i == kept->count   ? 1
                    : k == more->count ? -1
                                       : strcmp(kept->packages[i].name, more->packages[k].name);
        packages[both->count] = order < 0 ? kept->packages[i] : more->packages[k];
        i += order <= 0;
        k += order >= 0;
        struct package *one = &packages[both->count++];
        one->automatic = !is_named(p->plan->packages_wanted, one->name);
    }
    for (size_t i = 0; i < kept->index_count; i++)
        pins[both->index_count++] = kept->indexes[i];
    for (size_t i = 0; i < more->index_count; i++) {
        bool known = false;
        for (size_t k = 0; k < kept->index_count && !known; k++)
            known = strcmp(kept->indexes[k].url, more->indexes[i].url) == 0 &&
                    strcmp(kept->indexes[k].digest, more->indexes[i].digest) == 0;
        if (!known)
            pins[both->index_count++] = more->indexes[i];
    }
    both->packages = packages;
    both->indexes = pins;
    return both;
}

/* The stamps of what was kept, and now; one a day, since a snapshot service is asked for a day. */
static void set_snapshot(struct pipeline *p, const struct lock_packages *kept)
{
    char stamp[SNAPSHOT_STAMP], day[9];
    snapshot_stamp(time(NULL), stamp);
    snprintf(day, sizeof day, "%.8s", stamp);
    if (!kept || !kept->snapshot)
        p->snapshot = arena_strdup(p->arena, stamp);
    else if (strstr(kept->snapshot, day))
        p->snapshot = kept->snapshot;
    else
        p->snapshot = arena_printf(p->arena, "%s %s", kept->snapshot, stamp);
}

static bool ask_apt(struct pipeline *p, const struct resolution *kept, const char *const *files,
                    const struct resolution **out, struct error **err)
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
        .locked = kept ? kept->packages : NULL,
        .locked_files = files,
        .locked_count = kept ? kept->count : 0,
    };
    progress_step("resolve packages");
    return apt_resolve(p->arena, &r, out, err);
}

static const struct package *find_package(const struct resolution *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->packages[i].name, name) == 0)
            return &r->packages[i];
    return NULL;
}

/* Something is no longer asked for, and what it alone needed is to go as well: apt is asked for the
 * rest. If all of that is locked, in the same versions, then it is that part of the lock; if the
 * archive has moved on, everything is as it is now. */
static bool resolve_fewer(struct pipeline *p, const struct lock_packages *locked,
                          struct error **err)
{
    const struct resolution *now;
    if (!ask_apt(p, NULL, NULL, &now, err))
        return false;
    struct resolution *part = arena_memdup(p->arena, locked->resolution, sizeof *part);
    struct package *packages = arena_alloc(p->arena, (now->count + 1) * sizeof *packages);
    part->packages = packages;
    part->count = now->count;
    for (size_t i = 0; i < now->count; i++) {
        const struct package *k = find_package(locked->resolution, now->packages[i].name);
        if (!k || strcmp(k->version, now->packages[i].version) != 0) {
            log_warning("packages are resolved anew: some are no longer asked for, and the archive "
                        "has others than %s",
                        path_basename(p->pins.path));
            p->resolution = now;
            return true;
        }
        packages[i] = *k;
        packages[i].automatic = now->packages[i].automatic;
    }
    p->resolution = part;
    p->snapshot = locked->snapshot;
    return true;
}

static bool resolve_apt(struct pipeline *p, const struct lock_packages *locked, struct error **err)
{
    const struct resolution *kept = locked ? locked->resolution : NULL, *more;
    const char *const *files;
    if (!kept || !kept->count)
        return ask_apt(p, NULL, NULL, &p->resolution, err);
    for (size_t i = 0; locked->wanted[i]; i++)
        if (!is_named(p->plan->packages_wanted, locked->wanted[i]))
            return resolve_fewer(p, locked, err);
    if (!packages_get(p, kept, locked->snapshot, &files, err) ||
        !ask_apt(p, kept, files, &more, err))
        return false;
    p->resolution = merge(p, kept, more);
    set_snapshot(p, locked);
    return true;
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

/* Nobody has vouched since for what nobody vouched for then. */
static void say_first_uses(struct pipeline *p, const struct resolution *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->packages[i].first_use)
            pins_first_use(p, r->packages[i].url, r->packages[i].digest);
}

static bool resolve_apk(struct pipeline *p, const struct resolution *last,
                        const struct lock_packages *locked, struct error **err)
{
    const char *missed;
    autofree char *tmp = NULL;
    const struct resolution *kept = locked && locked->resolution->count ? locked->resolution : NULL;
    if (!read_apk_state(p, err) || !fetch_indexes(p, last, &missed, err))
        return false;
    if (!kept && same_indexes(last, p->apk)) {
        say_first_uses(p, last);
        p->resolution = last;
        return true;
    }
    if (kept) {
        if (!packages_get_indexes(p, kept, err))
            return false;
        kept = with_index_paths(p, kept);
        apk_put_locked(p->arena, p->apk, kept);
    }
    if (!store_folder(p->session->store, "tmp", &tmp, err) || !pipeline_open_system(p, err))
        return false;
    const struct system_step step = {
        .facts = p->facts,
        .wanted = p->plan->packages_wanted,
        .repositories = p->repositories,
        .repository_count = p->repository_count,
        .apk = p->apk,
        .locked = kept,
        .tmp = tmp,
    };
    progress_step("resolve packages in the guest");
    set_snapshot(p, kept ? locked : NULL);
    autoerror struct error *why = NULL;
    if (bake_apk_resolve(p->appliance, &step, p->arena, &p->resolution, &why))
        return true;
    if (missed && error_kind(why) == ERROR_INPUT)
        return error_set(err, ERROR_UNREACHABLE, "%s (%s of the base could not be asked)",
                         error_text(why), missed);
    *err = take_ptr(why);
    return false;
}

/* --- the lock -----------------------------------------------------------------------------------
 */

void packages_take_pinned(struct pipeline *p)
{
    if (!pins_packages_fit(p))
        return;
    p->resolution = p->pins.now.packages.resolution;
    p->snapshot = p->pins.now.packages.snapshot;
    p->packages_pinned = true;
}

static bool has_all_digests(const struct resolution *r)
{
    bool all = true;
    for (size_t i = 0; i < r->count; i++)
        all = all && r->packages[i].digest;
    return all;
}

static bool resolve(struct pipeline *p, struct error **err)
{
    bool apk = p->facts->packages == PACKAGES_APK;
    if (!packages_repositories(p, err) || !packages_remembered(p, err))
        return false;
    const struct resolution *last = p->resolution;
    const struct lock_packages *locked = pins_packages(p);
    p->resolution = NULL;
    p->snapshot = NULL;
    if (!apk && last && !locked && p->options->offline)
        p->resolution = last;
    else if (!(apk ? resolve_apk(p, last, locked, err) : resolve_apt(p, locked, err)))
        return false;
    if (!p->snapshot)
        set_snapshot(p, NULL);
    if (!has_all_digests(p->resolution) && !packages_fetch(p, err))
        return false;
    autofree char *path = NULL;
    autojson json_t *j = resolution_to_json(p->resolution);
    return memory_path(p, &path, err) && json_write_file(path, j, 0600, err);
}

bool packages_resolve(struct pipeline *p, struct error **err)
{
    packages_take_pinned(p);
    if (p->packages_pinned)
        return true;
    if (p->options->anywhere && p->facts->packages == PACKAGES_APK &&
        !pipeline_check_host(p, NULL)) {
        log_warning("the packages are not locked: the guest's own apk resolves them, which takes a "
                    "host of %s",
                    architecture_name(p->recipe->arch));
        p->resolution = NULL;
        p->packages_open = true;
        return true;
    }
    return resolve(p, err) || error_wrap(err, "cannot resolve packages");
}
