/* What the seal takes out of an image: identity, random seeds, state and leftovers that clones must
 * not share. One table: the plan prints it, the bake carries it out, then asserts it.
 */
#ifndef INGOT_PLAN_SEAL_H
#define INGOT_PLAN_SEAL_H

#include "base/attributes.h"

enum seal_action {
    SEAL_EMPTY,  /* the file is cut to nothing and stays; not made where it is absent */
    SEAL_REMOVE, /* a file or a whole folder */
    SEAL_CLEAR,  /* what is in the folder; the folder stays */
};

struct seal_item {
    enum seal_action action;
    const char *path; /* the last component may be a glob(7) pattern */
    const char *why;
};

extern const struct seal_item seal_items[];
extern const size_t seal_item_count;
extern const char *const seal_action_names[]; /* "empty", "remove", "clear" */

#endif
