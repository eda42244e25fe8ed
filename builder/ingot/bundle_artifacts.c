/* Artifact folders into a bundle. */
#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "cidata/cidata.h"
#include "contract/contract.h"
#include "ingot/bundle.h"
#include "ingot/outputs.h"
#include "resolve/lock.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>

#define MAX_SUMS ((size_t)1 << 20)
#define MAX_SEED ((size_t)4 << 20)

struct artifact {
    const char *folder, *title;
    const struct contract *c;
    char *sums;     /* text of SHA256SUMS */
    bool drop_seed; /* --without-seed, and its seed is secret */
};

/* --- SHA256SUMS ---------------------------------------------------------------------------------
 */

/* The digest that SHA256SUMS has for a name; NULL for none. "HEX  NAME" or "HEX *NAME". */
static const char *find_sum(struct arena *a, const char *sums, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = sums; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        if (n != SHA256_HEX + 1 + length || line[64] != ' ' ||
            (line[65] != ' ' && line[65] != '*') || memcmp(line + 66, name, length) != 0)
            continue;
        char *hex = arena_strndup(a, line, 64);
        for (char *p = hex; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        return digest_is_valid(DIGEST_SHA256, hex) ? hex : NULL;
    }
    return NULL;
}

static bool check_sum(struct collection *c, const struct artifact *art, const char *name,
                      const char *said, const char **sha256, struct error **err)
{
    *sha256 = find_sum(c->a, art->sums, name);
    if (!*sha256)
        return error_set(err, ERROR_TRUST, "%s/SHA256SUMS does not name %s", art->folder, name);
    return !said || strcasecmp(*sha256, said) == 0 ||
           error_set(err, ERROR_TRUST, "%s: image.json and SHA256SUMS give %s two digests",
                     art->folder, name);
}

/* --- secrets ------------------------------------------------------------------------------------
 */

/* A word in a seed's text that stands beside a secret. */
static const char *secret_word(const char *text)
{
    static const char *const words[] = {
        "hashed_passwd", "plain_text_passwd", "chpasswd", "password", "token",
        "secret",        "private key"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcasestr(text, words[i]))
            return words[i];
    for (const char *p = text; (p = strstr(p, "passwd:")) != NULL; p++)
        if (p < text + 5 || strncmp(p - 5, "lock_", 5) != 0)
            return "passwd";
    return NULL;
}

/* The contract says it; an ISO that somebody changed, or that an older ingot made, is looked into.
 */
static bool seed_is_secret(const struct artifact *art, const struct contract_file *seed,
                           const char **why, struct error **err)
{
    static const char *const texts[] = {"user-data", "meta-data", "vendor-data", "network-config"};
    autofree char *path = path_join(art->folder, seed->name);
    *why = art->c->seed.secret ? "as image.json says" : NULL;
    for (size_t i = 0; i < COUNT(texts) && !*why; i++) {
        autofree char *text = NULL;
        if (!cidata_read(path, texts[i], MAX_SEED, &text, err))
            return error_wrap(err, "cannot see whether %s holds a secret", path);
        if (text)
            *why = secret_word(text);
    }
    return true;
}

static bool check_secrets(struct collection *c, struct artifact *art, struct error **err)
{
    const struct contract_file *seed = contract_find_file(art->c, "seed");
    const char *why = NULL;
    if (art->c->contains_secrets && !c->with_secrets)
        return error_set(err, ERROR_INPUT,
                         "the disk of %s holds secrets, as its image.json says: --with-secrets "
                         "takes them along",
                         art->folder);
    if (!seed || !seed_is_secret(art, seed, &why, err))
        return !seed;
    if (!why)
        return true;
    if (c->without_seed) {
        log_warning("%s/%s holds a secret (%s) and is left out", art->folder, seed->name, why);
        art->drop_seed = true;
        return true;
    }
    if (c->with_secrets) {
        log_warning("%s/%s holds a secret (%s) and is taken along", art->folder, seed->name, why);
        return true;
    }
    return error_set(err, ERROR_INPUT,
                     "%s/%s holds a secret (%s): --with-secrets takes it along, --without-seed "
                     "leaves the ISO out",
                     art->folder, seed->name, why);
}

