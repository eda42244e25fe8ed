/* What the seal takes out of an image: identity, random seeds, state and leftovers that clones must
 * not share. One table: the plan prints it and has it in its key, the bake carries it out and then
 * asserts it.
 */
#ifndef INGOT_PLAN_SEAL_H
#define INGOT_PLAN_SEAL_H

#include "base/attributes.h"

enum seal_action {
    SEAL_REMOVE,      /* the file or tree */
    SEAL_REMOVE_FILE, /* only if it is a file: a link there is as it should be */
    SEAL_EMPTY,       /* cut to nothing, kept */
    SEAL_CLEAR,       /* all in the folder, which stays */
    SEAL_LOGS         /* every file below is cut, old ones are removed; folders stay */
};

struct seal_item {
    enum seal_action action;
    const char *path; /* may have shell wildcards in any component */
    const char *why;  /* for people */
};

extern const struct seal_item seal_items[];
extern const size_t seal_item_count;
extern const char *const seal_action_names[]; /* "remove", "empty", "clear" */

#endif
