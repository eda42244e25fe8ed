#include "bake/seal.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "disk/fat.h"
#include "plan/seal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const char *const old_logs[] = {"*.gz", "*.xz", "*.zst", "*.old", "*.[0-9]", "*.[0-9][0-9]"};

struct seal {
    const struct seal_options *options;
    struct disk *disk;
    const struct disk_writer *w;
    struct arena *arena;
    const char **done;
    size_t count;
    bool assert_only;
};

static bool still_there(struct error **err, const char *path, const char *why)
{
    return error_set(err, ERROR_GUEST, "%s is in the image and must not be: %s", path, why);
}

static void note(struct seal *s, const char *path)
{
    const char *copy = arena_strdup(s->arena, path);
    arena_append(s->arena, s->done, s->count, copy);
}

static bool take_away(struct seal *s, const char *path, struct error **err)
{
    if (s->assert_only)
        return still_there(err, path, "it belongs to one machine");
    if (!s->w->remove(s->disk, path, err))
        return false;
    note(s, path);
    return true;
}

static bool empty(struct seal *s, const char *path, const struct disk_stat *st, struct error **err)
{
    if (!S_ISREG(st->mode) || st->size == 0)
        return true;
    if (s->assert_only)
        return still_there(err, path, "it should be empty");
    if (!s->w->truncate(s->disk, path, err))
        return false;
    note(s, path);
    return true;
}

static bool clear(struct seal *s, const char *path, struct error **err)
{
    autonames char **names = NULL;
    if (!s->w->list(s->disk, path, &names, err))
        return false;
    for (size_t i = 0; names[i]; i++) {
        autofree char *child = path_join(path, names[i]);
        if (!take_away(s, child, err))
            return false;
    }
    return true;
}

static bool is_old_log(const char *name)
{
    for (size_t i = 0; i < COUNT(old_logs); i++)
        if (fnmatch(old_logs[i], name, 0) == 0)
            return true;
    return false;
}

static bool empty_logs(struct seal *s, const char *path, unsigned depth, struct error **err)
{
    autonames char **names = NULL;
    if (!s->w->list(s->disk, path, &names, err))
        return false;
    for (size_t i = 0; names[i]; i++) {
        autofree char *child = path_join(path, names[i]);
        struct disk_stat st;
        bool found, ok = true;
        if (!s->w->stat(s->disk, child, false, &st, &found, err))
            return false;
        if (found && S_ISDIR(st.mode))
            ok = depth < 16 ? empty_logs(s, child, depth + 1, err) : take_away(s, child, err);
        else if (found && S_ISREG(st.mode))
            ok = is_old_log(names[i]) ? take_away(s, child, err) : empty(s, child, &st, err);
        if (!ok)
            return false;
    }
    return true;
}

/* A path on an EFI system partition, which only the appliance can write: true where nothing is
 * there, so that nothing has to be taken away; else ERROR_UNSUPPORTED, for the appliance to be
 * used. */
static bool nothing_on_fat(struct seal *s, const char *path, struct error **err)
{
    const struct facts *f = s->options->facts;
    for (size_t i = f ? f->mount_count : 0; i-- > 0;) {
        const struct fact_mount *m = &f->mounts[i];
        size_t n = strlen(m->mountpoint);
        if (strcmp(m->type, "vfat") != 0 || strncmp(path, m->mountpoint, n) != 0 || path[n] != '/')
            continue;
        bool found;
        if (!fat_has(s->options->raw, m->offset, path + n, &found, err))
            return false;
        return !found || error_set(err, ERROR_UNSUPPORTED, "%s is on a FAT file system", path);
    }
    return error_set(err, ERROR_UNSUPPORTED, "%s is on a file system that cannot be read here",
                     path);
}