/* --- the files of a build -----------------------------------------------------------------------
 */

/* image.json and SHA256SUMS for an artifact without its seed. */
static bool rewrite(struct collection *c, const struct artifact *art, struct error **err)
{
    autofree char *image = path_join(art->folder, "image.json"), *text = NULL;
    autojson json_t *j = NULL;
    char hex[DIGEST_HEX_MAX];
    autobuffer struct buffer sums = {0};
    json_t *files, *one;
    size_t i;
    const char *sha256;
    if (!json_read_file(image, MAX_SEED, &j, err) ||
        !check_sum(c, art, "image.json", NULL, &sha256, err))
        return false;
    files = json_object_get(j, "files");
    for (i = json_array_size(files); i-- > 0;)
        if (strcmp(json_string_or(json_array_get(files, i), "role", ""), "seed") == 0)
            json_array_remove(files, i);
    json_object_del(json_object_get(j, "seed"), "secret");
    text = json_pretty(j);
    json_array_foreach(files, i, one)
    {
        const char *name = json_string_or(one, "name", "");
        if (!check_sum(c, art, name, json_string_or(one, "sha256", ""), &sha256, err))
            return false;
        buffer_printf(&sums, "%s  %s\n", sha256, name);
    }
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    buffer_printf(&sums, "%s  image.json\n", hex);
    const char *image_copy = arena_printf(c->a, "%s/%s.image.json", c->scratch, art->title);
    const char *sums_copy = arena_printf(c->a, "%s/%s.SHA256SUMS", c->scratch, art->title);
    if (!file_write(image_copy, text, strlen(text), 0600, err) ||
        !file_write(sums_copy, sums.data, sums.size, 0600, err))
        return false;
    collect_file(c, arena_printf(c->a, "%s/image.json", art->title), image_copy, NULL, 0);
    collect_file(c, arena_printf(c->a, "%s/SHA256SUMS", art->title), sums_copy, NULL, 0);
    return true;
}

static void collect_named(struct collection *c, const struct artifact *art, const char *name,
                          const char *sha256, mode_t mode)
{
    collect_file(c, arena_printf(c->a, "%s/%s", art->title, name),
                 arena_printf(c->a, "%s/%s", art->folder, name), sha256, mode);
}

static bool collect_build(struct collection *c, const struct artifact *art, struct error **err)
{
    const char *sha256;
    for (size_t i = 0; i < art->c->file_count; i++) {
        const struct contract_file *f = &art->c->files[i];
        bool seed = strcmp(f->role, "seed") == 0;
        if (seed && art->drop_seed)
            continue;
        if (!check_sum(c, art, f->name, f->sha256, &sha256, err))
            return false;
        collect_named(c, art, f->name, sha256, seed ? 0600 : 0644);
    }
    if (art->drop_seed)
        return rewrite(c, art, err);
    if (!check_sum(c, art, "image.json", NULL, &sha256, err))
        return false;
    collect_named(c, art, "image.json", sha256, 0);
    collect_named(c, art, "SHA256SUMS", NULL, 0);
    return true;
}

static bool is_known(const struct artifact *art, const char *name)
{
    if (strcmp(name, "image.json") == 0 || strcmp(name, "SHA256SUMS") == 0)
        return true;
    for (size_t i = 0; i < art->c->file_count; i++)
        if (strcmp(name, art->c->files[i].name) == 0)
            return true;
    return false;
}

static void name_strangers(const struct artifact *art)
{
    DIR *d = opendir(art->folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && !is_known(art, e->d_name))
            log_warning("%s/%s is no part of the artifact and is left out", art->folder, e->d_name);
    if (d)
        closedir(d);
}

