#include "ingot/settings.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "recipe/diagnostics.h"
#include "recipe/yaml.h"

#include <errno.h>
#include <string.h>

static const struct setting table[] = {
    {"cache", "INGOT_CACHE", "folder for blobs, layers and logs", "$XDG_CACHE_HOME/ingot", NULL,
     "default", false},
    {"state", "INGOT_STATE", "folder for the disks of instances", "$XDG_STATE_HOME/ingot", NULL,
     "default", false},
    {"path", "INGOT_PATH", "more folders in which recipes are looked up, with colons between", "",
     NULL, "default", false},
    {"mirror", "INGOT_MIRROR", "PREFIX=REPLACEMENT: where URLs that begin so are asked for first",
     "", NULL, "default", true},
    {"accel", "INGOT_ACCEL", "auto, kvm or tcg", "auto", NULL, "default", false},
    {"log", "INGOT_LOG", "how much is said: error, warning, info or debug", "info", NULL, "default",
     false},
    {"libvirt_uri", "INGOT_LIBVIRT_URI", "the libvirt that ingot-boot connects to",
     "system where the user may, else session", NULL, "default", false},
    {0},
};

static struct setting *find(struct setting *list, const char *key)
{
    for (; list->key; list++)
        if (strcmp(list->key, key) == 0)
            return list;
    return NULL;
}

/* A scalar's text, or a list's with blanks between; NULL after a diagnostic. */
static const char *value_of(struct arena *a, const struct node_entry *e, bool list,
                            struct diagnostics *found)
{
    if (e->value->kind == NODE_SCALAR)
        return arena_strdup(a, e->value->text);
    if (!list || e->value->kind != NODE_LIST) {
        diagnostics_error(found, e->value->place, e->name, "a text is expected, not %s",
                          node_kind_name(e->value));
        return NULL;
    }
    const char *all = "";
    for (size_t i = 0; i < e->value->count; i++) {
        const struct node *one = e->value->items[i];
        if (one->kind != NODE_SCALAR || !*one->text || strpbrk(one->text, " \t\n")) {
            diagnostics_error(found, one->place, e->name,
                              "a text without blanks is expected in the list, not %s",
                              one->kind == NODE_SCALAR ? "this" : node_kind_name(one));
            return NULL;
        }
        all = arena_printf(a, "%s%s%s", all, *all ? " " : "", one->text);
    }
    return all;
}

static void apply(struct arena *a, const struct node *root, struct setting *list,
                  struct diagnostics *found)
{
    const char *names[COUNT(table)];
    size_t count = 0;
    for (; table[count].key; count++)
        names[count] = table[count].key;
    for (size_t i = 0; i < root->count; i++) {
        const struct node_entry *e = &root->entries[i];
        struct setting *s = find(list, e->name);
        if (!s) {
            const char *near = text_nearest(e->name, names, count);
            if (near)
                diagnostics_error(found, e->place, e->name, "no such setting (did you mean '%s'?)",
                                  near);
            else
                diagnostics_error(found, e->place, e->name, "no such setting");
            continue;
        }
        const char *value = value_of(a, e, s->list, found);
        if (value && !s->value) { /* what came before wins */
            s->value = value;
            s->origin = arena_printf(a, "%s:%u:%u", e->place.file, e->place.line, e->place.column);
        }
    }
}

static bool read_file(struct arena *a, const char *path, struct setting *list, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (access(path, F_OK) != 0)
        return errno == ENOENT || error_errno(err, ERROR_INPUT, errno, "%s", path);
    if (!file_read(path, DOCUMENT_MAX_BYTES, &text, &size, err))
        return false;
    struct diagnostics found = {.arena = a};
    const struct document_source source = {
        .name = arena_strdup(a, path), .dir = "/", .origin = path};
    const struct node *root = document_parse(a, &source, text, size, &found);
    if (root && root->kind == NODE_MAP)
        apply(a, root, list, &found);
    else if (root && node_scalar_kind(root) != SCALAR_NULL)
        diagnostics_error(&found, root->place, "", "a map of settings is expected, not %s",
                          node_kind_name(root));
    return found.errors == 0 || diagnostics_fail(&found, ERROR_INPUT, err);
}

bool settings_load(struct arena *a, const struct setting **settings, struct error **err)
{
    struct setting *list = arena_memdup(a, table, sizeof table);
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    for (struct setting *s = list; s->key; s++) {
        const char *value = getenv(s->variable);
        if (value && *value) {
            s->value = value;
            s->origin = "environment";
        }
    }
    const char *user = config && *config ? arena_printf(a, "%s/ingot/config.yaml", config)
                       : home && *home   ? arena_printf(a, "%s/.config/ingot/config.yaml", home)
                                         : NULL;
    if ((user && !read_file(a, user, list, err)) ||
        !read_file(a, "/etc/ingot/config.yaml", list, err))
        return false;
    for (const struct setting *s = list; s->key; s++)
        if (s->value && strcmp(s->origin, "environment") != 0 &&
            setenv(s->variable, s->value, 1) < 0)
            return error_errno(err, ERROR_INTERNAL, errno, "cannot set %s", s->variable);
    *settings = list;
    return log_read_environment(err);
}
