#include "base/path.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

static char *copy(const char *s, size_t n)
{
    char *p = strndup(s, n);
    if (!p)
        abort();
    return p;
}

char *path_join(const char *dir, const char *name)
{
    if (name[0] == '/' || !dir || !*dir)
        return copy(name, strlen(name));
    char *s = NULL;
    const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
    if (asprintf(&s, "%s%s%s", dir, slash, name) < 0)
        abort();
    return s;
}

char *path_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return copy(".", 1);
    while (slash > path && slash[-1] == '/')
        slash--;
    return slash == path ? copy("/", 1) : copy(path, (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_expand_home(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && path[1] == '/' && home)
        return path_join(home, path + 2);
    return copy(path, strlen(path));
}

char *path_absolute(const char *dir, const char *path)
{
    autofree char *joined = path_join(dir, path);
    char *real = realpath(joined, NULL);
    return real ? real : take_ptr(joined);
}

bool path_stays_inside(const char *path)
{
    if (!*path || *path == '/')
        return false;
    for (const char *p = path; *p; p++)
        if (iscntrl((unsigned char)*p) || *p == '\\')
            return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return false;
        p += n;
        while (*p == '/')
            p++;
    }
    return true;
}

bool path_is_clean_absolute(const char *path)
{
    if (path[0] != '/')
        return false;
    if (path[1] == '\0')
        return true;
    const char *p = path;
    while (*p) {
        p++;
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.'))
            return false;
        p += n;
    }
    return path_stays_inside(path + 1);
}

bool path_is_plain_name(const char *name)
{
    if (!isalnum((unsigned char)name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            return false;
    return strlen(name) <= NAME_MAX;
}
