/* Versions as people count them. */
#ifndef INGOT_UPDATES_VERSION_H
#define INGOT_UPDATES_VERSION_H

#include "base/attributes.h"

/* Less than, equal to or greater than 0, as a is older than, the same as or newer than b. A total
 * order over all texts:
 *
 * - a `v` before the first digit does not count; runs of digits are numbers of any length
 *   (3.23.10 > 3.23.9, 20241004 > 20240423, 1.01 = 1.1);
 * - what follows a `-` or `~`, and Alpine's `_alpha`, `_beta`, `_pre`, `_rc`, comes before the
 *   release (1.2.0-rc1 < 1.2.0);
 * - what follows a `+`, revisions (`-r1`) and Alpine's other suffixes (`_p1`) come after it and
 *   count (v1.37.1+k3s1 < v1.37.1+k3s2);
 * - letters come after that (1.1.1 < 1.1.1a), and then a further component (1.2 < 1.2.1). */
int version_compare(const char *a, const char *b);

/* True for what a service may call a version: letters, digits, `.`, `_`, `-`, `+` and `~`, at least
 * one digit, a letter or digit first, at most 64 characters. */
bool version_is_valid(const char *s);
/* True for a date "2026-11-21" that can be: month 01 to 12, day 01 to 31. */
bool version_is_date(const char *s);

#endif
