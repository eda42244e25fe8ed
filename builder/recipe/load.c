/* recipe_load: files, includes, overrides, and then the table. */
#include "recipe/finish.h"

#include "base/path.h"
#include "base/text.h"
#include "recipe/check.h"
#include "recipe/find.h"
#include "recipe/merge.h"
#include "recipe/yaml.h"

#include <string.h>

#define MAX_INCLUDE_DEPTH 8
#define MAX_FILES 64

struct loader {
    struct arena *arena;
    const struct recipe_options *options;
    struct diagnostics *found;
    const char *chain[MAX_INCLUDE_DEPTH]; /* the files that are being included, outermost first */
    const char *const *read_files;
    size_t read_file_count;
    bool too_old; /* a file needs a newer ingot */
};

/* What must be seen before anything else, so that an older ingot says that it is too old. */
static bool check_language(struct loader *l, const struct node *root)
{
    const struct node *language = node_get(root, "ingot"), *needs = node_get(root, "requires");
    bool wellformed;
    if (needs && needs->kind == NODE_SCALAR &&
        !version_satisfies(INGOT_VERSION, needs->text, &wellformed) && wellformed) {
        diagnostics_error(l->found, needs->place, "requires",
                          "this recipe needs ingot %s, and this is ingot %s", needs->text,
                          INGOT_VERSION);
        l->too_old = true;
    }
    if (language && language->kind == NODE_SCALAR && node_scalar_kind(language) == SCALAR_INTEGER &&
        strtol(language->text, NULL, 10) > 1) {
        diagnostics_error(l->found, language->place, "ingot",
                          "this recipe is written in version %s of the recipe language, and ingot "
                          "%s knows version 1: use a newer ingot",
                          language->text, INGOT_VERSION);
        l->too_old = true;
    }
    return !l->too_old;
}

static struct node *load_file(struct loader *l, const char *path, const char *display,
                              struct place from, unsigned depth);

static struct node *load_include(struct loader *l, const struct node *given, const char *display,
                                 unsigned depth)
{
    struct arena *a = l->arena;
    if (given->kind != NODE_SCALAR || node_scalar_kind(given) != SCALAR_TEXT || !*given->text)
        return NULL; /* reported when the key is bound */
    bool is_path = strchr(given->text, '/') || text_ends_with(given->text, ".yaml");
    const char *path = is_path ? host_path(a, given, given->text) : NULL;
    const char *shown = path;
    if (path && access(path, F_OK) == 0 && given->text[0] != '/' && given->text[0] != '~') {
        autofree char *folder = path_dirname(display);
        autofree char *joined =
            strcmp(folder, ".") == 0 ? strdup(given->text) : path_join(folder, given->text);
        shown = arena_strdup(a, joined);
    } else if (!path || (access(path, F_OK) != 0 && !strchr(given->text, '/'))) {
        size_t n = strlen(given->text) - (is_path ? strlen(".yaml") : 0);
        path = find_named(a, given->dir, l->options->search, LOOKUP_RECIPE,
                          arena_strndup(a, given->text, n));
        shown = path ? find_shown(a, path) : NULL;
    }
    if (!path || access(path, F_OK) != 0) {
        diagnostics_error(l->found, given->place, "include", "there is no recipe '%s'%s",
                          given->text,
                          find_hint(a, given->dir, l->options->search, LOOKUP_RECIPE, given->text));
        return NULL;
    }
    return load_file(l, path, shown, given->place, depth);
}

static struct node *load_includes(struct loader *l, const struct node *root, const char *display,
                                  unsigned depth)
{
    const struct node *include = node_get(root, "include");
    struct node *below = NULL;
    size_t count = !include ? 0 : include->kind == NODE_LIST ? include->count : 1;
    for (size_t i = 0; i < count; i++) {
        const struct node *given = include->kind == NODE_LIST ? include->items[i] : include;
        const struct node *n = load_include(l, given, display, depth + 1);
        if (n)
            below = merge(l->arena, &recipe_type, below, n, l->found);
    }
    return below;
}

