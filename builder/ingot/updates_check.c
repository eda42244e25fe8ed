/* `ingot updates`: base images and distributions. */
#include "ingot/updates.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"
#include "source/url.h"
#include "source/verify.h"

#include <string.h>
#include <time.h>

/* --- asking -------------------------------------------------------------------------------------
 */

static bool get(void *data, const char *url, size_t max_bytes, char **text, size_t *size,
                struct error **err)
{
    struct fetcher *f = data;
    char sha256[DIGEST_HEX_MAX];
    autofree char *path = NULL;
    return fetch_text(f, url, max_bytes, &path, sha256, err) &&
           file_read(path, max_bytes, text, size, err);
}

static bool ask(struct updates_report *t, struct update_request *r, struct update *out,
                struct error **why)
{
    char today[16];
    struct tm tm;
    time_t now = time(NULL);
    strftime(today, sizeof today, "%Y-%m-%d", gmtime_r(&now, &tm));
    r->today = today;
    const struct update_service service = {get, t->session->fetcher};
    return updates_check(t->session->arena, &service, r, out, why);
}

/* --- the base -----------------------------------------------------------------------------------
 */

/* What is known of the image in use: by the lock, else by the cache. Empty where nothing is. */
struct image {
    char sha256[DIGEST_HEX_MAX], sha512[DIGEST_HEX_MAX];
};

static void know_image(struct updates_report *t, const struct base *base,
                       const struct lock_arch *locked, struct image *out)
{
    const struct fetch_request r = {
        .url = base->image.text, .verify = &base->verify, .what = "base image"};
    *out = (struct image){0};
    if (locked && locked->base.url &&
        strcmp(locked->base.url, lock_key(t->session->arena, base->image.text)) == 0) {
        snprintf(out->sha256, sizeof out->sha256, "%s", locked->base.sha256);
        snprintf(out->sha512, sizeof out->sha512, "%s",
                 locked->base.sha512 ? locked->base.sha512 : "");
    } else if (!fetch_known(t->session->store, &r, out->sha256)) {
        out->sha256[0] = '\0';
    }
}

/* The digest of that kind that the image in use has; "" where it cannot be told. */
static bool digest_of_image(struct updates_report *t, const struct image *image,
                            enum digest_kind kind, char hex[DIGEST_HEX_MAX], struct error **err)
{
    const char *known = kind == DIGEST_SHA256 ? image->sha256 : image->sha512;
    snprintf(hex, DIGEST_HEX_MAX, "%s", known);
    if (*hex || !*image->sha256 || !store_has(t->session->store, image->sha256))
        return true;
    autofree char *blob = store_blob_path(t->session->store, image->sha256);
    uint64_t size;
    return digest_file(kind, blob, hex, &size, err);
}

/* A release's folder may be replaced in place: then its checksums say another digest than the image
 * in use has. */
static bool ask_checksums(struct updates_report *t, const struct base *base,
                          const struct image *image, struct update *u, struct error **why)
{
    struct arena *a = t->session->arena;
    const struct fetch_request r = {
        .url = base->image.text, .verify = &base->verify, .what = "base image"};
    struct expectation e = {0};
    char mine[DIGEST_HEX_MAX];
    bool is_newest = u->sha256 && strcmp(u->sha256, image->sha256) == 0;
    if (base->verify.kind != VERIFY_CHECKSUMS || !*image->sha256 || is_newest)
        return true;
    if (!verify_expect(t->session->fetcher, a, &r, &e, why) ||
        !digest_of_image(t, image, e.digest_kind, mine, why))
        return false;
    if (!e.digest_known || !*mine)
        return true;
    const char *kind = digest_name(e.digest_kind);
    if (!u->current)
        u->current = arena_printf(a, "%s:%.12s", kind, mine);
    if (strcmp(mine, e.digest) == 0) {
        u->available = u->available ? u->available : u->current;
        return true;
    }
    const char *note = "the image was replaced at the same URL";
    u->newer = true;
    u->available = arena_printf(a, "%s:%.12s", kind, e.digest);
    u->note = u->note ? arena_printf(a, "%s; %s", note, u->note) : note;
    if (e.digest_kind == DIGEST_SHA256)
        u->sha256 = arena_strdup(a, e.digest);
    return true;
}

static const char *base_note(const struct base *base, const struct image *image)
{
    if (base->verify.kind == VERIFY_DIGEST)
        return "pinned by its digest, and nobody says what is newer";
    if (base->verify.kind == VERIFY_CHECKSUMS && !*image->sha256)
        return "no image is locked or fetched yet";
    return "nobody says what is newer";
}

bool updates_of_base(struct updates_report *t, const struct recipe *r,
                     const struct lock_arch *locked, struct error **err)
{
    struct arena *a = t->session->arena;
    const struct base *base = &r->base;
    autoerror struct error *why = NULL;
    struct image image;
    if (base->kind != BASE_IMAGE)
        return true; /* made from packages, which are asked about */
    autofree char *shown = url_redact(base->image.text);
    struct update u = {
        .what = arena_printf(a, "base %s", base->profile ? base->profile : path_basename(shown))};
    know_image(t, base, locked, &image);
    if (base->updates.kind != UPDATE_NONE) {
        struct update_request q = {.source = &base->updates,
                                   .image = base->image.text,
                                   .sha256 = *image.sha256 ? image.sha256 : NULL,
                                   .what = u.what};
        if (!ask(t, &q, &u, &why))
            return updates_add(t, &u, &why, err);
    }
    if (!u.newer && !ask_checksums(t, base, &image, &u, &why))
        return updates_add(t, &u, &why, err);
    if (!u.available && !u.note)
        u.note = base_note(base, &image);
    return updates_add(t, &u, NULL, err);
}

/* --- the distribution ---------------------------------------------------------------------------
 */

bool updates_of_distribution(struct updates_report *t, const struct recipe *r, struct error **err)
{
    struct arena *a = t->session->arena;
    const struct distribution *d = &r->distribution;
    autoerror struct error *why = NULL;
    if (!d->version)
        return true; /* none, or it comes with the packages */
    struct update u = {.what = arena_printf(a, "distribution %s", d->name.text),
                       .current = arena_strdup(a, d->version)};
    if (d->updates.kind == UPDATE_NONE) {
        u.note = "nobody says what is newer";
        return updates_add(t, &u, NULL, err);
    }
    struct update_request q = {.source = &d->updates, .current = d->version, .what = u.what};
    if (!ask(t, &q, &u, &why))
        u.current = arena_strdup(a, d->version);
    return updates_add(t, &u, &why, err);
}
