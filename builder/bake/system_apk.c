/* Packages into a guest with apk (Alpine; apk 2.14 and 3): by name, from folders that hold each
 * repository's original signed index and only the packages that are needed. A package given as a
 * file would be pinned in /etc/apk/world by its checksum and could never be upgraded. */
#include "bake/system_internal.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>
#include <sys/utsname.h>

#define INSTALL_SECONDS 3600
#define KEYS "keys"
#define REPOSITORIES "repositories"
#define WORLD "/etc/apk/world"
#define WORLD_MAX (1 << 20)

static const char *const env[] = {
    "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};

static bool stage_repository(const struct apk_repositories *r, size_t n, const char *folder,
                             struct buffer *list, struct error **err)
{
    const struct apk_repository *one = &r->items[n];
    if (!one->index)
        return error_set(err, ERROR_INTERNAL, "the index %s was not fetched", one->index_url);
    autofree char *path = NULL;
    if (asprintf(&path, "%s/%zu/%s", folder, n, r->architecture) < 0)
        abort();
    buffer_printf(list, "%s%s" SYSTEM_DRIVE "/%zu\n", one->tag ? one->tag : "", one->tag ? " " : "",
                  n);
    return file_make_dirs(path, 0755, err) &&
           system_stage(one->index, path, "APKINDEX.tar.gz", err);
}

/* N/ARCH/APKINDEX.tar.gz for each repository, keys/, and the file that names the folders. */
static bool stage_indexes(const struct apk_repositories *r, const char *folder, struct error **err)
{
    autobuffer struct buffer list = {0};
    autofree char *keys = path_join(folder, KEYS), *file = path_join(folder, REPOSITORIES);
    if (!r->count)
        return error_set(err, ERROR_INPUT,
                         "the base has no package repositories that can be used, and the recipe "
                         "names none");
    if (!file_make_dirs(keys, 0755, err))
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (!stage_repository(r, i, folder, &list, err))
            return false;
    for (size_t i = 0; i < r->key_count; i++) {
        autofree char *key = path_join(keys, r->keys[i].name);
        if (!file_write(key, r->keys[i].text, r->keys[i].size, 0644, err))
            return false;
    }
    return file_write(file, list.data, list.size, 0644, err);
}

/* Beside each index that may list it: the same repository can be there twice, with the index that a
 * lock has pinned and the present one. */
static bool stage_package(const struct apk_repositories *r, const struct package *p,
                          const char *file, const char *folder, struct error **err)
{
    size_t n = apk_repository_of(r, p->url);
    if (n == r->count)
        return error_set(err, ERROR_CHANGED,
                         "%s is in none of the repositories of the base and the recipe", p->url);
    for (size_t i = n; i < r->count; i++) {
        autofree char *path = NULL;
        if (strcmp(r->items[i].index_url, r->items[n].index_url) != 0)
            continue;
        if (asprintf(&path, "%s/%zu/%s", folder, i, r->architecture) < 0)
            abort();
        if (!system_stage(file, path, p->filename, err))
            return false;
    }
    return true;
}

static bool stage_packages(const struct system_step *step, const char *folder, struct error **err)
{
    for (size_t i = 0; i < step->resolution->count; i++)
        if (!stage_package(step->apk, &step->resolution->packages[i], step->files[i], folder, err))
            return false;
    return true;
}

/* A trailing minus or a leading `!` would be other requests than "install"; options least of all.
 */
static bool check_wanted(const char *const *wanted, size_t *count, struct error **err)
{
    for (*count = 0; wanted[*count]; ++*count) {
        const char *w = wanted[*count];
        if (*w == '-' || *w == '!' || *w == '.' || strpbrk(w, "/ \t\n") || !*w)
            return error_set(err, ERROR_INPUT, "'%.80s' is no name of a package", w);
    }
    return true;
}

/* With --keys-dir only those keys count; --simulate changes nothing. pins: or NULL. */
static bool run_apk(struct appliance *a, const struct system_step *step,
                    const struct resolution *pins, bool simulate, struct guest_command *c,
                    struct error **err)
{
    static const char *const fixed[] = {"apk",
                                        "--no-network",
                                        "--no-cache",
                                        "--no-progress",
                                        "--no-interactive",
                                        "--keys-dir",
                                        SYSTEM_DRIVE "/" KEYS,
                                        "--repositories-file",
                                        SYSTEM_DRIVE "/" REPOSITORIES,
                                        "add"};
    size_t count = 0;
    if (!check_wanted(step->wanted, &count, err))
        return false;
    autoarena struct arena *arena = arena_new();
    const char **argv = NULL, *const simulation = "--simulate", *const end = NULL;
    size_t n = 0;
    for (size_t i = 0; i < COUNT(fixed); i++)
        arena_append(arena, argv, n, fixed[i]);
    if (simulate)
        arena_append(arena, argv, n, simulation);
    const char *const *wishes = apk_wishes(arena, step->wanted, pins);
    for (size_t i = 0; wishes[i]; i++)
        arena_append(arena, argv, n, wishes[i]);
    arena_append(arena, argv, n, end);
    c->argv = argv;
    c->env = env;
    c->timeout_seconds = INSTALL_SECONDS;
    bool ok = appliance_run(a, c, err);
    c->argv = NULL;
    return ok;
}

/* --- resolving
 * ------------------------------------------------------------------------------------- */

static bool ask(struct appliance *a, const struct system_step *step, const struct resolution *pins,
                struct arena *arena, struct apk_index *changes, struct error **err)
{
    autofree char *output = NULL;
    int status = 0;
    struct guest_command c = {.output = &output, .status = &status};
    if (!run_apk(a, step, pins, true, &c, err) || !apk_check_trust(output, err))
        return false;
    if (status == 0)
        return apk_parse_simulation(arena, output, changes, err);
    const char *missing = strstr(output, "ERROR: ");
    bool wish = missing && (strstr(output, "required by: world") || strstr(output, "world["));
    return error_set(err, wish ? ERROR_INPUT : ERROR_GUEST, "apk cannot resolve the packages: %s",
                     missing ? missing : output);
}

static bool contradiction(struct error **err, const char *what)
{
    return error_set(err, ERROR_CHANGED,
                     "the packages that are wanted contradict the locked versions of others "
                     "(`ingot lock --update` resolves all of them anew): %s",
                     what);
}

/* `name>=version` of something locked: the pin goes to apk in its place, so that it is compared
 * here, by apk's own rules. `~` (a part of the version) is not. */
static bool check_wish(struct appliance *a, const char *wish, const struct resolution *locked,
                       struct error **err)
{
    static const char operators[] = "<>=";
    size_t n = strcspn(wish, "@<>=~");
    const char *at = wish + strcspn(wish, "<>=~");
    size_t length = strspn(at, operators);
    const struct package *p = resolution_find(locked, wish, n);
    if (!p || !length || at[length] == '~')
        return true;
    const char *const argv[] = {"apk", "version", "--test", p->version, at + length, NULL};
    autofree char *output = NULL;
    struct guest_command c = {
        .argv = argv, .env = env, .output = &output, .timeout_seconds = INSTALL_SECONDS};
    if (!appliance_run(a, &c, err))
        return false;
    return (*output && memchr(at, *output, length)) || contradiction(err, wish);
}

static bool simulate(struct appliance *a, const struct system_step *step, struct arena *arena,
                     struct apk_index *changes, struct error **err)
{
    if (!step->locked || !step->locked->count)
        return ask(a, step, NULL, arena, changes, err);
    for (size_t i = 0; step->wanted[i]; i++)
        if (!check_wish(a, step->wanted[i], step->locked, err))
            return false;
    if (ask(a, step, step->locked, arena, changes, err))
        return true;
    if (*err && error_kind(*err) != ERROR_INPUT && error_kind(*err) != ERROR_GUEST)
        return false;
    autoerror struct error *ignored = NULL; /* could it be done without the lock? */
    if (!ask(a, step, NULL, arena, changes, &ignored))
        return false;
    autoerror struct error *why = take_ptr(*err);
    return contradiction(err, error_text(why));
}

/* Whatever apk says, the session goes on, so the drive is always taken away. */
static bool simulate_on_drive(struct appliance *a, const struct system_step *step,
                              struct arena *arena, struct apk_index *changes, struct error **err)
{
    autotempdir char *folder = NULL;
    if (!file_temp_dir(step->tmp, "indexes-", &folder, err) ||
        !stage_indexes(step->apk, folder, err) ||
        !appliance_show_folder(a, folder, SYSTEM_DRIVE, err))
        return false;
    bool ok = simulate(a, step, arena, changes, err);
    return appliance_hide_folder(a, SYSTEM_DRIVE, ok ? err : NULL) && ok;
}

/* A locked package stays as the lock has it, with its digest. */
static const struct resolution *keep_locked(struct arena *a, const struct resolution *r,
                                            const struct resolution *locked)
{
    struct resolution *made = arena_memdup(a, r, sizeof *r);
    struct package *all = arena_memdup(a, r->packages, r->count * sizeof *all);
    for (size_t i = 0; i < r->count; i++) {
        const struct package *p = resolution_find(locked, all[i].name, strlen(all[i].name));
        if (!p || strcmp(p->version, all[i].version) != 0)
            continue;
        bool automatic = all[i].automatic;
        all[i] = *p;
        all[i].automatic = automatic;
    }
    made->packages = all;
    return made;
}

/* The guest's own apk does it, which a host of another architecture cannot run. */
static bool check_host(const struct system_step *step, struct error **err)
{
    struct utsname host;
    return uname(&host) < 0 || strcmp(host.machine, step->apk->architecture) == 0 ||
           error_set(err, ERROR_HOST,
                     "packages of an Alpine for %s are resolved by its own apk, which does not run "
                     "on %s: resolve and lock them on a host of that architecture",
                     step->facts->architecture, host.machine);
}

bool bake_apk_resolve(struct appliance *a, const struct system_step *step, struct arena *arena,
                      const struct resolution **out, struct error **err)
{
    struct apk_index changes;
    if (!check_host(step, err) || !simulate_on_drive(a, step, arena, &changes, err))
        return false;
    autoarena struct arena *own = arena_new();
    struct apk_index *indexes = arena_alloc(own, (step->apk->count + 1) * sizeof *indexes);
    for (size_t i = 0; i < step->apk->count; i++)
        if (!apk_read_index(own, step->apk->items[i].index, &indexes[i], err))
            return false;
    if (!apk_locate(arena, step->apk, indexes, &changes, step->wanted, out, err))
        return false;
    if (step->locked)
        *out = keep_locked(arena, *out, step->locked);
    return true;
}

/* --- installing
 * ------------------------------------------------------------------------------------ */

/* Where an index is there in two editions, apk would take the newest version of each package. */
static bool needs_pins(const struct apk_repositories *r)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(r->items[i].index_url, r->items[k].index_url) == 0)
                return true;
    return false;
}

