/* Artifacts of a bundle into a storage pool of libvirt. */
#include "boot/artifact.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "boot/virt_pool.h"
#include "bundle/import.h"
#include "contract/contract.h"

#include <errno.h>
#include <string.h>

#define MAX_CONTRACT ((size_t)4 << 20)

/* A disk of the bundle and its volume. */
struct disk {
    const struct bundle_member *member;
    const char *title, *file; /* member is title/file */
    const char *volume;       /* its name in the pool */
    const char *marker;       /* stands while the volume is not whole */
    const char *path;         /* of the volume, as the host sees it */
    bool there;
};

struct upload {
    struct pool *pool;
    struct arena *a;
    const char *folder;
    struct disk *disks;
    size_t count;
    struct disk *current;
};

static bool add_disks(struct upload *u, struct bundle_reader *r, const char *title,
                      struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    const struct contract *c;
    autojson json_t *j = NULL;
    autofree char *text = NULL;
    const char *image = arena_printf(u->a, "%s/image.json", title);
    if (!bundle_text(r, image, MAX_CONTRACT, &text, err) ||
        !json_parse(text, strlen(text), image, &j, err) ||
        !contract_from_json(u->a, j, image, &c, err))
        return false;
    for (size_t i = 0; i < c->file_count; i++) {
        const struct contract_file *f = &c->files[i];
        if (strcmp(f->role, "disk") != 0)
            continue;
        struct disk d = {.title = title, .file = f->name};
        d.member = bundle_find(b, arena_printf(u->a, "%s/%s", title, f->name));
        if (!d.member || strcmp(d.member->sha256, f->sha256) != 0 || d.member->size != f->bytes)
            return error_set(err, ERROR_TRUST, "'%s' and the bundle's manifest differ about %s",
                             image, f->name);
        d.volume = arena_printf(u->a, "%s-%.12s.%s", title, f->sha256, f->format);
        d.marker = arena_printf(u->a, "%s/.upload-%s-%s", u->folder, pool_name(u->pool), d.volume);
        arena_append(u->a, u->disks, u->count, d);
    }
    return true;
}

/* A volume that an interrupted import has left goes; a whole one is used. */
static bool look(struct upload *u, struct disk *d, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    if (!pool_find(u->pool, u->a, d->volume, &d->path, err))
        return false;
    if (!d->path)
        return true;
    if (access(d->marker, F_OK) == 0)
        return pool_delete(u->pool, d->volume, err);
    progress_step("check the volume %s", d->volume);
    if (!pool_digest(u->pool, d->volume, d->member->size, hex, err))
        return false;
    d->there = strcmp(hex, d->member->sha256) == 0;
    return d->there ||
           error_set(
               err, ERROR_CONFLICT,
               "the pool '%s' has a volume '%s' with other contents: `virsh vol-delete --pool "
               "%s %s` removes it",
               pool_name(u->pool), d->volume, pool_name(u->pool), d->volume);
}

static bool check_space(struct upload *u, struct error **err)
{
    uint64_t needed = 0, has;
    char size[16], left[16];
    for (size_t i = 0; i < u->count; i++)
        needed += u->disks[i].there ? 0 : u->disks[i].member->size;
    if (!pool_space(u->pool, &has, err))
        return false;
    if (needed)
        log_info("needs %s in the pool '%s'", units_format_size(needed, size), pool_name(u->pool));
    return needed <= has ||
           error_set(err, ERROR_SPACE, "the disks need %s in the pool '%s', where %s are free",
                     units_format_size(needed, size), pool_name(u->pool),
                     units_format_size(has, left));
}

/* --- as the sink of an import -------------------------------------------------------------------
 */

static struct disk *disk_of(struct upload *u, const struct bundle_member *m)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->disks[i].member == m)
            return &u->disks[i];
    return NULL;
}

static bool is_disk(void *data, const struct bundle_member *m)
{
    return disk_of(data, m) != NULL;
}

static bool begin(void *data, const struct bundle_member *m, bool *take, struct error **err)
{
    struct upload *u = data;
    struct disk *d = disk_of(u, m);
    u->current = NULL;
    if (!d)
        return true;
    *take = !d->there;
    if (d->there)
        return true;
    if (!file_write(d->marker, "", 0, 0600, err))
        return false;
    if (!pool_upload(u->pool, d->volume, m->size, err)) {
        (void)unlink(d->marker);
        return false;
    }
    u->current = d; /* from here on a failure takes the volume away */
    return true;
}

