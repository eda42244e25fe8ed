/* The plan: a value that says all that a build will do, before it does any of it.
 *
 * A pure function of the recipe and its inputs. It can be printed, hashed and compared with no
 * disk, no network and no virtual machine. Everything lives in the plan's arena and is constant.
 */
#ifndef INGOT_PLAN_PLAN_H
#define INGOT_PLAN_PLAN_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/json.h"
#include "inputs/inputs.h"
#include "recipe/recipe.h"
#include "resolve/facts.h"
#include "resolve/resolution.h"

/* --- the payload ------------------------------------------------------------------------------ */

/* One thing that the payload puts into the guest. Paths are clean absolute guest paths. */
enum entry_kind {
    ENTRY_DIRECTORY, /* made if absent; mode and owner set only if `force`. Folders that only hold
                        other entries are not named: whoever lays the payload makes what lacks, 0755
                        root:root, and leaves what is there as it is */
    ENTRY_FILE,      /* content, or the host file `source` */
    ENTRY_LINK,      /* symbolic link to `target` */
    ENTRY_ABSENT,    /* removed if there (a link that disables a service) */
    ENTRY_ARCHIVE    /* members of the host archive `source`, below path; see struct source */
};

struct plan_entry {
    enum entry_kind kind;
    const char *path;
    const char *origin;  /* for people: "overlays/k3s/common", "recipe.yaml:12:3 files" */
    const char *content; /* ENTRY_FILE with inline text, else NULL */
    size_t size;         /* of the content or of the source */
    const char *source;  /* host path (ENTRY_FILE without content, ENTRY_ARCHIVE) or NULL */
    const char *url;     /* set where `source` is a blob that is to be fetched first: its URL */
    const char *digest;  /* SHA-256 of content or source, hexadecimal; NULL: not known before the
                            fetch (a SHA-512 or a checksum file verifies it; see inputs_learn) */
    const struct verify *verify; /* with url: how it is verified */
    const char *target;          /* ENTRY_LINK */
    const char *unpack;          /* ENTRY_ARCHIVE: "tar" or "zip"; mode 0: as in the archive */
    const char *const *members;  /* ENTRY_ARCHIVE: only these; NULL: all */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool force;
};

/* --- the plan ----------------------------------------------------------------------------------
 */

/* Something fetched before the bake. */
struct plan_fetch {
    const char *url; /* or an absolute host path */
    const struct verify *verify;
    const char *why;    /* "base image", "source for /usr/local/bin/k3s" */
    const char *sha256; /* the blob, where it is known: given by the recipe or learned; else NULL */
};

enum layer_kind { LAYER_BASE, LAYER_SYSTEM, LAYER_PAYLOAD, LAYER_RUN, LAYER_SEAL, LAYER_KINDS };
extern const char *const layer_names[LAYER_KINDS];

struct plan_layer {
    enum layer_kind kind;
    const char *key; /* 64 hexadecimal digits, or NULL while packages are unresolved */
};

struct plan {
    struct arena *arena;
    const struct recipe *recipe;
    const struct facts *facts;           /* NULL: the base has not been looked at yet */
    const struct resolution *resolution; /* NULL: unresolved, or nothing to install */
    int64_t epoch;                       /* seconds; every time that is written */
    const struct plan_fetch *fetches;
    size_t fetch_count;
    const char *const *packages_wanted; /* those not in the base, sorted; NULL at the end; NULL
                                           itself without facts */
    const char *const *repository_keys; /* of the recipe's package repositories, in its order: the
                                           SHA-256 of the key, or the fingerprint that the recipe
                                           says */
    const struct plan_entry *entries;   /* sorted by path */
    size_t entry_count;
    const char *const *open; /* what cannot be said before the base has been looked at,
                                for people; NULL at the end */
    struct plan_layer layers[LAYER_KINDS]; /* those that the build has, from the bottom */
    size_t layer_count;
};

/* Makes the plan. facts and resolution may be NULL (then packages are unresolved and no layer above
 * the base has a key). base_digest is the SHA-256 of the base image as fetched, or for a bootstrap
 * the key of its inputs; NULL where it is not known yet. The plan keeps pointers into recipe,
 * facts, resolution and inputs. */
bool plan_make(const struct recipe *recipe, struct inputs *inputs, const char *base_digest,
               const struct facts *facts, const struct resolution *resolution, int64_t epoch,
               struct plan **out, struct error **err) must_check;
void plan_free(struct plan *p);

/* A guest path as it is in this guest: /lib/x is /usr/lib/x where facts say that they are merged.
 * The path itself, or a new one in the arena. */
const char *plan_guest_path(struct arena *a, const struct facts *facts, const char *path);

json_t *plan_to_json(const struct plan *p);
void plan_print(const struct plan *p, bool explain, FILE *out);
/* The text that the plan puts at this guest path; ERROR_INPUT with near misses where it puts none.
 */
bool plan_show(const struct plan *p, const char *path, FILE *out, struct error **err) must_check;

static inline void cleanup_plan(struct plan **p)
{
    plan_free(*p);
}
#define autoplan cleanup(cleanup_plan)

#endif