/* The pins are for this installation: what the guest keeps as its wishes (apk-world(5)) is what the
 * recipe asked for. */
static bool restore_world(struct appliance *a, const struct system_step *step, const char *before,
                          struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    autofree char *text = NULL;
    autoarena struct arena *arena = arena_new();
    if (!d->writer->read(d, WORLD, WORLD_MAX, &text, NULL, err))
        return false;
    const char *world = apk_world(arena, before, text, step->wanted, step->resolution);
    return appliance_write(a, WORLD, world, strlen(world), 0644, err);
}

static bool install_pinned(struct appliance *a, const struct system_step *step,
                           struct guest_command *c, struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    autofree char *before = NULL;
    return d->writer->read(d, WORLD, WORLD_MAX, &before, NULL, err) &&
           run_apk(a, step, step->resolution, false, c, err) && restore_world(a, step, before, err);
}

bool system_apk_install(struct appliance *a, const struct system_step *step, struct error **err)
{
    autotempdir char *folder = NULL;
    autofree char *output = NULL;
    struct guest_command c = {.output = &output};
    return file_temp_dir(step->tmp, "packages-", &folder, err) &&
           stage_indexes(step->apk, folder, err) && stage_packages(step, folder, err) &&
           appliance_show_folder(a, folder, SYSTEM_DRIVE, err) &&
           (needs_pins(step->apk) ? install_pinned(a, step, &c, err)
                                  : run_apk(a, step, NULL, false, &c, err)) &&
           apk_check_trust(output, err) && appliance_hide_folder(a, SYSTEM_DRIVE, err);
}

