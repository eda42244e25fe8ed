/* The recipe's own commands (`run:`) in the guest: no network, output to the build log. */
#ifndef INGOT_BAKE_RUN_H
#define INGOT_BAKE_RUN_H

#include "disk/appliance.h"
#include "recipe/recipe.h"

/* In the order of the recipe; the first that fails is ERROR_GUEST with its place and last lines. */
bool bake_run(struct appliance *a, const struct recipe *r, struct error **err) must_check;

#endif
