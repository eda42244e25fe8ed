/* All that a rebuild of a recipe needs: the blobs that its lock names, and a tree with the recipe
 * and its local files in which everything is found from the recipe's own folder. */
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/text.h"
#include "ingot/bundle.h"
#include "ingot/pipeline.h"

#include "source/url.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_TEXT ((size_t)1 << 20) /* of a recipe or profile */

struct rebuild {
    struct collection *c;
    const struct recipe *r;
};

/* --- where a host file stands in the tree -------------------------------------------------------
 */

/* What is below a folder, or NULL. */
static const char *below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* The names that a host file gets: relative to the recipe, and where it is found by name (bases/,
 * distributions/, overlays/), also that. 0 where it would be found under none. */
static size_t tree_names(const struct rebuild *b, const char *path, const char *names[8])
{
    struct arena *a = b->c->a;
    size_t count = 0;
    const char *rest = below(path, b->r->dir);
    if (rest)
        names[count++] = arena_printf(a, "recipe/%s", rest);
    for (const char *const *s = b->c->session->search; *s && count < 8; s++) {
        autofree char *folder = realpath(*s, NULL);
        if (!folder || strcmp(folder, b->r->dir) == 0)
            continue;
        autofree char *project = path_dirname(folder), *overlays = path_join(project, "overlays");
        rest = below(path, folder);
        if (rest)
            names[count++] = arena_printf(a, "recipe/%s", rest);
        else if (strcmp(path_basename(folder), "recipes") == 0 && below(path, overlays))
            names[count++] = arena_printf(a, "recipe/overlays/%s", below(path, overlays));
    }
    /* A recipe in `recipes` finds its overlays beside that folder. */
    autofree char *project = path_dirname(b->r->dir), *overlays = path_join(project, "overlays");
    if (count < 8 && strcmp(path_basename(b->r->dir), "recipes") == 0 && below(path, overlays))
        names[count++] = arena_printf(a, "recipe/overlays/%s", below(path, overlays));
    return count;
}

static bool outside(const struct rebuild *b, const char *path, struct place place,
                    struct error **err)
{
    return error_set_at(err, ERROR_INPUT, place,
                        "%s is outside of %s, the folder of the recipe, where a bundle cannot put "
                        "it: move it there, and name it relative to the recipe",
                        path, b->r->dir);
}

static bool collect_local(const struct rebuild *b, const char *path, struct place place,
                          struct error **err)
{
    const char *names[8];
    struct arena *a = b->c->a;
    autofree char *real = realpath(path, NULL);
    const char *file = arena_strdup(a, real ? real : path);
    size_t count = tree_names(b, path, names);
    if (!count)
        count = tree_names(b, file, names);
    if (!count)
        return outside(b, path, place, err);
    for (size_t i = 0; i < count; i++)
        collect_file(b->c, names[i], file, NULL, 0);
    return true;
}

/* --- overlays -----------------------------------------------------------------------------------
 */

static bool collect_overlay_member(const struct rebuild *b, const struct input_tree *t, size_t i,
                                   const char *to, struct error **err)
{
    struct collection *c = b->c;
    const struct input_member *m = &t->members[i];
    const char *path = arena_printf(c->a, "%s/%s", to, m->name);
    size_t n = strlen(m->name);
    bool filled = i + 1 < t->count && strncmp(t->members[i + 1].name, m->name, n) == 0 &&
                  t->members[i + 1].name[n] == '/';
    struct bundle_link link = {path, m->target};
    switch (m->kind) {
    case INPUT_DIRECTORY:
        if (!filled)
            arena_append(c->a, c->folders, c->folder_count, path);
        return true;
    case INPUT_LINK:
        arena_append(c->a, c->links, c->link_count, link);
        return true;
    case INPUT_FILE:
        break;
    }
    if (m->mode & (S_ISUID | S_ISGID))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s/%s is set-uid or set-gid, which no bundle carries", t->path, m->name);
    collect_file(c, path, m->file->path, m->file->digest, m->mode & 0111 ? 0755 : 0644);
    return true;
}