static bool act(struct seal *s, enum seal_action action, const char *path, struct error **err)
{
    struct disk_stat st;
    bool found;
    bool follow = action != SEAL_REMOVE && action != SEAL_REMOVE_FILE;
    autoerror struct error *why = NULL;
    if (!s->w->stat(s->disk, path, follow, &st, &found, &why)) {
        if (error_kind(why) == ERROR_UNSUPPORTED && s->options->raw)
            return nothing_on_fat(s, path, err);
        *err = take_ptr(why);
        return false;
    }
    if (!found)
        return true;
    switch (action) {
    case SEAL_REMOVE:
        return take_away(s, path, err);
    case SEAL_REMOVE_FILE:
        return !S_ISREG(st.mode) || take_away(s, path, err);
    case SEAL_EMPTY:
        return empty(s, path, &st, err);
    case SEAL_CLEAR:
        return !S_ISDIR(st.mode) || clear(s, path, err);
    case SEAL_LOGS:
        return !S_ISDIR(st.mode) || empty_logs(s, path, 0, err);
    }
    return true;
}

/* Goes down the pattern component by component; only those with wildcards are listed. */
static bool expand(struct seal *s, enum seal_action action, const char *folder, const char *pattern,
                   struct error **err)
{
    size_t n = strcspn(pattern, "/");
    const char *rest = pattern[n] ? pattern + n + 1 : NULL;
    autofree char *name = strndup(pattern, n);
    if (!name)
        abort();
    if (!strpbrk(name, "*?[")) {
        autofree char *path = path_join(folder, name);
        return rest ? expand(s, action, path, rest, err) : act(s, action, path, err);
    }
    autonames char **names = NULL;
    if (!s->w->list(s->disk, folder, &names, err))
        return false;
    for (size_t i = 0; names[i]; i++) {
        if (fnmatch(name, names[i], 0) != 0)
            continue;
        autofree char *path = path_join(folder, names[i]);
        if (!(rest ? expand(s, action, path, rest, err) : act(s, action, path, err)))
            return false;
    }
    return true;
}

static bool go_through(struct seal *s, struct error **err)
{
    for (size_t i = 0; i < seal_item_count; i++)
        if (!expand(s, seal_items[i].action, "/", seal_items[i].path + 1, err))
            return false;
    return true;
}

/* Without the file systemd takes the first boot for a factory reset and presets every unit; the
 * empty file means "make an id, keep the rest" (machine-id(5)). */
static bool make_machine_id(struct seal *s, const struct seal_options *o, struct error **err)
{
    struct disk_stat st;
    bool found;
    if (!s->w->stat(s->disk, "/etc/machine-id", false, &st, &found, err))
        return false;
    if (found)
        return true;
    /* One empty file as a ustar archive (POSIX.1 pax): header, two blocks of zeros. */
    unsigned char tar[3 * 512] = {0};
    char *h = (char *)tar;
    memcpy(h, "etc/machine-id", 14);
    memcpy(h + 100,
           "0000444\0"
           "0000000\0"
           "0000000\0"
           "00000000000",
           36);
    snprintf(h + 136, 12, "%011llo", (unsigned long long)o->epoch & 077777777777ULL);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += tar[i];
    snprintf(h + 148, 8, "%06o", sum);
    autotempdir char *folder = NULL;
    if (!file_temp_dir(o->tmp, ".seal-", &folder, err))
        return false;
    autofree char *path = path_join(folder, "machine-id.tar");
    return file_write(path, tar, sizeof tar, 0600, err) && s->w->lay(s->disk, path, err);
}

bool bake_seal(struct disk *d, const struct seal_options *o, struct arena *a,
               const char *const **removed, struct error **err)
{
    struct seal s = {.options = o, .disk = d, .w = d->writer, .arena = a};
    if (!go_through(&s, err) || (o->init == INIT_SYSTEMD && !make_machine_id(&s, o, err)))
        return false;
    const char *end = NULL;
    arena_append(a, s.done, s.count, end);
    *removed = s.done;
    return true;
}

static bool assert_never(struct seal *s, const char *const *paths, struct error **err)
{
    for (size_t i = 0; paths && paths[i]; i++) {
        struct disk_stat st;
        bool found;
        if (!s->w->stat(s->disk, paths[i], false, &st, &found, err))
            return false;
        if (found)
            return still_there(err, paths[i],
                               "the distribution makes it new on each machine; find what put it "
                               "there (a 'run:' command that started the distribution?)");
    }
    return true;
}

bool bake_seal_assert(struct disk *d, const struct seal_options *o, struct error **err)
{
    struct seal s = {.options = o, .disk = d, .w = d->writer, .assert_only = true};
    return go_through(&s, err) && assert_never(&s, o->never_baked, err);
}
