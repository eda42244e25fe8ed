/* What the commands of ingot share: the cache, the reader of local files, where names are looked
 * up, and loading a recipe with its diagnostics printed.
 */
#ifndef INGOT_INGOT_SESSION_H
#define INGOT_INGOT_SESSION_H

#include "base/cli.h"
#include "inputs/inputs.h"
#include "recipe/recipe.h"
#include "resolve/lock.h"
#include "source/fetch.h"
#include "source/store.h"

struct session {
    struct arena *arena;
    struct store *store;       /* NULL until session_cache */
    struct fetcher *fetcher;   /* NULL until session_cache; offline as session_cache was told */
    int use;                   /* the share of the cache, or -1 */
    struct inputs *inputs;     /* NULL until session_cache */
    const char *const *search; /* NULL-terminated */
    bool overridden;           /* the recipe that was loaded last has overrides */
};

/* Settings and search folders only: for commands that touch no cache. *out is to be freed even on
 * failure. */
bool session_open(struct session **out, struct error **err) must_check;
/* How a command fetches: its options --offline, --mirror, --jobs. */
struct session_network {
    bool offline;
    unsigned jobs;                  /* 0: the fetcher's own number */
    const struct cli_list *mirrors; /* --mirror, tried before those of INGOT_MIRROR; or NULL */
};
/* Opens the cache, the memory of input digests and the fetcher; network NULL: offline. */
bool session_cache(struct session *s, const struct session_network *network, struct error **err)
    must_check;
/* Both, and a share of the cache, which is not cleaned up before the session is freed: for commands
 * that use what is in it. *out is to be freed even on failure. */
bool session_start(struct session **out, const struct session_network *network, struct error **err)
    must_check;
void session_free(struct session *s);

/* Finds and loads a recipe, with `--set` values and INGOT_SET_… variables; warnings are printed on
 * stderr, and on failure every error is. locked refuses overrides (ERROR_TRUST). */
bool session_recipe(struct session *s, const char *given, const struct cli_list *sets, bool locked,
                    struct recipe **out, struct error **err) must_check;

/* The same, and each diagnostic is appended to the JSON array `list` (may be NULL). */
bool session_diagnose(struct session *s, const char *given, const struct cli_list *sets,
                      bool locked, struct recipe **out, json_t *list, struct error **err)
    must_check;

/* Seconds since the epoch for everything that is written: SOURCE_DATE_EPOCH, else the lock's, else
 * (locked NULL: what a new lock gets) the start of the present day in UTC, so that recipes locked
 * on one day share layers. */
bool session_epoch(const struct lock *locked, int64_t *epoch, struct error **err) must_check;
/* The same with the lock beside a recipe. */
bool session_recipe_epoch(struct session *s, const struct recipe *r, int64_t *epoch,
                          struct error **err) must_check;

/* A command that does the same to each of its arguments, with the cache in use: options are the
 * command's own, and what `one` appends to list is printed with --json as {name: list}. */
bool session_each(const struct cli *cli, const struct session_network *network, const char *name,
                  bool (*one)(const struct cli *cli, const void *options, struct session *s,
                              const char *given, json_t *list, struct error **err),
                  const void *options, struct error **err) must_check;

static inline void cleanup_session(struct session **s)
{
    session_free(*s);
}
#define autosession cleanup(cleanup_session)

#endif