static bool collect_overlay(const struct rebuild *b, const struct text_at *overlay,
                            struct error **err)
{
    const char *names[8];
    const struct input_tree *t;
    size_t count = tree_names(b, overlay->text, names);
    if (!count)
        return outside(b, overlay->text, overlay->place, err);
    if (!inputs_tree(b->c->session->inputs, overlay->text, &t, err))
        return error_wrap(err, "the overlay %s", overlay->text);
    for (size_t n = 0; n < count; n++) {
        if (t->count == 0)
            arena_append(b->c->a, b->c->folders, b->c->folder_count, names[n]);
        for (size_t i = 0; i < t->count; i++)
            if (!collect_overlay_member(b, t, i, names[n], err))
                return false;
    }
    return true;
}

/* --- other files that a recipe names ------------------------------------------------------------
 */

static bool collect_if_local(const struct rebuild *b, const struct text_at *path,
                             struct error **err)
{
    return !path->text || path->text[0] != '/' || collect_local(b, path->text, path->place, err);
}

/* A build by the lock asks for no checksums, signatures and keys: they come along for who wants to
 * lock anew, and a system's keyring stays where it is. */
static bool collect_if_inside(const struct rebuild *b, const char *path, struct place place,
                              struct error **err)
{
    const char *names[8];
    return !path || path[0] != '/' || access(path, F_OK) != 0 || !tree_names(b, path, names) ||
           collect_local(b, path, place, err);
}

static bool collect_verify(const struct rebuild *b, const struct verify *v, struct error **err)
{
    if (v->kind == VERIFY_CHECKSUMS && !collect_if_inside(b, v->checksums, v->place, err))
        return false;
    return !v->openpgp ||
           (collect_if_inside(b, v->openpgp->key.text, v->openpgp->key.place, err) &&
            collect_if_inside(b, v->openpgp->signature.text, v->openpgp->signature.place, err));
}

static bool collect_password(const struct rebuild *b, struct error **err)
{
    const struct text_at *hash = &b->r->boot.password_hash_file;
    if (!hash->text)
        return true;
    if (!b->c->with_secrets)
        return error_set_at(
            err, ERROR_INPUT, hash->place,
            "the recipe's seed gets a password's hash from %s: --with-secrets takes "
            "it along",
            hash->text);
    log_warning("%s, a password's hash, is taken along", hash->text);
    return collect_local(b, hash->text, hash->place, err);
}

/* The lock names what is on this host relative to the recipe: so must the recipe, and below its
 * folder, or the lock would not fit it elsewhere. An image is among the blobs then; other sources
 * are read from where they are before they are asked for. */
static bool check_local_source(const struct rebuild *b, const struct text_at *url,
                               struct error **err)
{
    autofree char *path = NULL;
    if (!url->text || url_is_http(url->text))
        return true;
    if (!url_local_path(url->text, &path, err))
        return false;
    if (!below(path, b->r->dir))
        return outside(b, path, url->place, err);
    for (size_t i = 0; i < b->r->read_file_count; i++) {
        const char *text;
        size_t size;
        if (!inputs_text(b->c->session->inputs, b->r->read_files[i], MAX_TEXT, &text, &size, err))
            return false;
        if (strstr(text, path))
            return error_set_at(err, ERROR_INPUT, url->place,
                                "%s is named by its path on this host, where it is not found "
                                "elsewhere: name it relative to the recipe",
                                path);
    }
    return true;
}

static bool check_local_sources(const struct rebuild *b, struct error **err)
{
    if (b->r->base.kind == BASE_IMAGE && !check_local_source(b, &b->r->base.image, err))
        return false;
    for (size_t i = 0; i < b->r->source_count; i++)
        if (!check_local_source(b, &b->r->sources[i].url, err))
            return false;
    return true;
}

