/* A plan in the making: shared by the files of this layer only.
 *
 * Entries are added in ascending precedence: overlays in their order, then what the profile and the
 * recipe's settings generate, then the recipe's own directories and files. builder_finish sorts
 * them and settles conflicts.
 */
#ifndef INGOT_PLAN_BUILD_H
#define INGOT_PLAN_BUILD_H

#include "plan/plan.h"

struct draft {
    struct plan_entry entry;
    size_t order; /* the later one wins */
    bool has_children;
    bool dropped;
};

struct builder {
    struct arena *arena;
    const struct recipe *recipe;
    struct inputs *inputs;
    const struct facts *facts;
    int64_t epoch;
    struct draft *drafts;
    size_t count;
    /* What cannot be said before the base has been looked at. */
    const char **open;
    size_t open_count;
};

/* The init system: of the facts, else as the base's profile says it; INIT_UNKNOWN. */
enum init_system builder_init(const struct builder *b);
/* Notes something that the plan cannot say yet; each text once. */
void builder_open(struct builder *b, const char *text);

/* Adds an entry: checks the path and set-uid bits, writes /lib and its like as /usr/lib where the
 * guest has merged them. The entry's strings must live in the arena or the recipe. */
bool builder_add(struct builder *b, struct plan_entry e, struct error **err) must_check;
/* Adds a file with this text (owned by the arena), mode 0644 root:root. */
bool builder_add_text(struct builder *b, const char *path, const char *text, size_t size,
                      mode_t mode, const char *origin, struct error **err) must_check;
bool builder_add_link(struct builder *b, const char *path, const char *target, const char *origin,
                      struct error **err) must_check;
bool builder_add_absent(struct builder *b, const char *path, const char *origin, struct error **err)
    must_check;
/* The entry that wins at this path so far, or NULL. */
const struct plan_entry *builder_find(const struct builder *b, const char *path);
/* "recipe.yaml:12:3 files" */
const char *builder_origin(struct builder *b, struct place place, const char *what);
/* A path as it is in this guest: /lib/x is /usr/lib/x where they are merged. */
const char *builder_guest_path(struct builder *b, const char *path);
/* A small file's text: of its content, or of its source. */
bool builder_entry_text(struct builder *b, const struct plan_entry *e, const char **text,
                        size_t *size, struct error **err) must_check;

/* Sorts, settles conflicts, and gives the entries. */
bool builder_finish(struct builder *b, const struct plan_entry **entries, size_t *count,
                    struct error **err) must_check;

/* The parts, in this order. */
bool builder_overlays(struct builder *b, struct error **err) must_check;
bool builder_sources(struct builder *b, struct error **err) must_check;
bool builder_settings(struct builder *b, struct error **err) must_check;
bool builder_files(struct builder *b, struct error **err) must_check;
bool builder_services(struct builder *b, struct error **err) must_check;

/* Layer keys; fills plan->layers. */
void plan_make_layers(struct plan *p, const char *base_digest);

#define PLAN_TEXT_MAX ((size_t)1 << 20) /* templates, units: what is read as a text */

#endif
