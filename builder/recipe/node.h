/* YAML as a tree of nodes, before anything is known about what the keys mean. All nodes live in an
 * arena. Every node knows where it was written.
 */
#ifndef INGOT_RECIPE_NODE_H
#define INGOT_RECIPE_NODE_H

#include "base/arena.h"
#include "recipe/recipe.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node;

struct node_entry {
    const char *name;
    struct place place; /* of the key */
    struct node *value;
};

struct node {
    enum node_kind kind;
    struct place place;
    const char *dir;    /* absolute folder that relative paths in this node start from */
    const char *origin; /* for --explain: "recipe.yaml", "--set", "INGOT_SET_…"; see `place` */
    /* NODE_SCALAR */
    const char *text;
    bool plain; /* written without quotes */
    /* NODE_LIST */
    struct node **items;
    /* NODE_MAP, in the order in which they were written */
    struct node_entry *entries;
    size_t count; /* of items or entries */
};

struct node *node_scalar(struct arena *a, const struct node *like, const char *text);
struct node *node_map(struct arena *a, const struct node *like);
/* The value of a key, or NULL. m may be NULL or no map. */
struct node *node_get(const struct node *m, const char *name);
/* Sets a key: one that is there is replaced where it stands, else added at the end. */
void node_set(struct arena *a, struct node *m, const char *name, struct place place,
              struct node *value);
/* Another tree of maps with the same leaves, so that one of them can be changed. */
struct node *node_copy(struct arena *a, const struct node *n);

/* What a plain scalar is to YAML's core schema. Quoted ones are text. */
enum scalar_kind { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_INTEGER, SCALAR_FLOAT };
enum scalar_kind node_scalar_kind(const struct node *n);
/* "a list", "a map", "empty", "true or false", "a number", "text" */
const char *node_kind_name(const struct node *n);
/* A node in YAML's flow style for people, at most about 200 bytes. Lives in the arena. */
const char *node_to_line(struct arena *a, const struct node *n);

#endif
