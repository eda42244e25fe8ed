/* Texts of licences that a bundle carries beside an image. */
#include "ingot/bundle.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

enum depth {
    HERE,       /* files by name, folders of licences */
    SEARCH,     /* the same in every folder below */
    EVERYTHING, /* in a folder of licences */
};

static bool is_licence(const char *name)
{
    static const char *const prefixes[] = {"LICENSE", "LICENCE", "COPYING", "NOTICE"};
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_folder_of_licences(const char *name)
{
    return strcasecmp(name, "licenses") == 0 || strcasecmp(name, "licences") == 0;
}

static bool walk(struct collection *c, const char *folder, const char *to, enum depth depth,
                 struct error **err)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        const char *path = arena_printf(c->a, "%s/%s", folder, name);
        const char *below = arena_printf(c->a, "%s/%s", to, name);
        struct stat st;
        bool licences = is_folder_of_licences(name);
        if (ok && name[0] != '.' && lstat(path, &st) == 0) {
            if (S_ISREG(st.st_mode) && (depth == EVERYTHING || is_licence(name)))
                collect_file(c, below, path, NULL, 0);
            else if (S_ISDIR(st.st_mode) && (depth != HERE || licences))
                ok = walk(c, path, below, licences ? EVERYTHING : depth, err);
        }
        free(entries[i]);
    }
    free(entries);
    if (ok && c->count > BUNDLE_MAX_MEMBERS)
        return error_set(err, ERROR_INPUT, "%s holds more files than a bundle may have", folder);
    return ok;
}

bool collect_licences(struct collection *c, const char *folder, const char *to, bool deep,
                      struct error **err)
{
    return walk(c, folder, to, deep ? SEARCH : HERE, err);
}
