/* Verification: what a recipe says over what the profile of its base says, and where the OpenPGP
 * key is. */
#include "recipe/finish.h"

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

static const struct openpgp *openpgp_over(struct arena *a, const struct openpgp *over,
                                          const struct openpgp *below)
{
    if (!over || !below)
        return over ? over : below;
    struct openpgp *o = arena_memdup(a, below, sizeof *below);
    o->place = over->place;
    if (over->fingerprint)
        o->fingerprint = over->fingerprint;
    if (over->signature.text)
        o->signature = over->signature;
    if (over->key.text)
        o->key = over->key;
    return o;
}

void finish_verify_over(struct finish *f, struct verify *v, const struct verify *below)
{
    bool signable = below->kind == VERIFY_CHECKSUMS || below->kind == VERIFY_OPENPGP;
    if (v->kind == VERIFY_NONE) {
        *v = *below;
    } else if (v->kind == VERIFY_OPENPGP && signable) {
        v->kind = below->kind;
        v->checksums = below->checksums;
        v->openpgp = openpgp_over(f->binder->arena, v->openpgp, below->openpgp);
    } else if (v->kind == VERIFY_CHECKSUMS && below->kind == VERIFY_CHECKSUMS) {
        v->openpgp = openpgp_over(f->binder->arena, v->openpgp, below->openpgp);
    }
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* One folder's keys/FINGERPRINT.asc or .gpg. */
static bool look_in(struct arena *a, const char *dir, struct openpgp *o, const char **looked,
                    size_t *count)
{
    static const char *const suffixes[] = {"asc", "gpg"};
    autofree char *absolute = path_absolute(NULL, dir);
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        const char *path = arena_printf(a, "%s/keys/%s.%s", absolute, o->fingerprint, suffixes[i]);
        bool known = false;
        for (size_t k = 0; k < *count && !known; k++)
            known = strcmp(looked[k], path) == 0;
        if (known)
            continue;
        looked[(*count)++] = path;
        if (is_file(path)) {
            o->key.text = path;
            return true;
        }
    }
    return false;
}

/* The key may be anywhere, since its fingerprint says whether it is the right one. */
static void find_key(struct finish *f, struct openpgp *o)
{
    struct arena *a = f->binder->arena;
    const char *const *search = f->options->search;
    size_t folders = 0, count = 0;
    if (o->key.text && (strstr(o->key.text, "://") || is_file(o->key.text)))
        return;
    while (search && search[folders])
        folders++;
    const char **looked = arena_alloc(a, (2 * folders + 4) * sizeof *looked);
    if (o->key.text)
        looked[count++] = o->key.text;
    o->key.text = NULL;
    bool found = look_in(a, f->draft->recipe.dir, o, looked, &count);
    for (size_t i = 0; i < folders && !found; i++)
        found = look_in(a, search[i], o, looked, &count);
    o->looked = found ? NULL : looked;
}

void finish_verify(struct finish *f, struct verify *v, const char *url, const char *key,
                   const char *version)
{
    if (v->kind == VERIFY_LOCK && url && text_starts_with(url, "http://"))
        diagnostics_warning(f->binder->found, v->place, key,
                            "the first use of what comes by plain http proves nothing: who stands "
                            "between can send anything, and the lock keeps it; use https, or "
                            "sha256");
    if (v->kind == VERIFY_CHECKSUMS)
        v->checksums = finish_fill(f, (struct text_at){v->checksums, v->place}, key, version);
    if (!v->openpgp || !v->openpgp->fingerprint || !v->openpgp->signature.text)
        return; /* reported */
    struct openpgp *o = arena_memdup(f->binder->arena, v->openpgp, sizeof *v->openpgp);
    o->signature.text = finish_fill(f, o->signature, key, version);
    o->key.text = finish_fill(f, o->key, key, version);
    find_key(f, o);
    v->openpgp = o;
}
