#include "recipe/find.h"

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#include <dirent.h>
#include <string.h>

#define MAX_NAMED 12 /* a longer list helps nobody */

/* Folders below a search folder in which names of a kind stand. */
static const struct {
    const char *folders[2];
    const char *suffix;
} lookups[] = {
    [LOOKUP_RECIPE] = {{"", NULL}, ".yaml"},
    [LOOKUP_BASE] = {{"bases", NULL}, ".yaml"},
    [LOOKUP_DISTRIBUTION] = {{"distributions", NULL}, ".yaml"},
    [LOOKUP_OVERLAY] = {{"overlays", "../overlays"}, ""},
};

static bool exists(const char *path, enum recipe_lookup kind)
{
    struct stat st;
    return stat(path, &st) == 0 &&
           (kind == LOOKUP_OVERLAY ? S_ISDIR(st.st_mode) : !S_ISDIR(st.st_mode));
}

/* `../overlays` is for a project's folder `recipes` only. */
static bool folder_counts(const char *dir, const char *folder)
{
    autofree char *absolute = path_absolute(NULL, dir);
    return folder[0] != '.' || strcmp(path_basename(absolute), "recipes") == 0;
}

static const char *find_in(struct arena *a, const char *dir, enum recipe_lookup kind,
                           const char *name)
{
    for (size_t i = 0; i < COUNT(lookups[kind].folders) && lookups[kind].folders[i]; i++) {
        if (!folder_counts(dir, lookups[kind].folders[i]))
            continue;
        autofree char *folder = path_join(dir, lookups[kind].folders[i]);
        autofree char *file = NULL;
        if (asprintf(&file, "%s%s", name, lookups[kind].suffix) < 0)
            abort();
        autofree char *path = path_join(folder, file);
        if (!exists(path, kind))
            continue;
        autofree char *absolute = realpath(path, NULL);
        return arena_strdup(a, absolute ? absolute : path);
    }
    return NULL;
}

const char *find_named(struct arena *a, const char *dir, const char *const *search,
                       enum recipe_lookup kind, const char *name)
{
    const char *found = NULL;
    if (!path_is_plain_name(name))
        return NULL;
    if (dir && kind == LOOKUP_OVERLAY) { /* a folder right beside the recipe */
        autofree char *beside = path_join(dir, name);
        if (exists(beside, kind))
            return arena_strdup(a, beside);
    }
    if (dir)
        found = find_in(a, dir, kind, name);
    for (; !found && search && *search; search++)
        found = find_in(a, *search, kind, name);
    return found;
}

const char *find_shown(struct arena *a, const char *path)
{
    autofree char *cwd = getcwd(NULL, 0);
    size_t n = cwd ? strlen(cwd) : 0;
    bool below = n > 1 && strncmp(path, cwd, n) == 0 && path[n] == '/';
    return arena_strdup(a, below ? path + n + 1 : path);
}

static int by_text(const void *x, const void *y)
{
    const struct text_at *a = x, *b = y;
    return strcmp(a->text, b->text);
}

static void list_folder(struct arena *a, const char *folder, enum recipe_lookup kind,
                        struct text_at **items, size_t *count)
{
    DIR *d = opendir(folder);
    const char *suffix = lookups[kind].suffix;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] == '.' || !text_ends_with(e->d_name, suffix))
            continue;
        autofree char *path = path_join(folder, e->d_name);
        const char *name = arena_strndup(a, e->d_name, n - strlen(suffix));
        bool known = !exists(path, kind) || !path_is_plain_name(name);
        for (size_t i = 0; i < *count && !known; i++)
            known = strcmp((*items)[i].text, name) == 0; /* an earlier folder has it */
        struct text_at item = {name, {arena_strdup(a, path), 0, 0}};
        if (!known)
            arena_append(a, *items, *count, item);
    }
    if (d)
        closedir(d);
}

static void list_dir(struct arena *a, const char *dir, enum recipe_lookup kind,
                     struct text_at **items, size_t *count)
{
    for (size_t i = 0; i < COUNT(lookups[kind].folders) && lookups[kind].folders[i]; i++) {
        if (!folder_counts(dir, lookups[kind].folders[i]))
            continue;
        autofree char *folder = path_join(dir, lookups[kind].folders[i]);
        list_folder(a, folder, kind, items, count);
    }
}

struct text_list recipe_names(struct arena *a, const char *const *search, enum recipe_lookup kind)
{
    struct text_at *items = NULL;
    size_t count = 0;
    for (; search && *search; search++)
        list_dir(a, *search, kind, &items, &count);
    if (count)
        qsort(items, count, sizeof *items, by_text);
    return (struct text_list){items, count};
}

const char *find_hint(struct arena *a, const char *dir, const char *const *search,
                      enum recipe_lookup kind, const char *name)
{
    struct text_at *items = NULL;
    size_t count = 0;
    if (dir)
        list_dir(a, dir, kind, &items, &count);
    for (; search && *search; search++)
        list_dir(a, *search, kind, &items, &count);
    if (count == 0)
        return "";
    qsort(items, count, sizeof *items, by_text);
    const char **names = arena_alloc(a, count * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = items[i].text;
    const char *nearest = text_nearest(name, names, count);
    if (nearest)
        return arena_printf(a, "; did you mean '%s'?", nearest);
    const char *all = "";
    for (size_t i = 0; i < count && count <= MAX_NAMED; i++)
        all = arena_printf(a, "%s%s%s", all, i ? ", " : "; there are ", names[i]);
    return all;
}

bool recipe_find(const char *given, const char *const *search, char **path, struct error **err)
{
    autoarena struct arena *a = arena_new();
    if (strchr(given, '/') || text_ends_with(given, ".yaml")) {
        if (access(given, F_OK) == 0) {
            *path = strdup(given);
            return *path || error_set(err, ERROR_INTERNAL, "out of memory");
        }
        return error_set(err, ERROR_INPUT, "there is no recipe '%s'", given);
    }
    const char *found = find_named(a, NULL, search, LOOKUP_RECIPE, given);
    if (found) {
        *path = strdup(found);
        return *path || error_set(err, ERROR_INTERNAL, "out of memory");
    }
    const char *where = "";
    for (size_t i = 0; search && search[i]; i++)
        where = arena_printf(a, "%s%s%s", where, i ? ", " : "", search[i]);
    return error_set(err, ERROR_INPUT, "no recipe is called '%s'; looked in %s%s", given,
                     *where ? where : "no folder",
                     find_hint(a, NULL, search, LOOKUP_RECIPE, given));
}
