#include "base/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

bool units_parse_size(const char *s, uint64_t *bytes, const char **why)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0},     {"B", 0},    {"KiB", 10}, {"MiB", 20},
                 {"GiB", 30}, {"TiB", 40}, {"PiB", 50}};
    *why = "a size is a number with B, KiB, MiB, GiB or TiB behind it, such as 8GiB";
    if (!isdigit((unsigned char)*s))
        return false;
    uint64_t whole = 0;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
            goto too_large;
    double fraction = 0, weight = 0.1;
    if (*s == '.') {
        s++;
        if (!isdigit((unsigned char)*s))
            return false;
        for (; isdigit((unsigned char)*s); s++, weight /= 10)
            fraction += weight * (*s - '0');
    }
    while (*s == ' ')
        s++;
    for (size_t i = 0; i < COUNT(units); i++) {
        if (strcmp(s, units[i].name) != 0)
            continue;
        uint64_t unit = (uint64_t)1 << units[i].shift;
        uint64_t more = (uint64_t)(fraction * (double)unit + 0.5);
        if (__builtin_mul_overflow(whole, unit, &whole) ||
            __builtin_add_overflow(whole, more, &whole))
            goto too_large;
        *bytes = whole;
        return true;
    }
    static const char *const decimal[] = {"KB", "kB", "MB", "GB", "TB", "K", "M", "G", "T"};
    for (size_t i = 0; i < COUNT(decimal); i++)
        if (strcmp(s, decimal[i]) == 0)
            *why = "sizes have IEC units: KiB, MiB, GiB, TiB";
    return false;
too_large:
    *why = "the size is too large";
    return false;
}

bool units_parse_duration(const char *s, uint64_t *seconds, const char **why)
{
    *why = "a duration is a number with s, m or h behind it, such as 90s or 1h30m";
    uint64_t total = 0;
    uint64_t last = UINT64_MAX;
    if (!*s)
        return false;
    while (*s) {
        uint64_t n = 0, unit;
        if (!isdigit((unsigned char)*s))
            return false;
        for (; isdigit((unsigned char)*s); s++) {
            n = n * 10 + (uint64_t)(*s - '0');
            if (n > UINT32_MAX) {
                *why = "the duration is too long";
                return false;
            }
        }
        switch (*s) {
        case 'h':
            unit = 3600;
            break;
        case 'm':
            unit = 60;
            break;
        case 's':
            unit = 1;
            break;
        default:
            return false;
        }
        if (unit >= last)
            return false;
        last = unit;
        total += n * unit;
        s++;
    }
    *seconds = total;
    return true;
}

bool units_parse_mode(const char *s, mode_t *mode, const char **why)
{
    size_t n = strlen(s);
    *why = "a mode is three or four octal digits in quotes, such as \"0644\"";
    if (n < 3 || n > 4 || strspn(s, "01234567") != n || (n == 4 && *s != '0' && *s > '7'))
        return false;
    *mode = (mode_t)strtoul(s, NULL, 8);
    return true;
}

char *units_format_size(uint64_t bytes, char out[16])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double v = (double)bytes;
    while (v >= 1023.5 && unit + 1 < COUNT(names)) {
        v /= 1024;
        unit++;
    }
    snprintf(out, 16, unit && v < 9.95 ? "%.1f %s" : "%.0f %s", v, names[unit]);
    return out;
}

char *units_format_duration(uint64_t s, char out[16])
{
    if (s >= 3600)
        snprintf(out, 16, "%" PRIu64 "h%02" PRIu64 "m", s / 3600 % 100000, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 16, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else
        snprintf(out, 16, "%" PRIu64 "s", s);
    return out;
}
