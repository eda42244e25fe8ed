/* Trees of local files: what inputs.h says of links, names and limits. */
#include "inputs/inputs.h"
#include "inputs/internal.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

struct walk {
    struct inputs *in;
    struct arena *arena;
    const char *root;
    struct input_member *members;
    size_t count;
    /* The folders that we are in, to find one that contains itself. */
    struct {
        dev_t device;
        ino_t inode;
    } above[INPUTS_MAX_DEPTH + 1];
    unsigned depth;
};

static void cleanup_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

bool inputs_is_good_name(const char *name)
{
    const unsigned char *p = (const unsigned char *)name;
    while (*p) {
        unsigned more = *p < 0x80 ? 0 : *p < 0xc2 ? 9 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        if (more == 9 || *p > 0xf4 || *p < 0x20 || *p == 0x7f)
            return false;
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
            (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
            return false;
        for (p++; more; more--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* True if a link at NAME (relative to the tree) with this relative target stays in the tree. */
static bool link_stays_inside(const char *name, const char *target)
{
    long depth = 0;
    for (const char *p = name; *p; p++)
        depth += *p == '/';
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            depth--;
        else if (n && !(n == 1 && p[0] == '.'))
            depth++;
        if (depth < 0)
            return false;
        p += n;
        p += *p == '/';
    }
    return true;
}

static bool add(struct walk *w, const struct input_member *m, struct error **err)
{
    if (w->count == INPUTS_MAX_MEMBERS)
        return error_set(err, ERROR_INPUT, "%s: more than %d files; is this the right folder?",
                         w->root, INPUTS_MAX_MEMBERS);
    arena_append(w->arena, w->members, w->count, *m);
    return true;
}

static bool walk_folder(struct walk *w, const char *name, const struct stat *st,
                        struct error **err);

static bool walk_link(struct walk *w, const char *path, const char *name, bool *followed,
                      struct error **err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    target[n] = '\0';
    *followed =
        strcmp(target, "/dev/null") != 0 && (target[0] == '/' || !link_stays_inside(name, target));
    if (*followed)
        return true;
    if (!inputs_is_good_name(target))
        return error_set(err, ERROR_INPUT,
                         "%s: the link's target has control characters or is not UTF-8", path);
    struct input_member m = {.kind = INPUT_LINK,
                             .name = arena_strdup(w->arena, name),
                             .target = arena_strdup(w->arena, target),
                             .mode = 0777};
    return add(w, &m, err);
}

static bool walk_one(struct walk *w, const char *name, struct error **err)
{
    autofree char *path = path_join(w->root, name);
    if (!inputs_is_good_name(path_basename(name)))
        return error_set(err, ERROR_INPUT,
                         "%s: the name has control characters or is not UTF-8; rename it", path);
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (S_ISLNK(st.st_mode)) {
        bool followed;
        if (!walk_link(w, path, name, &followed, err))
            return false;
        if (!followed)
            return true;
        if (stat(path, &st) < 0)
            return error_set(err, ERROR_INPUT,
                             "%s: is a link that leads out of the folder and points nowhere (%s); "
                             "for a link in the guest write a relative one that stays inside",
                             path, strerror(errno));
    }
    struct input_member m = {.name = arena_strdup(w->arena, name), .mode = st.st_mode & 07777};
    if (S_ISDIR(st.st_mode)) {
        m.kind = INPUT_DIRECTORY;
        return add(w, &m, err) && walk_folder(w, m.name, &st, err);
    }
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT,
                         "%s: is a device, pipe or socket; only files, folders and links can be "
                         "put into a guest",
                         path);
    m.kind = INPUT_FILE;
    return inputs_file(w->in, path, &m.file, err) && add(w, &m, err);
}

static bool walk_folder(struct walk *w, const char *name, const struct stat *st, struct error **err)
{
    autofree char *path = *name ? path_join(w->root, name) : strdup(w->root);
    if (!path)
        abort();
    if (interrupted())
        return interrupt_error(err);
    if (w->depth > INPUTS_MAX_DEPTH)
        return error_set(err, ERROR_INPUT, "%s: more than %d folders deep", path, INPUTS_MAX_DEPTH);
    for (unsigned i = 0; i < w->depth; i++)
        if (w->above[i].device == st->st_dev && w->above[i].inode == st->st_ino)
            return error_set(err, ERROR_INPUT, "%s: is a link to a folder that it lies in", path);
    w->above[w->depth].device = st->st_dev;
    w->above[w->depth].inode = st->st_ino;
    w->depth++;

    cleanup(cleanup_dir) DIR *dir = opendir(path);
    if (!dir)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    struct dirent *d;
    while ((errno = 0, d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        autofree char *child = path_join(name, d->d_name);
        if (!walk_one(w, child, err))
            return false;
    }
    if (errno)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    w->depth--;
    return true;
}

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct input_member *)a)->name, ((const struct input_member *)b)->name);
}

bool inputs_tree(struct inputs *in, const char *path, const struct input_tree **out,
                 struct error **err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERROR_INPUT, "%s: is not a folder", path);
    struct arena *a = inputs_arena(in);
    struct walk w = {.in = in, .arena = a, .root = arena_strdup(a, path)};
    if (!walk_folder(&w, "", &st, err))
        return false;
    if (w.count)
        qsort(w.members, w.count, sizeof *w.members, compare_members);
    struct input_tree *t = arena_new_of(a, struct input_tree);
    t->path = w.root;
    t->members = w.members;
    t->count = w.count;
    *out = t;
    return true;
}
