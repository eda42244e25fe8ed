/* Collecting what is wrong with recipes: all of it, in the order of place, each thing once. */
#ifndef INGOT_RECIPE_DIAGNOSTICS_H
#define INGOT_RECIPE_DIAGNOSTICS_H

#include "recipe/recipe.h"

void diagnostics_error(struct diagnostics *d, struct place place, const char *key, const char *fmt,
                       ...) printf_like(4, 5);
void diagnostics_warning(struct diagnostics *d, struct place place, const char *key,
                         const char *fmt, ...) printf_like(4, 5);
/* By file in the order in which files were first mentioned, then line and column. */
void diagnostics_sort(struct diagnostics *d);
/* The first error and how many more there are, as *err; false. There must be one. */
bool diagnostics_fail(const struct diagnostics *d, enum error_kind kind, struct error **err);

#endif
