/* The list of entries: adding, conflicts, order. */
#include "plan/build.h"
#include "plan/seal.h"

#include "base/log.h"
#include "base/text.h"

#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum init_system builder_init(const struct builder *b)
{
    static const struct {
        const char *name;
        enum init_system init;
    } names[] = {{"systemd", INIT_SYSTEMD}, {"openrc", INIT_OPENRC}};
    if (b->facts)
        return b->facts->init;
    for (size_t i = 0; b->recipe->base.init && i < COUNT(names); i++)
        if (strcmp(names[i].name, b->recipe->base.init) == 0)
            return names[i].init;
    return INIT_UNKNOWN;
}

void builder_open(struct builder *b, const char *text)
{
    for (size_t i = 0; i < b->open_count; i++)
        if (strcmp(b->open[i], text) == 0)
            return;
    const char *copy = arena_strdup(b->arena, text);
    arena_append(b->arena, b->open, b->open_count, copy);
}

const char *builder_origin(struct builder *b, struct place place, const char *what)
{
    if (!place.file)
        return arena_strdup(b->arena, what);
    if (!place.line)
        return arena_printf(b->arena, "%s %s", place.file, what);
    return arena_printf(b->arena, "%s:%u:%u %s", place.file, place.line, place.column, what);
}

const char *plan_guest_path(struct arena *a, const struct facts *facts, const char *path)
{
    static const char *const merged[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    for (size_t i = 0; facts && facts->usr_merged && i < COUNT(merged); i++) {
        size_t n = strlen(merged[i]);
        if (strncmp(path, merged[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
            return arena_printf(a, "/usr%s", path);
    }
    return path;
}

const char *builder_guest_path(struct builder *b, const char *path)
{
    return plan_guest_path(b->arena, b->facts, path);
}

/* Absolute, no empty, `.` or `..` component, no control characters. A backslash may be in it:
 * systemd escapes unit names with it. */
static bool is_good_path(const char *path)
{
    if (path[0] != '/' || path[1] == '\0' || strlen(path) >= PATH_MAX)
        return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(++p, "/");
        if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
            (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if (iscntrl((unsigned char)p[i]))
                return false;
        p += n;
    }
    return true;
}

static bool may_be_setuid(struct builder *b, const char *path)
{
    path = builder_guest_path(b, path);
    for (size_t i = 0; i < b->recipe->setuid.count; i++)
        if (strcmp(builder_guest_path(b, b->recipe->setuid.items[i].text), path) == 0)
            return true;
    return false;
}

static bool is_never_baked(const struct builder *b, const char *path)
{
    const char *const *never = b->recipe->distribution.never_baked;
    for (size_t i = 0; never && never[i]; i++)
        if (fnmatch(never[i], path, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
            return true;
    return false;
}

/* What the seal would take away again, or NULL. */
static const struct seal_item *sealed_away(const char *path)
{
    for (size_t i = 0; i < seal_item_count; i++) {
        const struct seal_item *item = &seal_items[i];
        bool itself = item->action != SEAL_CLEAR && fnmatch(item->path, path, FNM_PATHNAME) == 0;
        bool below = fnmatch(item->path, path, FNM_PATHNAME | FNM_LEADING_DIR) == 0 &&
                     fnmatch(item->path, path, FNM_PATHNAME) != 0;
        if (item->action != SEAL_LOGS && (itself || below))
            return item;
    }
    return NULL;
}

bool builder_add(struct builder *b, struct plan_entry e, struct error **err)
{
    bool whole_root = e.kind == ENTRY_ARCHIVE && strcmp(e.path, "/") == 0;
    if (!whole_root && !is_good_path(e.path))
        return error_set(err, ERROR_INPUT,
                         "%s: '%s' is not a guest path: absolute, without . and .., doubled "
                         "slashes, a slash at the end or control characters",
                         e.origin, e.path);
    if ((e.kind == ENTRY_FILE || e.kind == ENTRY_ARCHIVE) && (e.mode & (S_ISUID | S_ISGID)) &&
        !may_be_setuid(b, e.path))
        return error_set(err, ERROR_INPUT,
                         "%s: %s would be set-uid or set-gid; if that is meant, name it under "
                         "setuid: in the recipe",
                         e.origin, e.path);
    if (e.kind != ENTRY_ABSENT && is_never_baked(b, e.path))
        return error_set(err, ERROR_INPUT,
                         "%s: %s is state of one machine that must never be in an image of '%s'; "
                         "it is made at the first boot",
                         e.origin, e.path, b->recipe->distribution.name.text);
    const struct seal_item *sealed = e.kind == ENTRY_ABSENT ? NULL : sealed_away(e.path);
    if (sealed)
        return error_set(
            err, ERROR_INPUT,
            "%s: %s would be taken out of the image again before it is sealed (%s: %s)", e.origin,
            e.path, sealed->path, sealed->why);
    e.path = builder_guest_path(b, e.path);
    struct draft d = {.entry = e, .order = b->count};
    arena_append(b->arena, b->drafts, b->count, d);
    return true;
}

bool builder_add_text(struct builder *b, const char *path, const char *text, size_t size,
                      mode_t mode, const char *origin, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, size, hex);
    struct plan_entry e = {.kind = ENTRY_FILE,
                           .path = path,
                           .origin = origin,
                           .content = text,
                           .size = size,
                           .digest = arena_strdup(b->arena, hex),
                           .mode = mode};
    return builder_add(b, e, err);
}

bool builder_add_link(struct builder *b, const char *path, const char *target, const char *origin,
                      struct error **err)
{
    struct plan_entry e = {.kind = ENTRY_LINK,
                           .path = arena_strdup(b->arena, path),
                           .origin = origin,
                           .target = arena_strdup(b->arena, target),
                           .mode = 0777};
    return builder_add(b, e, err);
}

bool builder_add_absent(struct builder *b, const char *path, const char *origin, struct error **err)
{
    struct plan_entry e = {
        .kind = ENTRY_ABSENT, .path = arena_strdup(b->arena, path), .origin = origin};
    return builder_add(b, e, err);
}

const struct plan_entry *builder_find(const struct builder *b, const char *path)
{
    for (size_t i = b->count; i-- > 0;) {
        const struct plan_entry *e = &b->drafts[i].entry;
        if (e->kind != ENTRY_ARCHIVE && strcmp(e->path, path) == 0)
            return e;
    }
    return NULL;
}

bool builder_entry_text(struct builder *b, const struct plan_entry *e, const char **text,
                        size_t *size, struct error **err)
{
    if (e->content) {
        *text = e->content;
        *size = e->size;
        return true;
    }
    return inputs_text(b->inputs, e->source, PLAN_TEXT_MAX, text, size, err);
}

/* --- order and conflicts ------------------------------------------------------------------------
 */

/* By path; of one path the archives last, they need the folder. */
static int compare_drafts(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    int by_path = strcmp(x->entry.path, y->entry.path);
    if (by_path)
        return by_path;
    int by_kind = (x->entry.kind == ENTRY_ARCHIVE) - (y->entry.kind == ENTRY_ARCHIVE);
    return by_kind ? by_kind : (x->order > y->order) - (x->order < y->order);
}

static bool is_folder(const struct plan_entry *e)
{
    return e->kind == ENTRY_DIRECTORY || e->kind == ENTRY_ARCHIVE;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_entry(const struct plan_entry *a, const struct plan_entry *b)
{
    return a->kind == b->kind && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           same_text(a->target, b->target) && same_text(a->digest, b->digest) &&
           (a->kind != ENTRY_FILE || a->digest);
}

static bool folder_conflict(const struct plan_entry *folder, const struct plan_entry *other,
                            struct error **err)
{
    return error_set(err, ERROR_INPUT, "%s: is a %s by %s, and a folder by %s", other->path,
                     other->kind == ENTRY_LINK ? "link" : "file", other->origin, folder->origin);
}

/* Settles two drafts of one path; the winner is left in *winner. */
static bool settle(struct draft *earlier, struct draft *later, struct draft **winner,
                   struct error **err)
{
    struct plan_entry *a = &earlier->entry, *b = &later->entry;
    *winner = later;
    if (is_folder(a) && b->kind == ENTRY_ARCHIVE)
        return true; /* all archives of a folder are unpacked */
    if (is_folder(a) != is_folder(b) && a->kind != ENTRY_ABSENT && b->kind != ENTRY_ABSENT)
        return folder_conflict(is_folder(a) ? a : b, is_folder(a) ? b : a, err);
    if (a->kind == ENTRY_DIRECTORY && b->kind == ENTRY_DIRECTORY && !b->force)
        *winner = earlier;
    else if (!same_entry(a, b) && !(a->kind == ENTRY_DIRECTORY && !a->force))
        log_debug("%s: %s takes the place of %s", b->path, b->origin, a->origin);
    (*winner == later ? earlier : later)->dropped = true;
    return true;
}

static struct draft *search_drafts(const struct builder *b, const char *path)
{
    size_t low = 0, high = b->count;
    while (low < high) { /* the first of that path that is not dropped */
        size_t middle = low + (high - low) / 2;
        if (strcmp(b->drafts[middle].entry.path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < b->count && strcmp(b->drafts[low].entry.path, path) == 0; low++)
        if (!b->drafts[low].dropped)
            return &b->drafts[low];
    return NULL;
}

/* Nothing stands below a file or a link; folders learn that something stands below them. */
static bool check_parents(struct builder *b, const struct plan_entry *e, struct error **err)
{
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%s", e->path);
    for (char *slash; (slash = strrchr(above, '/')) != NULL && slash > above;) {
        *slash = '\0';
        struct draft *d = search_drafts(b, above);
        if (!d)
            continue;
        if (d->entry.kind == ENTRY_FILE || d->entry.kind == ENTRY_LINK)
            return folder_conflict(e, &d->entry, err);
        d->has_children = true;
    }
    return true;
}

bool builder_finish(struct builder *b, const struct plan_entry **entries, size_t *count,
                    struct error **err)
{
    *entries = NULL;
    *count = 0;
    if (!b->count)
        return true;
    qsort(b->drafts, b->count, sizeof *b->drafts, compare_drafts);
    struct draft *winner = &b->drafts[0];
    for (size_t i = 1; i < b->count; i++) {
        struct draft *d = &b->drafts[i];
        if (strcmp(winner->entry.path, d->entry.path) != 0)
            winner = d;
        else if (!settle(winner, d, &winner, err))
            return false;
    }
    for (size_t i = 0; i < b->count; i++)
        if (!b->drafts[i].dropped && b->drafts[i].entry.kind != ENTRY_ABSENT &&
            !check_parents(b, &b->drafts[i].entry, err))
            return false;
    struct plan_entry *list = arena_alloc(b->arena, b->count * sizeof *list);
    for (size_t i = 0; i < b->count; i++) {
        const struct draft *d = &b->drafts[i];
        /* A folder that only holds others says nothing: what is below it makes it. */
        bool empty_word = d->entry.kind == ENTRY_DIRECTORY && !d->entry.force && d->has_children;
        if (!d->dropped && !empty_word)
            list[(*count)++] = d->entry;
    }
    *entries = list;
    return true;
}
