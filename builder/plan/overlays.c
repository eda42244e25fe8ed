/* Overlays: trees that are laid over the guest's root.
 *
 * An overlay whose folder holds nothing but `common`, `systemd` and `openrc` says by them what
 * differs by init system: `common` is laid first, then the guest's own. Any other folder is the
 * tree itself.
 */
#include "plan/build.h"
#include "plan/template.h"

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *const parts[] = {"common", "systemd", "openrc"};
static const char *const init_parts[] = {
    [INIT_SYSTEMD] = "systemd", [INIT_OPENRC] = "openrc", [INIT_UNKNOWN] = NULL};

static void cleanup_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Which of `parts` an overlay has, as bits; 0 if it is a tree itself. */
static bool overlay_parts(const struct text_at *overlay, unsigned *found, struct error **err)
{
    cleanup(cleanup_dir) DIR *dir = opendir(overlay->text);
    if (!dir)
        return error_set_at(err, ERROR_INPUT, overlay->place, "the overlay %s: %s", overlay->text,
                            strerror(errno));
    *found = 0;
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        size_t i = 0;
        while (i < COUNT(parts) && strcmp(parts[i], d->d_name) != 0)
            i++;
        if (i == COUNT(parts)) {
            *found = 0;
            return true;
        }
        *found |= 1u << i;
    }
    return true;
}

/* How an overlay is called in the plan: relative to the recipe, or from `overlays/` on, so that the
 * plan says the same wherever the tree lies. */
static const char *overlay_name(struct builder *b, const char *path)
{
    size_t n = b->recipe->dir ? strlen(b->recipe->dir) : 0;
    if (n && strncmp(path, b->recipe->dir, n) == 0 && path[n] == '/')
        return arena_strdup(b->arena, path + n + 1);
    const char *found = NULL;
    for (const char *p = path; (p = strstr(p, "/overlays/")) != NULL; p++)
        found = p + 1;
    return arena_strdup(b->arena, found ? found : path);
}

static bool add_template(struct builder *b, struct plan_entry *e, const struct input_file *file,
                         struct error **err)
{
    const char *text;
    size_t size;
    if (!inputs_text(b->inputs, file->path, PLAN_TEXT_MAX, &text, &size, err))
        return false;
    autobuffer struct buffer filled = {0};
    if (!template_fill(b->recipe->template_values, b->recipe->template_value_count, file->path,
                       text, size, &filled, err))
        return false;
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, filled.data ? filled.data : "", filled.size, hex);
    e->content = arena_memdup(b->arena, filled.data ? filled.data : "", filled.size + 1);
    e->size = filled.size;
    e->digest = arena_strdup(b->arena, hex);
    return true;
}

/* A file's mode is what version control keeps of it: executable or not. Set-uid bits are kept for
 * builder_add to judge. */
static mode_t plain_mode(mode_t mode)
{
    return (mode & 0111 ? 0755 : 0644) | (mode & (S_ISUID | S_ISGID));
}

static bool add_member(struct builder *b, const struct input_member *m, const char *origin,
                       struct error **err)
{
    struct plan_entry e = {.origin = origin, .path = arena_printf(b->arena, "/%s", m->name)};
    switch (m->kind) {
    case INPUT_DIRECTORY:
        e.kind = ENTRY_DIRECTORY;
        e.mode = 0755;
        return builder_add(b, e, err);
    case INPUT_LINK:
        if (builder_guest_path(b, e.path) != e.path && !strchr(e.path + 1, '/'))
            return error_set(err, ERROR_INPUT, "%s: %s: is a link already in this guest", origin,
                             e.path);
        return builder_add_link(b, e.path, m->target, origin, err);
    case INPUT_FILE:
        break;
    }
    e.kind = ENTRY_FILE;
    e.mode = plain_mode(m->mode);
    if (text_ends_with(m->name, ".in") && strcmp(path_basename(m->name), ".in") != 0) {
        ((char *)e.path)[strlen(e.path) - strlen(".in")] = '\0';
        return add_template(b, &e, m->file, err) && builder_add(b, e, err);
    }
    e.source = m->file->path;
    e.digest = m->file->digest;
    e.size = m->file->size;
    return builder_add(b, e, err);
}

static bool add_tree(struct builder *b, const struct text_at *overlay, const char *part,
                     struct error **err)
{
    autofree char *path = part ? path_join(overlay->text, part) : strdup(overlay->text);
    if (!path)
        abort();
    const struct input_tree *tree;
    if (!inputs_tree(b->inputs, path, &tree, err))
        return error_wrap(err, "the overlay %s", overlay->text);
    const char *origin = overlay_name(b, path);
    for (size_t i = 0; i < tree->count; i++)
        if (!add_member(b, &tree->members[i], origin, err))
            return false;
    return true;
}

static bool add_overlay(struct builder *b, const struct text_at *overlay, struct error **err)
{
    unsigned found = 0;
    if (!overlay_parts(overlay, &found, err))
        return false;
    if (!found)
        return add_tree(b, overlay, NULL, err);
    const char *own = init_parts[builder_init(b)];
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!(found & 1u << i))
            continue;
        if (i == 0 || (own && strcmp(parts[i], own) == 0)) {
            if (!add_tree(b, overlay, parts[i], err))
                return false;
        } else if (!own) {
            builder_open(b, "files that differ by init system");
        }
    }
    return true;
}

bool builder_overlays(struct builder *b, struct error **err)
{
    for (size_t i = 0; i < b->recipe->overlays.count; i++)
        if (!add_overlay(b, &b->recipe->overlays.items[i], err))
            return false;
    return true;
}