static bool is_web(const char *url)
{
    return text_starts_with(url, "http://") || text_starts_with(url, "https://");
}

bool system_apk_keep_repositories(struct appliance *a, const struct system_step *step,
                                  struct error **err)
{
    struct disk *d = appliance_as_disk(a);
    autofree char *old = NULL;
    size_t size = 0;
    bool any = false, found;
    struct disk_stat st;
    static const char path[] = "/etc/apk/repositories";
    if (!d->writer->stat(d, path, true, &st, &found, err) ||
        (found && !d->writer->read(d, path, 1 << 16, &old, &size, err)))
        return false;
    autobuffer struct buffer text = {0};
    buffer_add(&text, old ? old : "", size);
    if (size && old[size - 1] != '\n')
        buffer_puts(&text, "\n");
    for (size_t i = 0; i < step->repository_count; i++) {
        const struct package_repository *p = &step->repositories[i];
        if (p->repository->kind != REPOSITORY_APK || !is_web(p->repository->url))
            continue;
        any = true;
        buffer_printf(&text, "%s\n", p->repository->url);
        if (!p->key)
            continue;
        const char *name = p->key_name ? p->key_name : path_basename(p->key);
        autofree char *key = path_join("/etc/apk/keys", name), *bytes = NULL;
        size_t n = 0;
        if (!file_read(p->key, 1 << 16, &bytes, &n, err) ||
            !appliance_make_dirs(a, "/etc/apk/keys", err) ||
            !appliance_write(a, key, bytes, n, 0644, err))
            return false;
    }
    return !any || appliance_write(a, path, text.data, text.size, 0644, err);
}
