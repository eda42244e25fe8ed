/* Packages into a guest with apk (Alpine; apk 2.14 and 3): by name, from folders that hold each
 * repository's original signed index and only the packages that are needed. A package given as a
 * file would be pinned in /etc/apk/world by its checksum and could never be upgraded. */
#include "bake/system_internal.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

#define INSTALL_SECONDS 3600
#define KEYS "keys"
#define REPOSITORIES "repositories"

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

static bool stage_packages(const struct system_step *step, const char *folder, struct error **err)
{
    const struct apk_repositories *r = step->apk;
    for (size_t i = 0; i < step->resolution->count; i++) {
        const struct package *p = &step->resolution->packages[i];
        size_t n = apk_repository_of(r, p->url);
        if (n == r->count)
            return error_set(err, ERROR_CHANGED,
                             "%s is in none of the repositories of the base and the recipe",
                             p->url);
        autofree char *path = NULL;
        if (asprintf(&path, "%s/%zu/%s", folder, n, r->architecture) < 0)
            abort();
        if (!system_stage(step->files[i], path, p->filename, err))
            return false;
    }
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

/* With --keys-dir only those keys count; --simulate changes nothing. */
static bool run_apk(struct appliance *a, const struct system_step *step, bool simulate,
                    struct guest_command *c, struct error **err)
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
    autofree const char **argv = calloc(COUNT(fixed) + count + 2, sizeof *argv);
    if (!argv)
        abort();
    memcpy(argv, fixed, sizeof fixed);
    size_t n = COUNT(fixed);
    if (simulate)
        argv[n++] = "--simulate";
    memcpy(argv + n, step->wanted, count * sizeof *argv);
    c->argv = argv;
    c->env = env;
    c->timeout_seconds = INSTALL_SECONDS;
    bool ok = appliance_run(a, c, err);
    c->argv = NULL;
    return ok;
}

/* --- resolving
 * ------------------------------------------------------------------------------------- */

static bool simulate(struct appliance *a, const struct system_step *step, struct arena *arena,
                     struct apk_index *changes, struct error **err)
{
    autofree char *output = NULL;
    int status = 0;
    struct guest_command c = {.output = &output, .status = &status};
    if (!run_apk(a, step, true, &c, err) || !apk_check_trust(output, err))
        return false;
    if (status == 0)
        return apk_parse_simulation(arena, output, changes, err);
    const char *missing = strstr(output, "ERROR: ");
    return error_set(err,
                     missing && strstr(output, "required by: world") ? ERROR_INPUT : ERROR_GUEST,
                     "apk cannot resolve the packages: %s", missing ? missing : output);
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

bool bake_apk_resolve(struct appliance *a, const struct system_step *step, struct arena *arena,
                      const struct resolution **out, struct error **err)
{
    struct apk_index changes;
    if (!simulate_on_drive(a, step, arena, &changes, err))
        return false;
    autoarena struct arena *own = arena_new();
    struct apk_index *indexes = arena_alloc(own, (step->apk->count + 1) * sizeof *indexes);
    for (size_t i = 0; i < step->apk->count; i++)
        if (!apk_read_index(own, step->apk->items[i].index, &indexes[i], err))
            return false;
    return apk_locate(arena, step->apk, indexes, &changes, step->wanted, out, err);
}

/* --- installing
 * ------------------------------------------------------------------------------------ */

bool system_apk_install(struct appliance *a, const struct system_step *step, struct error **err)
{
    autotempdir char *folder = NULL;
    autofree char *output = NULL;
    struct guest_command c = {.output = &output};
    return file_temp_dir(step->tmp, "packages-", &folder, err) &&
           stage_indexes(step->apk, folder, err) && stage_packages(step, folder, err) &&
           appliance_show_folder(a, folder, SYSTEM_DRIVE, err) &&
           run_apk(a, step, false, &c, err) && apk_check_trust(output, err) &&
           appliance_hide_folder(a, SYSTEM_DRIVE, err);
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
