/* Laying a tar over the image with the appliance's tar, which does not chroot: a link in the image
 * that leads to an absolute path would make it write into the appliance. So each entry's folder is
 * followed inside the guest first, and where that changes a name the tar is written anew. */
#include "disk/appliance_internal.h"

#include "base/file.h"
#include "base/path.h"
#include "disk/appliance_tar.h"
#include "disk/tar_reader.h"

#include <string.h>

struct folder {
    const char *path, *real; /* in the tar, in the image */
    bool fresh;              /* not in the image yet */
    bool link;               /* in the image a link to a folder: it stays, as does the folder */
    bool listed;
    struct guestfs_dirent_list *entries;
};

struct lay {
    struct appliance *a;
    struct arena *arena;
    struct folder **folders;
    size_t folder_count;
    const char **links; /* symbolic links that the tar itself brings */
    size_t link_count;
    struct tar_rename *renames;
    size_t count;
    bool renamed;
};

static struct folder *add_folder(struct lay *l, const char *path, const char *real, bool fresh)
{
    struct folder *f = arena_new_of(l->arena, struct folder);
    f->path = arena_strdup(l->arena, path);
    f->real = arena_strdup(l->arena, real);
    f->fresh = fresh;
    arena_append(l->arena, l->folders, l->folder_count, f);
    return f;
}

static struct folder *find_folder(const struct lay *l, const char *path)
{
    for (size_t i = l->folder_count; i > 0; i--) /* entries are sorted: the last ones are near */
        if (strcmp(l->folders[i - 1]->path, path) == 0)
            return l->folders[i - 1];
    return NULL;
}

/* What stands in folder f under this name: 'd', 'l', another letter for other things, 0 for
 * nothing, -1 on failure. */
static int look_up(struct lay *l, struct folder *f, const char *name, struct error **err)
{
    if (f->fresh)
        return 0;
    if (!f->listed) {
        f->entries = APPLIANCE_CALL(l->a, guestfs_readdir(l->a->g, f->real));
        if (!f->entries)
            return appliance_fail(l->a, err, ERROR_GUEST, "cannot list %s in the image", f->real),
                   -1;
        f->listed = true;
    }
    for (uint32_t i = 0; i < f->entries->len; i++) {
        if (strcmp(f->entries->val[i].name, name) != 0)
            continue;
        if (f->entries->val[i].ftyp != 'u')
            return f->entries->val[i].ftyp;
        autofree char *path = path_join(f->real, name);
        struct disk_stat st;
        bool found;
        if (!appliance_stat(l->a, path, false, &st, &found, err))
            return -1;
        return !found ? 0 : S_ISDIR(st.mode) ? 'd' : S_ISLNK(st.mode) ? 'l' : 'r';
    }
    return 0;
}

/* A folder behind a link of the image. */
static struct folder *follow(struct lay *l, const char *path, const char *link, struct error **err)
{
    autofree char *real = appliance_resolve(l->a, link, true, err);
    struct disk_stat st;
    bool found;
    if (!real || !appliance_stat(l->a, real, false, &st, &found, err))
        return NULL;
    if (!found || !S_ISDIR(st.mode))
        return error_set(err, ERROR_INPUT, "%s in the image is a link to what is no folder", path),
               NULL;
    struct folder *f = add_folder(l, path, real, false);
    f->link = true;
    return f;
}

static struct folder *resolve(struct lay *l, const char *path, struct error **err)
{
    struct folder *f = find_folder(l, path);
    if (f)
        return f;
    if (strcmp(path, "/") == 0)
        return add_folder(l, "/", "/", false);
    for (size_t i = 0; i < l->link_count; i++)
        if (strcmp(l->links[i], path) == 0)
            return error_set(err, ERROR_INPUT, "'%s' is a link, and something is to go below it",
                             path),
                   NULL;
    autofree char *above = path_dirname(path);
    struct folder *parent = resolve(l, above, err);
    if (!parent)
        return NULL;
    int type = look_up(l, parent, path_basename(path), err);
    if (type < 0)
        return NULL;
    autofree char *real = path_join(parent->real, path_basename(path));
    if (type == 'l')
        return follow(l, path, real, err);
    if (type != 0 && type != 'd')
        return error_set(err, ERROR_INPUT, "%s is a file in the guest and no folder", path), NULL;
    return add_folder(l, path, real, type != 'd');
}

