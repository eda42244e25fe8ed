#include "updates/version.h"

#include <ctype.h>
#include <string.h>

/* What may come next in a version, from the older to the newer. */
enum next {
    NEXT_BEFORE, /* -rc1, ~rc1, _rc1 */
    NEXT_END,
    NEXT_AFTER, /* +k3s1, -r1, _p1 */
    NEXT_TEXT,
    NEXT_PART, /* .1 */
    NEXT_NUMBER,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpine_before(const char *s)
{
    static const char *const words[] = {"alpha", "beta", "pre", "rc"};
    for (size_t i = 0; i < COUNT(words); i++) {
        size_t n = strlen(words[i]);
        if (strncmp(s, words[i], n) == 0 && !isalpha((unsigned char)s[n]))
            return true;
    }
    return false;
}

static enum next what_is_next(const char *s)
{
    switch (*s) {
    case '\0':
        return NEXT_END;
    case '~':
        return NEXT_BEFORE;
    case '-':
        return s[1] == 'r' && is_digit(s[2]) ? NEXT_AFTER : NEXT_BEFORE;
    case '_':
        return is_alpine_before(s + 1) ? NEXT_BEFORE : NEXT_AFTER;
    case '+':
        return NEXT_AFTER;
    case '.':
        return NEXT_PART;
    default:
        return is_digit(*s) ? NEXT_NUMBER : NEXT_TEXT;
    }
}

/* A run of digits, without its leading zeros. */
static size_t number(const char **s)
{
    while (**s == '0' && is_digit((*s)[1]))
        (*s)++;
    size_t n = 0;
    while (is_digit((*s)[n]))
        n++;
    return n;
}

/* One separator or other character, and the letters behind it. */
static size_t word(const char *s)
{
    size_t n = 1;
    while (isalpha((unsigned char)s[n]))
        n++;
    return n;
}

static int compare_runs(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static const char *without_v(const char *s)
{
    return (*s == 'v' || *s == 'V') && is_digit(s[1]) ? s + 1 : s;
}

int version_compare(const char *a, const char *b)
{
    a = without_v(a);
    b = without_v(b);
    for (;;) {
        enum next x = what_is_next(a), y = what_is_next(b);
        if (x != y)
            return x < y ? -1 : 1;
        if (x == NEXT_END)
            return 0;
        size_t na = x == NEXT_NUMBER ? number(&a) : word(a);
        size_t nb = x == NEXT_NUMBER ? number(&b) : word(b);
        if (x == NEXT_NUMBER && na != nb)
            return na < nb ? -1 : 1;
        int c = compare_runs(a, na, b, nb);
        if (c)
            return c;
        a += na;
        b += nb;
    }
}

bool version_is_valid(const char *s)
{
    bool digit = false;
    size_t n = 0;
    for (; s[n]; n++) {
        bool plain = isascii(s[n]) && isalnum((unsigned char)s[n]);
        if (n >= 64 || !(plain || (n > 0 && strchr("._-+~", s[n]))))
            return false;
        digit = digit || is_digit(s[n]);
    }
    return digit;
}

bool version_is_date(const char *s)
{
    static const char form[] = "dddd-dd-dd";
    size_t n = 0;
    for (; form[n]; n++)
        if (form[n] == 'd' ? !is_digit(s[n]) : s[n] != form[n])
            return false;
    int month = (s[5] - '0') * 10 + s[6] - '0', day = (s[8] - '0') * 10 + s[9] - '0';
    return !s[n] && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}
