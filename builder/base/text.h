/* Small things about strings. */
#ifndef INGOT_BASE_TEXT_H
#define INGOT_BASE_TEXT_H

#include "base/attributes.h"

/* The one of `names` that is near enough to `given` to be what was meant, or NULL. */
const char *text_nearest(const char *given, const char *const *names, size_t count);
bool text_starts_with(const char *s, const char *prefix);
bool text_ends_with(const char *s, const char *suffix);

#endif
