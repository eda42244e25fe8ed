/* Nodes into structures by the key table, with everything that is wrong reported. */
#ifndef INGOT_RECIPE_BIND_H
#define INGOT_RECIPE_BIND_H

#include "recipe/keys.h"

struct binder {
    struct arena *arena;
    struct diagnostics *found;
    size_t errors; /* reported by this binder */
    bool partial;  /* a file that others may complete: nothing is required, no default is stored */
    const char *prefix;                  /* of provenance paths: "", "base", "distribution" */
    const struct provenance *provenance; /* NULL while partial */
    size_t provenance_count;
};

/* Stores the node at `out` (of the structure that the type describes). Errors go to b->found. */
void bind_node(struct binder *b, const struct type *type, const struct node *n, const char *path,
               void *out);
/* Notes where a value came from. */
void bind_note(struct binder *b, const char *path, const char *value, const char *origin);
void bind_error(struct binder *b, struct place place, const char *path, const char *fmt, ...)
    printf_like(4, 5);

/* `read` functions of types: the node is a scalar that has been checked. */
void read_text(struct binder *b, const struct node *n, const char *path, void *out); /* char * */
void read_text_at(struct binder *b, const struct node *n, const char *path, void *out);
void read_size(struct binder *b, const struct node *n, const char *path, void *out); /* uint64_t */
void read_unsigned(struct binder *b, const struct node *n, const char *path, void *out);
void read_bool(struct binder *b, const struct node *n, const char *path, void *out);
void read_mode(struct binder *b, const struct node *n, const char *path, void *out); /* mode_t */
/* A host path, made absolute from the folder of its file; a URL stays. struct text_at. */
void read_host_path(struct binder *b, const struct node *n, const char *path, void *out);
void read_any(struct binder *b, const struct node *n, const char *path, void *out); /* node_at */

/* A path on the host as written in a node's file. */
const char *host_path(struct arena *a, const struct node *n, const char *text);
/* "file:line" for --explain. */
const char *node_origin(struct arena *a, const struct node *n);

#endif
