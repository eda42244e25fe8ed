#include "payload/unpack.h"

#include "base/interrupt.h"
#include "base/log.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK ((size_t)1 << 18)

/* A set of paths; the strings live elsewhere. */
struct set {
    void *tree;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool set_has(const struct set *s, const char *path)
{
    return tfind(path, &s->tree, compare_paths) != NULL;
}

static void set_add(struct set *s, const char *path)
{
    if (!tsearch(path, &s->tree, compare_paths))
        abort();
}

static void keep(void *p)
{
    (void)p;
}

struct unpack {
    const struct plan *plan;
    const struct plan_entry *entry;
    const char *name; /* of the archive */
    struct arena *arena;
    struct archive *archive;
    struct tar_out *out;
    struct set links, files, folders, parents;
    bool *seen; /* for each selected member */
    size_t members;
    uint64_t bytes, max_bytes;
    char *chunk;
};

static void cleanup_unpack(struct unpack *u)
{
    archive_read_free(u->archive);
    struct set *sets[] = {&u->links, &u->files, &u->folders, &u->parents};
    for (size_t i = 0; i < COUNT(sets); i++)
        tdestroy(sets[i]->tree, keep);
    arena_free(u->arena);
    free(u->seen);
    free(u->chunk);
}

const struct plan_entry *plan_entry_at(const struct plan *p, const char *path)
{
    size_t low = 0, high = p->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(p->entries[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    /* Of one path the archives stand last. */
    bool found = low < p->entry_count && p->entries[low].kind != ENTRY_ARCHIVE &&
                 strcmp(p->entries[low].path, path) == 0;
    return found ? &p->entries[low] : NULL;
}

/* Folders whose mode is not 0755 everywhere, and the root: one that nobody gave a mode is not worth
 * changing them. */
static const char *const own_mode[] = {"/",       "/root",       "/tmp",  "/var/tmp", "/run",
                                       "/proc",   "/sys",        "/dev",  "/var/log", "/home",
                                       "/home/*", "/lost+found", "/boot", "/boot/*"};

bool folder_has_own_mode(const char *path)
{
    for (size_t i = 0; i < COUNT(own_mode); i++)
        if (fnmatch(own_mode[i], path, FNM_PATHNAME) == 0)
            return true;
    return false;
}

/* --- names --------------------------------------------------------------------------------------
 */

/* "./a//b/" becomes "a/b" in the arena; "" for the top. NULL for what leaves it. */
static char *clean_name(struct arena *a, const char *name)
{
    char *out = arena_alloc(a, strlen(name) + 1);
    size_t used = 0;
    if (*name == '/')
        return NULL;
    while (*name) {
        size_t n = strcspn(name, "/");
        if (n > NAME_MAX || (n == 2 && memcmp(name, "..", 2) == 0))
            return NULL;
        if (n > 0 && !(n == 1 && *name == '.')) {
            if (used)
                out[used++] = '/';
            memcpy(out + used, name, n);
            used += n;
        }
        name += n + (name[n] == '/');
    }
    out[used] = '\0';
    return used < PATH_MAX ? out : NULL;
}

static const char *guest_path(struct unpack *u, const char *clean)
{
    const char *to = strcmp(u->entry->path, "/") == 0 ? "" : u->entry->path;
    const char *path = arena_printf(u->arena, "%s/%s", to, clean);
    return plan_guest_path(u->arena, u->plan->facts, path);
}

/* True if a link at the member `name` with this target stays in the archive's folder. */
static bool link_stays(const struct unpack *u, const char *name, const char *target)
{
    if (*target == '/') { /* absolute in the guest: inside where that is below the folder */
        const char *to = u->entry->path;
        size_t n = strcmp(to, "/") == 0 ? 0 : strlen(to);
        if (strncmp(target, to, n) != 0 || target[n] != '/')
            return false;
        name = "";
        target += n + 1;
    }
    long depth = 0;
    for (const char *p = name; *p; p++)
        depth += *p == '/';
    while (*target) {
        size_t n = strcspn(target, "/");
        if (n == 2 && memcmp(target, "..", 2) == 0)
            depth--;
        else if (n && !(n == 1 && *target == '.'))
            depth++;
        if (depth < 0)
            return false;
        target += n + (target[n] == '/');
    }
    return true;
}

/* Which selected name covers a member: equal, or a folder above it. */
static bool is_selected(struct unpack *u, const char *clean)
{
    if (!u->entry->members)
        return true;
    bool found = false;
    for (size_t i = 0; u->entry->members[i]; i++) {
        const char *m = u->entry->members[i];
        while (strncmp(m, "./", 2) == 0)
            m += 2;
        size_t n = strlen(m);
        while (n && m[n - 1] == '/')
            n--;
        if (strncmp(m, clean, n) == 0 && (clean[n] == '\0' || clean[n] == '/'))
            found = u->seen[i] = true;
    }
    return found;
}

static bool may_be_setuid(struct unpack *u, const char *path)
{
    const struct text_list *allowed = &u->plan->recipe->setuid;
    for (size_t i = 0; i < allowed->count; i++)
        if (strcmp(plan_guest_path(u->arena, u->plan->facts, allowed->items[i].text), path) == 0)
            return true;
    return false;
}

static bool refuse(const struct unpack *u, const char *member, struct error **err, const char *why)
{
    return error_set(err, ERROR_INPUT, "%s: member '%s' %s", u->name, member, why);
}

/* --- what else the plan has there
 * ----------------------------------------------------------------- */

/* Parents of a member must be folders for the archive and for the plan; they are noted. */
static bool check_parents(struct unpack *u, const char *member, const char *path,
                          struct error **err)
{
    char *above = arena_strdup(u->arena, path);
    for (char *slash; (slash = strrchr(above, '/')) != NULL && slash > above;) {
        *slash = '\0';
        const struct plan_entry *e = plan_entry_at(u->plan, above);
        if (e && (e->kind == ENTRY_FILE || e->kind == ENTRY_LINK))
            return error_set(err, ERROR_INPUT,
                             "%s: member '%s' needs the folder %s, which is a %s by %s", u->name,
                             member, above, e->kind == ENTRY_FILE ? "file" : "link", e->origin);
        if (set_has(&u->links, above) || set_has(&u->files, above))
            return refuse(u, member, err, "lies below a link or file of the same archive");
        if (set_has(&u->parents, above))
            return true;
        set_add(&u->parents, arena_strdup(u->arena, above));
    }
    return true;
}

/* True in *skip where the plan itself says what stands at the path. */
static bool check_place(struct unpack *u, const char *member, const char *path, bool is_folder,
                        bool *skip, struct error **err)
{
    const struct plan_entry *e = plan_entry_at(u->plan, path);
    *skip = false;
    if (e && is_folder != (e->kind == ENTRY_DIRECTORY) && e->kind != ENTRY_ABSENT)
        return error_set(err, ERROR_INPUT, "%s: member '%s' is a %s, %s is a %s by %s", u->name,
                         member, is_folder ? "folder" : "file or link", path,
                         is_folder ? "file or link" : "folder", e->origin);
    if (e) {
        log_debug("%s: %s takes the place of the member %s of %s", path, e->origin, member,
                  u->name);
        *skip = true;
    }
    if (!is_folder && set_has(&u->parents, path))
        return refuse(u, member, err, "is a file or link where other members need a folder");
    return true;
}

/* --- members ------------------------------------------------------------------------------------
 */

static bool damaged(struct unpack *u, struct error **err)
{
    const char *why = archive_error_string(u->archive);
    return error_set(err, ERROR_INPUT, "%s: is damaged or no such archive: %s", u->name,
                     why ? why : "it cannot be read");
}

static bool copy_data(struct unpack *u, const char *member, uint64_t size, struct error **err)
{
    uint64_t done = 0;
    while (done < size) {
        if (interrupted())
            return interrupt_error(err);
        size_t want = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        la_ssize_t n = archive_read_data(u->archive, u->chunk, want);
        if (n < 0)
            return damaged(u, err);
        if (n == 0)
            return refuse(u, member, err, "is shorter than the archive says");
        if (!tar_out_data(u->out, u->chunk, (size_t)n, err))
            return false;
        done += (uint64_t)n;
    }
    return true;
}

static bool add_file(struct unpack *u, struct archive_entry *e, const char *member,
                     const char *path, struct error **err)
{
    mode_t mode = u->entry->mode ? u->entry->mode : archive_entry_perm(e) & 07777;
    if (archive_entry_is_encrypted(e))
        return refuse(u, member, err, "is encrypted");
    if (!archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
        return refuse(u, member, err, "does not say its size");
    if ((mode & (S_ISUID | S_ISGID)) && !may_be_setuid(u, path))
        return refuse(u, member, err,
                      "is set-uid or set-gid; if that is meant, name its guest path under setuid: "
                      "in the recipe");
    uint64_t size = (uint64_t)archive_entry_size(e);
    if (size > u->max_bytes - u->bytes)
        return error_set(err, ERROR_INPUT,
                         "%s: grows to more than %d times its size: is it a decompression bomb?",
                         u->name, UNPACK_MAX_RATIO);
    u->bytes += size;
    set_add(&u->files, path);
    return tar_out_file(u->out, path, mode & ~(mode_t)S_ISVTX, 0, 0, size, err) &&
           copy_data(u, member, size, err);
}

static bool add_link(struct unpack *u, struct archive_entry *e, const char *clean, const char *path,
                     struct error **err)
{
    const char *target = archive_entry_symlink(e);
    if (!target || !*target || strlen(target) >= PATH_MAX || !inputs_is_good_name(target))
        return refuse(u, clean, err, "is a link whose target is no path");
    if (!link_stays(u, clean, target))
        return error_set(err, ERROR_INPUT, "%s: member '%s' is a link to %s, outside of %s",
                         u->name, clean, target, u->entry->path);
    set_add(&u->links, path);
    return tar_out_link(u->out, path, target, err);
}

static bool add_hardlink(struct unpack *u, struct archive_entry *e, const char *member,
                         const char *path, struct error **err)
{
    char *clean = clean_name(u->arena, archive_entry_hardlink(e));
    if (!clean)
        return refuse(u, member, err, "is a hard link that leads outside");
    const char *target = guest_path(u, clean);
    if (!set_has(&u->files, target))
        return refuse(u, member, err, "is a hard link to what is no file in front of it");
    set_add(&u->files, path);
    return tar_out_hardlink(u->out, path, target, err);
}

static bool add_member(struct unpack *u, struct archive_entry *e, struct error **err)
{
    const char *given = archive_entry_pathname(e);
    if (!given || !inputs_is_good_name(given))
        return refuse(u, given && inputs_is_good_name(given) ? given : "?", err,
                      "has a name with control characters or that is not UTF-8");
    char *clean = clean_name(u->arena, given);
    if (!clean)
        return refuse(u, given, err, "leads outside (an absolute name, `..`, or too long)");
    bool folder = archive_entry_filetype(e) == AE_IFDIR;
    if (!*clean || !is_selected(u, clean))
        return true;
    const char *path = guest_path(u, clean);
    bool skip;
    if (!check_parents(u, clean, path, err) || !check_place(u, clean, path, folder, &skip, err))
        return false;
    if (skip)
        return true;
    if (archive_entry_hardlink(e))
        return add_hardlink(u, e, clean, path, err);
    if (folder) {
        if (set_has(&u->links, path) || set_has(&u->files, path))
            return refuse(u, clean, err, "is a folder where another member is a file or link");
        set_add(&u->folders, path);
        return true;
    }
    if (archive_entry_filetype(e) == AE_IFLNK)
        return add_link(u, e, clean, path, err);
    if (archive_entry_filetype(e) != AE_IFREG)
        return refuse(u, clean, err, "is a device, pipe or socket");
    return add_file(u, e, clean, path, err);
}

static void write_folder(const void *node, VISIT visit, void *data)
{
    struct {
        struct unpack *u;
        struct error **err;
        bool ok;
    } *state = data;
    const char *path = *(const char *const *)node;
    if ((visit != postorder && visit != leaf) || !state->ok || set_has(&state->u->parents, path) ||
        folder_has_own_mode(path))
        return;
    state->ok = tar_out_folder(state->u->out, path, 0755, 0, 0, state->err);
}

/* Folders with nothing below them, sorted; the others are made by what they hold. */
static bool write_folders(struct unpack *u, struct error **err)
{
    struct {
        struct unpack *u;
        struct error **err;
        bool ok;
    } state = {u, err, true};
    twalk_r(u->folders.tree, write_folder, &state);
    return state.ok;
}

/* --- archives -----------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    int (*support)(struct archive *);
} formats[] = {
    {"tar", archive_read_support_format_tar},
    {"zip", archive_read_support_format_zip},
};

/* Compressions that libarchive has built in: it would run a program for others. */
static int (*const filters[])(struct archive *) = {
    archive_read_support_filter_gzip, archive_read_support_filter_bzip2,
    archive_read_support_filter_xz,   archive_read_support_filter_lzma,
    archive_read_support_filter_zstd, archive_read_support_filter_lz4,
};

static bool open_archive(struct unpack *u, int fd, struct error **err)
{
    size_t i = 0;
    while (i < COUNT(formats) && strcmp(formats[i].name, u->entry->unpack) != 0)
        i++;
    if (i == COUNT(formats))
        return error_set(err, ERROR_INPUT, "%s: '%s' is not an archive format that is known",
                         u->name, u->entry->unpack);
    u->archive = archive_read_new();
    if (!u->archive || formats[i].support(u->archive) != ARCHIVE_OK)
        abort();
    for (size_t k = 0; strcmp(formats[i].name, "tar") == 0 && k < COUNT(filters); k++)
        (void)filters[k](u->archive);
    if (archive_read_open_fd(u->archive, fd, CHUNK) != ARCHIVE_OK)
        return damaged(u, err);
    return true;
}

bool unpack_archive(const struct plan *p, const struct plan_entry *e, int fd, const char *name,
                    struct tar_out *t, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", name);
    size_t selected = 0;
    while (e->members && e->members[selected])
        selected++;
    cleanup(cleanup_unpack) struct unpack u = {
        .plan = p,
        .entry = e,
        .name = name,
        .arena = arena_new(),
        .out = t,
        .seen = calloc(selected + 1, sizeof(bool)),
        .chunk = malloc(CHUNK),
        .max_bytes = UNPACK_FREE_BYTES + (uint64_t)st.st_size * UNPACK_MAX_RATIO,
    };
    if (!u.seen || !u.chunk)
        abort();
    if (!open_archive(&u, fd, err))
        return false;
    for (;;) {
        struct archive_entry *member;
        int rc = archive_read_next_header(u.archive, &member);
        if (interrupted())
            return interrupt_error(err);
        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return damaged(&u, err);
        if (++u.members > UNPACK_MAX_MEMBERS)
            return error_set(err, ERROR_INPUT, "%s: has more than %d members", name,
                             UNPACK_MAX_MEMBERS);
        if (!add_member(&u, member, err))
            return false;
    }
    for (size_t i = 0; i < selected; i++)
        if (!u.seen[i])
            return error_set(err, ERROR_INPUT, "%s: has no member '%s'", name, e->members[i]);
    if (!u.members)
        return error_set(err, ERROR_INPUT, "%s: is empty or no %s archive", name, e->unpack);
    return write_folders(&u, err);
}