/* The tree of one file and all that it includes; NULL with a diagnostic. */
static struct node *load_file(struct loader *l, const char *path, const char *display,
                              struct place from, unsigned depth)
{
    struct arena *a = l->arena;
    autofree char *absolute = path_absolute(NULL, path);
    for (unsigned i = 0; i < depth; i++) {
        if (strcmp(l->chain[i], absolute) == 0) {
            diagnostics_error(l->found, from, "include", "'%s' includes itself", display);
            return NULL;
        }
    }
    if (depth == MAX_INCLUDE_DEPTH) {
        diagnostics_error(l->found, from, "include", "included deeper than %d files",
                          MAX_INCLUDE_DEPTH);
        return NULL;
    }
    if (l->read_file_count == MAX_FILES) {
        diagnostics_error(l->found, from, "include", "more than %d files are included", MAX_FILES);
        return NULL;
    }
    const char *file = arena_strdup(a, absolute);
    l->chain[depth] = file;
    arena_append(a, l->read_files, l->read_file_count, file);
    autofree char *folder = path_dirname(absolute);
    struct document_source source = {
        .name = display, .dir = arena_strdup(a, folder), .origin = display};
    struct node *root = document_read(a, &source, path, l->found);
    if (!root)
        return NULL;
    if (root->kind != NODE_MAP) {
        diagnostics_error(l->found, root->place, "", "a recipe is a map of keys, and this is %s",
                          node_kind_name(root));
        return NULL;
    }
    if (!check_language(l, root))
        return NULL;
    struct draft *scratch = arena_new_of(a, struct draft);
    struct binder b = {.arena = a, .found = l->found, .partial = true};
    bind_node(&b, &recipe_type, root, "", scratch);
    const struct node *below = load_includes(l, root, display, depth);
    if (l->too_old)
        return NULL;
    /* Without anything below, `key+` stays: it may be laid over an earlier one of a list. */
    return below ? merge(a, &recipe_type, below, root, l->found) : root;
}

static bool apply_overrides(struct loader *l, struct node **root)
{
    size_t errors = l->found->errors;
    for (size_t i = 0; i < l->options->override_count; i++) {
        const struct recipe_override *o = &l->options->overrides[i];
        struct node *n = override_tree(l->arena, o, l->found);
        if (!n)
            continue;
        if (!check_language(l, n))
            continue;
        if (node_get(n, "include"))
            diagnostics_error(l->found, n->place, "include", "cannot be set from outside a recipe");
        *root = merge(l->arena, &recipe_type, *root, n, l->found);
    }
    return l->found->errors == errors;
}

static void make(struct loader *l, const char *path, const char *display, struct draft *d)
{
    struct node *root = load_file(l, path, display, (struct place){display, 0, 0}, 0);
    if (!root)
        return;
    root = merge(l->arena, &recipe_type, NULL, root, l->found);
    if (!apply_overrides(l, &root))
        return;
    struct place top = {display, 1, 1};
    root->place = top;
    struct binder b = {.arena = l->arena, .found = l->found};
    bind_node(&b, &recipe_type, root, "", d);
    struct finish f = {.binder = &b,
                       .draft = d,
                       .root = root,
                       .options = l->options,
                       .read_files = l->read_files,
                       .read_file_count = l->read_file_count};
    finish_recipe(&f);
    l->read_files = f.read_files;
    l->read_file_count = f.read_file_count;
}

bool recipe_load(const char *path, const struct recipe_options *options, struct recipe **out,
                 struct diagnostics *found, struct error **err)
{
    static const struct recipe_options none = {0};
    struct arena *a = arena_new();
    struct draft *d = arena_new_of(a, struct draft);
    struct loader l = {.arena = a, .options = options ? options : &none, .found = found};
    autofree char *absolute = path_absolute(NULL, path);
    autofree char *dir = path_dirname(absolute);
    const char *display = arena_strdup(a, path);
    if (access(path, F_OK) != 0) {
        arena_free(a);
        return error_set(err, ERROR_INPUT, "there is no recipe '%s'", path);
    }
    d->recipe.file = display;
    d->recipe.dir = arena_strdup(a, dir);
    make(&l, path, display, d);
    diagnostics_sort(found);
    if (found->errors) {
        bool too_old = l.too_old;
        arena_free(a);
        return diagnostics_fail(found, too_old ? ERROR_UNSUPPORTED : ERROR_INPUT, err);
    }
    d->recipe.arena = a;
    d->recipe.read_files = l.read_files;
    d->recipe.read_file_count = l.read_file_count;
    *out = &d->recipe;
    return true;
}

void recipe_free(struct recipe *r)
{
    if (r)
        arena_free(r->arena);
}
