#include "source/http_fields.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Clocks of one server agree within this, so that a file which changed twice in a second is not
 * taken for one. */
#define STRONG_AFTER 60

/* Digits, at least one, and no more than fit. */
static bool number(const char **at, uint64_t *value)
{
    const char *p = *at;
    uint64_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (p == *at)
        return false;
    *at = p;
    *value = n;
    return true;
}

static bool skip(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

bool http_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *whole)
{
    static const char unit[] = "bytes";
    const char *p = text;
    if (strncasecmp(p, unit, strlen(unit)) != 0)
        return false;
    p += strlen(unit);
    if (*p != ' ')
        return false;
    p += strspn(p, " ");
    *whole = 0;
    if (!number(&p, first) || !skip(&p, '-') || !number(&p, last) || !skip(&p, '/') ||
        !(skip(&p, '*') || number(&p, whole)) || *p)
        return false;
    return *first <= *last && (p[-1] == '*' || *last < *whole);
}

static bool month_number(const char *name, int *month)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (strncmp(name, months + (ptrdiff_t)3 * i, 3) == 0) {
            *month = i;
            return true;
        }
    return false;
}

static bool make_time(int day, const char *month, int year, int h, int m, int s, time_t *t)
{
    struct tm tm = {.tm_mday = day, .tm_year = year - 1900, .tm_hour = h, .tm_min = m, .tm_sec = s};
    if (!month_number(month, &tm.tm_mon) || day < 1 || day > 31 || h < 0 || h > 23 || m < 0 ||
        m > 59 || s < 0 || s > 60 || year < 1970 || year > 9999)
        return false;
    *t = timegm(&tm);
    return true;
}

bool http_date(const char *text, time_t *t)
{
    char month[4] = "";
    int day, year, h, m, s, end = 0;
    /* IMF-fixdate, then the two obsolete forms: RFC 850's and asctime's. */
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year, &h,
               &m, &s, &end) == 6 &&
        end && !text[end])
        return make_time(day, month, year, h, m, s, t);
    end = 0;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year, &h,
               &m, &s, &end) == 6 &&
        end && !text[end])
        return make_time(day, month, year + (year < 70 ? 2000 : 1900), h, m, s, t);
    end = 0;
    if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &h, &m, &s, &year,
               &end) == 6 &&
        end && !text[end])
        return make_time(day, month, year, h, m, s, t);
    return false;
}

bool http_retry_after(const char *text, time_t now, uint64_t *seconds)
{
    const char *p = text;
    time_t then;
    if (number(&p, seconds) && !*p)
        return true;
    if (!http_date(text, &then))
        return false;
    *seconds = then > now ? (uint64_t)(then - now) : 0;
    return true;
}

const char *http_strong_validator(const char *etag, const char *last_modified, const char *date)
{
    time_t changed, answered;
    if (etag)
        return *etag == '"' && etag[1] && etag[strlen(etag) - 1] == '"' ? etag : NULL;
    if (last_modified && date && http_date(last_modified, &changed) && http_date(date, &answered) &&
        answered - changed >= STRONG_AFTER)
        return last_modified;
    return NULL;
}