/* --- recipe and lock ----------------------------------------------------------------------------
 */

static bool is_unchanged(const char *path, const char *sha256)
{
    char hex[DIGEST_HEX_MAX];
    return sha256 && digest_file(DIGEST_SHA256, path, hex, NULL, NULL) && strcmp(hex, sha256) == 0;
}

static void collect_beside(struct collection *c, const struct artifact *art, const char *path,
                           const char *sha256)
{
    collect_file(c, arena_printf(c->a, "%s/recipe/%s", art->title, path_basename(path)), path,
                 sha256, 0);
}

/* Licences beside the recipe, and in the overlays that it lays. */
static bool collect_all_licences(struct collection *c, const struct artifact *art,
                                 const char *recipe, struct error **err)
{
    autofree char *folder = path_dirname(recipe);
    autorecipe struct recipe *r = NULL;
    autoerror struct error *why = NULL;
    const char *to = arena_printf(c->a, "%s/licences", art->title);
    if (!collect_licences(c, folder, to, false, err))
        return false;
    if (!session_recipe(c->session, recipe, NULL, false, &r, &why)) {
        log_warning("the licences of %s's overlays are left out: %s", recipe, error_text(why));
        return true;
    }
    for (size_t i = 0; i < r->overlays.count; i++) {
        const char *overlay = r->overlays.items[i].text;
        const char *below = arena_printf(c->a, "%s/overlays/%s", to, path_basename(overlay));
        if (!collect_licences(c, overlay, below, true, err))
            return false;
    }
    return true;
}

static bool collect_recipe(struct collection *c, const struct artifact *art, const char *given,
                           struct error **err)
{
    struct outputs_recipe known = {0};
    if (given) {
        autofree char *lock = lock_path(given);
        const char *recipe = arena_strdup(c->a, given);
        collect_beside(c, art, recipe, NULL);
        if (access(lock, F_OK) == 0)
            collect_beside(c, art, arena_strdup(c->a, lock), NULL);
        return collect_all_licences(c, art, recipe, err);
    }
    outputs_recipe(c->session, art->folder, &known);
    if (!known.path || !is_unchanged(known.path, known.sha256)) {
        log_warning("%s: the recipe, its lock and licences are left out: %s%s; --recipe FILE names "
                    "it",
                    art->folder, known.path ? known.path : "no build in this cache made it",
                    known.path ? " was changed since" : "");
        return true;
    }
    collect_beside(c, art, known.path, known.sha256);
    if (known.lock && is_unchanged(known.lock, known.lock_sha256))
        collect_beside(c, art, known.lock, known.lock_sha256);
    else
        log_warning("%s: the lock is left out: %s", art->folder,
                    known.lock ? "it was changed since" : "the build had none");
    return collect_all_licences(c, art, known.path, err);
}

/* --- all ----------------------------------------------------------------------------------------
 */

bool collect_artifact(struct collection *c, const char *folder, const char *recipe,
                      struct error **err)
{
    struct artifact art = {0};
    size_t size;
    autofree char *absolute = path_absolute(".", folder);
    autofree char *sums = path_join(absolute, "SHA256SUMS"), *text = NULL;
    art.folder = arena_strdup(c->a, absolute);
    art.title = arena_strdup(c->a, path_basename(absolute));
    if (!contract_read(c->a, art.folder, &art.c, NULL, err) ||
        !file_read(sums, MAX_SUMS, &text, &size, err))
        return error_wrap(err, "%s is no artifact that ingot has built", folder);
    art.sums = text;
    if (!collect_name(c, art.title, err) || !check_secrets(c, &art, err) ||
        !collect_build(c, &art, err))
        return false;
    name_strangers(&art);
    if (art.c->epoch > c->b.epoch)
        c->b.epoch = art.c->epoch;
    return collect_recipe(c, &art, recipe, err);
}
