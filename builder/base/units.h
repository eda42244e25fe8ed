/* Numbers as people write them: sizes with IEC units, durations, octal modes. */
#ifndef INGOT_BASE_UNITS_H
#define INGOT_BASE_UNITS_H

#include "base/attributes.h"

#include <stdint.h>
#include <sys/types.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* "8GiB", "512MiB", "1.5GiB", "4096" (bytes), into bytes. Decimal units (GB) and a bare "G" are
 * refused, as is what does not fit. *why, if false, is a constant string that says what is wrong.
 */
bool units_parse_size(const char *s, uint64_t *bytes, const char **why) must_check;
/* "90s", "20m", "2h", "1h30m" into seconds. */
bool units_parse_duration(const char *s, uint64_t *seconds, const char **why) must_check;
/* Three or four octal digits, "0644". */
bool units_parse_mode(const char *s, mode_t *mode, const char **why) must_check;

/* "1.5 GiB", "17 KiB", "812 B" for people; room for 16 bytes. */
char *units_format_size(uint64_t bytes, char out[16]);
/* "1h02m", "3m07s", "12s"; room for 16 bytes. */
char *units_format_duration(uint64_t seconds, char out[16]);

#endif
