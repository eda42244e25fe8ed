/* NAME.in files: `@{name}` is replaced by a value that the recipe gives, `@@{` is a literal `@{`.
 * The shell, OpenRC and systemd own `${}`; a lone `@` is itself.
 */
#ifndef INGOT_PLAN_TEMPLATE_H
#define INGOT_PLAN_TEMPLATE_H

#include "base/buffer.h"
#include "recipe/recipe.h"

/* Appends the filled text to out. name is the template's, for messages. ERROR_INPUT with file, line
 * and column for an unknown name (with a near miss), one that is not closed, and for NUL bytes. */
bool template_fill(const struct template_value *values, size_t count, const char *name,
                   const char *text, size_t size, struct buffer *out, struct error **err)
    must_check;

#endif