static bool add(void *data, const void *bytes, size_t size, struct error **err)
{
    struct upload *u = data;
    return !u->current || pool_send(u->pool, bytes, size, err);
}

static bool end(void *data, const struct bundle_member *m, struct error **err)
{
    struct upload *u = data;
    struct disk *d = u->current;
    (void)m;
    if (!d)
        return true;
    if (!pool_finish(u->pool, err) || !pool_find(u->pool, u->a, d->volume, &d->path, err))
        return false;
    if (!d->path)
        return error_set(err, ERROR_HOST, "the volume %s is gone", d->volume);
    u->current = NULL;
    (void)unlink(d->marker);
    return true;
}

/* The artifact's disk is a link to the volume. */
static bool link_disks(void *data, const char *stage, struct error **err)
{
    struct upload *u = data;
    for (size_t i = 0; i < u->count; i++) {
        const struct disk *d = &u->disks[i];
        autofree char *to = path_join(stage, d->member->path), *above = path_dirname(to);
        if (access(above, F_OK) != 0)
            continue; /* its folder is published already */
        (void)unlink(to);
        if (symlink(d->path, to) < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot make the link %s", to);
    }
    return true;
}

/* A volume that was deleted and is there again may have another path. */
static bool mend_links(struct upload *u, struct error **err)
{
    for (size_t i = 0; i < u->count; i++) {
        const struct disk *d = &u->disks[i];
        autofree char *link = path_join(u->folder, d->member->path), *real = realpath(link, NULL);
        autofree char *volume = realpath(d->path, NULL);
        if (real && volume && strcmp(real, volume) == 0)
            continue;
        autofree char *other = NULL;
        if (asprintf(&other, "%s.new", link) < 0)
            abort();
        (void)unlink(other);
        if (symlink(d->path, other) < 0 || rename(other, link) < 0)
            return error_errno(err, ERROR_HOST, errno, "cannot make the link %s", link);
    }
    return true;
}

static void tell(const struct upload *u, json_t *volumes)
{
    for (size_t i = 0; i < u->count; i++) {
        const struct disk *d = &u->disks[i];
        json_t *one = json_object();
        json_set_string(one, "title", d->title);
        json_set_string(one, "pool", pool_name(u->pool));
        json_set_string(one, "volume", d->volume);
        json_set_string(one, "path", d->path);
        json_set_bool(one, "created", !d->there);
        json_array_append_new(volumes, one);
    }
}

static bool transfer(struct upload *u, struct bundle_reader *r, struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    const struct bundle_sink nothing = {0}, disks = {begin, add, end, u};
    const struct bundle_import o = {.folder = u->folder,
                                    .tops = b->names,
                                    .names = b->names,
                                    .is_other = is_disk,
                                    .other = &disks,
                                    .before_publish = link_disks,
                                    .data = u};
    progress_step("check the bundle");
    if (!bundle_read(r, &nothing, err))
        return false;
    if (bundle_import(r, &o, NULL, err))
        return mend_links(u, err);
    /* What was being uploaded is no disk. */
    autoerror struct error *why = NULL;
    pool_abandon(u->pool);
    if (u->current && !pool_delete(u->pool, u->current->volume, &why))
        log_warning("%s", error_text(why));
    else if (u->current)
        (void)unlink(u->current->marker);
    return false;
}

bool artifact_to_pool(struct virt *v, struct bundle_reader *r, const char *pool, const char *folder,
                      json_t *volumes, struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    autoarena struct arena *a = arena_new();
    autopool struct pool *p = NULL;
    struct upload u = {.a = a, .folder = folder};
    if (b->kind != BUNDLE_ARTIFACTS)
        return error_set(err, ERROR_INPUT,
                         "this is a bundle for rebuilding: `ingot bundle import` takes it");
    if (!pool_open(v, pool, &p, err))
        return false;
    u.pool = p;
    if (!file_make_dirs(folder, virt_is_session(v) ? 0700 : 0711, err))
        return false;
    /* A marker of an import that still goes on must not be taken for a leftover. */
    autofree char *file = path_join(folder, ".upload.lock");
    autoclose int lock = file_lock(file, true, true, "another import into a pool goes on", err);
    if (lock < 0)
        return false;
    for (const char *const *n = b->names; *n; n++)
        if (!add_disks(&u, r, *n, err))
            return false;
    for (size_t i = 0; i < u.count; i++)
        if (!look(&u, &u.disks[i], err))
            return false;
    if (!check_space(&u, err) || !transfer(&u, r, err))
        return false;
    tell(&u, volumes);
    return true;
}
