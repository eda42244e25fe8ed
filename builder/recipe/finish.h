/* From a draft and the profiles that it names to the recipe: what no single key can say. */
#ifndef INGOT_RECIPE_FINISH_H
#define INGOT_RECIPE_FINISH_H

#include "recipe/bind.h"

struct finish {
    struct binder *binder; /* arena, diagnostics, provenance */
    struct draft *draft;
    const struct node *root; /* the merged recipe */
    const struct recipe_options *options;
    const char *const *read_files; /* grows with the profiles */
    size_t read_file_count;
    const char *firmware; /* what `@{firmware}` means: while the base's image is looked at */
    bool failed;          /* a profile is missing or wrong: nothing that depends on it is checked */
};

/* Reads a profile into `out` by its key table; false (and failed is set) if it is not there or
 * wrong. The file's name goes to *file. */
bool finish_read_profile(struct finish *f, enum recipe_lookup kind, struct text_at name,
                         const struct type *type, void *out) must_check;
/* Completes what a recipe says of its base's verification with what the profile says. */
void finish_verify_over(struct finish *f, struct verify *v, const struct verify *below);
/* Fills in its URLs (url: of what is verified, for warnings), and finds the OpenPGP key: as it is
 * named, else as keys/FINGERPRINT.asc or .gpg in the recipe's folder and the search folders. */
void finish_verify(struct finish *f, struct verify *v, const char *url, const char *key,
                   const char *version);
/* recipe.base, from the draft and its profile. */
void finish_base(struct finish *f);
/* recipe.distribution and all lists that its profile adds to. Needs recipe.base. */
void finish_distribution(struct finish *f);
/* Everything: the draft's recipe is complete afterwards, if no error was found. */
void finish_recipe(struct finish *f);

/* The text with `@{version}`, `@{arch}`, `@{gnu_arch}`, `@{firmware}` filled in, percent-encoded
 * where it is a URL. version may be NULL: then `@{version}` is an error. */
const char *finish_fill(struct finish *f, struct text_at text, const char *key,
                        const char *version);

/* The same for the texts of `updates:`. */
void finish_updates(struct finish *f, struct update_source *u, const char *key,
                    const char *version);

void finish_error(struct finish *f, struct place place, const char *key, const char *fmt, ...)
    printf_like(4, 5);

#endif