/* Where something that is no folder goes; makes room for it. */
static const char *place(struct lay *l, const char *path, bool make_room, struct error **err)
{
    autofree char *above = path_dirname(path);
    struct folder *parent = resolve(l, above, err);
    if (!parent)
        return NULL;
    autofree char *real = path_join(parent->real, path_basename(path));
    int type = make_room ? look_up(l, parent, path_basename(path), err) : 0;
    if (type < 0)
        return NULL;
    /* tar(1) replaces an empty folder too. */
    if (type == 'd' && APPLIANCE_CALL(l->a, guestfs_rmdir(l->a->g, real)) < 0)
        return appliance_fail(l->a, err, ERROR_INPUT, "a file or link cannot replace the folder %s",
                              real),
               NULL;
    return arena_strdup(l->arena, real);
}

static bool take_entry(struct lay *l, const struct tar_entry *e, struct error **err)
{
    struct tar_rename r = {0};
    if (e->type == TAR_FOLDER) {
        struct folder *f = resolve(l, e->path, err);
        if (!f)
            return false;
        r.path = f->real;
        r.omit = f->link;
    } else {
        r.path = place(l, e->path, true, err);
    }
    if (r.path && e->type == TAR_HARDLINK && !(r.link = place(l, e->link, false, err)))
        return false;
    if (!r.path)
        return false;
    if (e->type == TAR_SYMLINK) {
        const char *copy = arena_strdup(l->arena, e->path);
        arena_append(l->arena, l->links, l->link_count, copy);
    }
    l->renamed |=
        r.omit || strcmp(r.path, e->path) != 0 || (r.link && strcmp(r.link, e->link) != 0);
    arena_append(l->arena, l->renames, l->count, r);
    return true;
}

static bool take_entries(struct lay *l, const char *tar_path, struct error **err)
{
    struct tar_reader *opened = NULL;
    if (!tar_open(tar_path, &opened, err))
        return false;
    autotar struct tar_reader *t = opened;
    const struct tar_entry *e = NULL;
    for (;;) {
        if (!tar_next(t, &e, err))
            return false;
        if (!e)
            return true;
        if (!take_entry(l, e, err))
            return false;
    }
}

static bool extract(struct appliance *a, const char *tar_path, struct error **err)
{
    if (APPLIANCE_CALL(
            a, guestfs_tar_in_opts(a->g, tar_path, "/", GUESTFS_TAR_IN_OPTS_XATTRS, 1, -1)) < 0)
        return appliance_fail(a, err, ERROR_GUEST, "cannot write the files into the image");
    return true;
}

static bool lay_all(struct lay *l, const char *tar_path, struct error **err)
{
    if (!take_entries(l, tar_path, err))
        return false;
    if (!l->renamed)
        return extract(l->a, tar_path, err);
    autofree char *above = path_dirname(tar_path);
    autotempdir char *folder = NULL;
    if (!file_temp_dir(above, ".lay-", &folder, err))
        return false;
    autofree char *other = path_join(folder, "renamed.tar");
    return tar_write_renamed(tar_path, l->renames, l->count, other, err) &&
           extract(l->a, other, err);
}

bool appliance_lay(struct disk *d, const char *tar_path, struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct lay l = {.a = (struct appliance *)d, .arena = arena};
    bool ok = lay_all(&l, tar_path, err);
    for (size_t i = 0; i < l.folder_count; i++)
        guestfs_free_dirent_list(l.folders[i]->entries);
    return ok;
}
