/* Is there something newer? One small checker for each service that says so, behind one table:
 * alpine.c (releases.json and the directory index), simplestreams.c (Ubuntu), github.c (the latest
 * release), k3s.c (its channels).
 *
 * Checkers are pure: they read answers that the caller has fetched. What they are asked of stands
 * in profiles (`updates:`).
 */
#ifndef INGOT_UPDATES_UPDATES_H
#define INGOT_UPDATES_UPDATES_H

#include "base/arena.h"
#include "base/error.h"
#include "recipe/recipe.h"

struct update {
    const char *what;      /* "base alpine-3.24", "distribution k3s", "package podman" */
    const char *current;   /* version or serial; NULL: not known */
    const char *available; /* the newest that the service has, older or newer than current; NULL:
                              not known */
    const char *url;       /* of the newer thing, where the service says it, else NULL */
    const char *sha256;    /* of the newer thing, where the service says it, else NULL */
    const char *note;      /* "supported until 2028-06-01", or NULL */
    bool newer;            /* available is newer than current */
};

/* Fetches one text for a checker; the caller's (source/fetch.h underneath). *text is to be freed,
 * and need not end in a NUL. */
struct update_service {
    bool (*get)(void *data, const char *url, size_t max_bytes, char **text, size_t *size,
                struct error **err);
    void *data;
};

/* What a profile says under `updates:`. */
struct update_request {
    const struct update_source *source; /* recipe.h */
    const char *current; /* version that the recipe has; bases: NULL, it is seen from `image` */
    const char *image;   /* URL of the base image as it is, or NULL */
    const char *sha256;  /* that the image has: of the lock or the cache; NULL: not known */
    const char *today;   /* "2026-11-21", to tell what is past; NULL: nothing is */
    const char *what;
};
/* Asks the source's service (ERROR_INTERNAL for UPDATE_NONE). Everything in *out lives in the
 * arena; it is zeroed on failure but for `what`. ERROR_UNREACHABLE and whatever else the caller's
 * `get` says, or ERROR_INPUT for an answer that is not what the service gives: it names the URL. */
bool updates_check(struct arena *a, const struct update_service *s, const struct update_request *r,
                   struct update *out, struct error **err) must_check;

#endif
