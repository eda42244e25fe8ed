/* One YAML document (https://yaml.org/spec/1.2.2/) as nodes, through libyaml.
 *
 * Stricter than YAML: one document, no aliases, anchors, tags, directives or merge keys, no
 * duplicate keys, no tab outside quotes and block scalars, nesting up to 64, at most 2048
 * keys in a map and 4096 items in a list, at most 1 MiB, UTF-8.
 */
#ifndef INGOT_RECIPE_YAML_H
#define INGOT_RECIPE_YAML_H

#include "recipe/diagnostics.h"
#include "recipe/node.h"

#define DOCUMENT_MAX_BYTES ((size_t)1 << 20)
#define DOCUMENT_MAX_DEPTH 64
#define DOCUMENT_MAX_KEYS 2048
#define DOCUMENT_MAX_ITEMS 4096

struct document_source {
    const char *name;   /* for messages; the places of all nodes point to it */
    const char *dir;    /* absolute folder for relative paths */
    const char *origin; /* for --explain */
    bool one_line;      /* a value on a command line: places have no line and column */
};

/* NULL if the text is refused, with the reasons in `found`. Nodes and their strings live in `a`;
 * source's strings must live as long. An empty text gives a scalar that is null. */
struct node *document_parse(struct arena *a, const struct document_source *source, const char *text,
                            size_t size, struct diagnostics *found);
/* The same for a file; that it cannot be read is a diagnostic as well. */
struct node *document_read(struct arena *a, const struct document_source *source, const char *path,
                           struct diagnostics *found);
/* A node as YAML in block style, with a newline at the end; plain scalars stay plain. Lives in the
 * arena. */
const char *document_write(struct arena *a, const struct node *n);

#endif
