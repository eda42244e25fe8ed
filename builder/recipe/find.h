/* Where things that have a name are looked for. */
#ifndef INGOT_RECIPE_FIND_H
#define INGOT_RECIPE_FIND_H

#include "recipe/recipe.h"

/* The file or folder of that name: first in `dir` (the recipe's own folder; may be NULL), then in
 * the search folders (NULL: none). An absolute path in the arena, or NULL. */
const char *find_named(struct arena *a, const char *dir, const char *const *search,
                       enum recipe_lookup kind, const char *name);
/* An absolute path as messages show it: relative to the current folder where it is below that. */
const char *find_shown(struct arena *a, const char *path);
/* "; did you mean 'x'?" or "; there are x, y": what to say when nothing has that name. */
const char *find_hint(struct arena *a, const char *dir, const char *const *search,
                      enum recipe_lookup kind, const char *name);

#endif
