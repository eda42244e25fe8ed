/* Laying one tree over another: includes, overrides. */
#ifndef INGOT_RECIPE_MERGE_H
#define INGOT_RECIPE_MERGE_H

#include "recipe/keys.h"

/* What `over` makes of `below` (NULL: nothing there): maps are merged by key, scalars and lists
 * replace, `key+` appends. The type (may be NULL) knows which maps are replaced whole and which
 * scalars are short for a map. Neither tree is changed; the result may share nodes with both. */
struct node *merge(struct arena *a, const struct type *type, const struct node *below,
                   const struct node *over, struct diagnostics *found);

/* The override as a tree that can be merged over a recipe; NULL with a diagnostic. */
struct node *override_tree(struct arena *a, const struct recipe_override *o,
                           struct diagnostics *found);

#endif