static bool collect_files(const struct rebuild *b, struct error **err)
{
    const struct recipe *r = b->r;
    for (size_t i = 0; i < r->read_file_count; i++) {
        const struct place place = {r->file, 0, 0};
        if (!collect_local(b, r->read_files[i], place, err))
            return false;
    }
    for (size_t i = 0; i < r->overlays.count; i++)
        if (!collect_overlay(b, &r->overlays.items[i], err))
            return false;
    for (size_t i = 0; i < r->file_count; i++)
        if (r->files[i].source.text &&
            !collect_local(b, r->files[i].source.text, r->files[i].source.place, err))
            return false;
    for (size_t i = 0; i < r->source_count; i++) {
        autofree char *path = NULL;
        if (url_is_http(r->sources[i].url.text))
            continue;
        if (!url_local_path(r->sources[i].url.text, &path, err) ||
            !collect_local(b, path, r->sources[i].url.place, err))
            return false;
    }
    for (size_t i = 0; i < r->boot.ssh_key_files.count; i++)
        if (!collect_local(b, r->boot.ssh_key_files.items[i].text,
                           r->boot.ssh_key_files.items[i].place, err))
            return false;
    for (size_t i = 0; i < r->repository_count; i++)
        if (!collect_if_local(b, &r->repositories[i].key, err))
            return false;
    for (size_t i = 0; i < r->source_count; i++)
        if (!collect_verify(b, &r->sources[i].verify, err))
            return false;
    return collect_verify(b, &r->base.verify, err) && collect_password(b, err);
}

/* --- blobs --------------------------------------------------------------------------------------
 */

static bool collect_blobs(const struct rebuild *b, const struct pipeline *p, struct error **err)
{
    struct collection *c = b->c;
    size_t count;
    const struct pin_file *files = pins_files(c->a, &p->pins.next, &count);
    for (size_t i = 0; i < count; i++) {
        const char *sha256 = arena_strdup(c->a, files[i].sha256);
        if (strcmp(files[i].what, "source") == 0 && files[i].url[0] == '/')
            continue; /* in the tree */
        if (!store_has(c->session->store, sha256))
            return error_set(err, ERROR_UNREACHABLE, "%s %s (sha256 %s) is not in the cache",
                             files[i].what, files[i].url, sha256);
        autofree char *path = store_blob_path(c->session->store, sha256);
        collect_file(c, arena_printf(c->a, "blobs/sha256/%s", sha256), arena_strdup(c->a, path),
                     sha256, 0);
    }
    return true;
}

/* What `ingot fetch` does, and then all that the lock names. */
static bool collect_locked(const struct rebuild *b, struct error **err)
{
    struct collection *c = b->c;
    const struct pipeline_options how = {.offline = fetcher_offline(c->session->fetcher),
                                         .everything = true,
                                         .anywhere = true,
                                         .until = LAYER_SEAL};
    autopipeline struct pipeline *p = pipeline_new(c->session, b->r, &how, err);
    if (!p || !pipeline_look(p, err) || !pipeline_resolve(p, err))
        return error_wrap(err, "cannot fetch what a rebuild needs");
    progress_done();
    if (p->packages_open)
        return error_set(err, ERROR_HOST,
                         "its packages are not locked, and cannot be on this host: `ingot lock` on "
                         "one of the guest's architecture does it");
    if (p->epoch > c->b.epoch)
        c->b.epoch = p->epoch;
    collect_file(c, arena_printf(c->a, "recipe/%s", path_basename(p->pins.path)),
                 arena_strdup(c->a, p->pins.path), NULL, 0);
    return collect_blobs(b, p, err);
}

/* --- all ----------------------------------------------------------------------------------------
 */

bool collect_sources(struct collection *c, const char *given, struct error **err)
{
    autorecipe struct recipe *r = NULL;
    if (!session_recipe(c->session, given, NULL, false, &r, err))
        return false;
    if (c->session->overridden)
        return error_set(err, ERROR_TRUST,
                         "a bundle has the recipe as it stands, and INGOT_SET_… overrides it");
    const char *stem = path_basename(r->file);
    size_t n = strlen(stem);
    if (text_ends_with(stem, ".yaml"))
        n -= strlen(".yaml");
    const struct rebuild b = {c, r};
    return collect_name(c, arena_strndup(c->a, stem, n), err) && check_local_sources(&b, err) &&
           collect_locked(&b, err) && collect_files(&b, err);
}
