/* A package repository of a recipe, with its key as a file on the host. */
#ifndef INGOT_RESOLVE_REPOSITORY_H
#define INGOT_RESOLVE_REPOSITORY_H

#include "recipe/recipe.h"

struct package_repository {
    const struct repository *repository;
    const char *key;      /* host file of the public key, fetched if the recipe gave a URL */
    const char *key_name; /* apk: the name that signatures know the key by, "x-1.rsa.pub" */
};

#endif
