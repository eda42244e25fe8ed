/* The seed of an image: what a recipe's `boot:` says, as the NoCloud values of cidata/. */
#ifndef INGOT_EMIT_SEED_H
#define INGOT_EMIT_SEED_H

#include "cidata/cidata.h"
#include "inputs/inputs.h"
#include "recipe/recipe.h"
#include "resolve/facts.h"

/* Fills a seed; its strings live in the arena or the recipe. Key files and the password's hash are
 * read through inputs. facts may be NULL (then the base's profile says which kind of seed). An
 * empty instance_id is replaced by one made from the recipe's title. */
bool seed_make(struct arena *a, const struct recipe *r, struct inputs *in,
               const struct facts *facts, int64_t epoch, const char *instance_id,
               struct cidata *out, struct error **err) must_check;

/* Reads public keys from a file, one a line; comments and empty lines are passed over. */
bool seed_read_keys(struct arena *a, struct inputs *in, const char *path, const char ***keys,
                    size_t *count, struct error **err) must_check;
/* Reads a crypt(5) hash from a file; anything else in it is ERROR_INPUT, and is not repeated. */
bool seed_read_hash(struct arena *a, struct inputs *in, const char *path, const char **hash,
                    struct error **err) must_check;

#endif
