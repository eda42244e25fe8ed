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

/* Compares versions as people count them: runs of digits as numbers, the rest as text, and what
 * follows a `-` (rc1, beta) comes before the release; a `v` in front and build metadata behind `+`
 * count: v1.9.0+k3s2 is newer than v1.9.0+k3s1, 3.23.10 than 3.23.9. */
int version_compare(const char *a, const char *b);

struct update {
    const char *what;      /* "base alpine-3.24", "distribution k3s", "package podman" */
    const char *current;   /* version or serial; NULL: not known */
    const char *available; /* the newest; the same as current: none newer */
    const char *url;       /* of the newer thing, where the service says it, else NULL */
    const char *note;      /* "end of life 2028-06-01", or NULL */
    bool newer;
};

/* Fetches one text for a checker; the caller's (source/fetch.h underneath). */
struct update_service {
    bool (*get)(void *data, const char *url, size_t max_bytes, char **text, size_t *size,
                struct error **err);
    void *data;
};

/* What a profile says under `updates:`. */
struct update_request {
    const struct update_source *source; /* recipe.h */
    const char *current;                /* version that the recipe or the lock has */
    const char *image;                  /* URL of the base image as it is, or NULL */
    enum architecture arch;
    const char *what;
};
/* ERROR_UNREACHABLE, or ERROR_INPUT for an answer that is not what the service gives. */
bool updates_check(struct arena *a, const struct update_service *s, const struct update_request *r,
                   struct update *out, struct error **err) must_check;

#endif
