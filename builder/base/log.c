#include "base/log.h"

#include "base/json.h"
#include "base/progress.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

static struct {
    enum log_level level;
    enum log_color color;
    bool json, chosen;
    FILE *tee;
    struct timespec start;
} state = {.level = LOG_INFO};

static const struct {
    const char *name, *prefix, *color;
} levels[] = {
    [LOG_ERROR] = {"error", "error: ", "\033[1;31m"},
    [LOG_WARNING] = {"warning", "warning: ", "\033[1;33m"},
    [LOG_INFO] = {"info", "", ""},
    [LOG_DEBUG] = {"debug", "", "\033[2m"},
};

void log_set_level(enum log_level level)
{
    state.level = level;
    state.chosen = true;
}

bool log_read_environment(struct error **err)
{
    const char *wish = getenv("INGOT_LOG");
    if (state.chosen || !wish || !*wish)
        return true;
    for (size_t i = 0; i < COUNT(levels); i++)
        if (strcmp(wish, levels[i].name) == 0) {
            state.level = (enum log_level)i;
            return true;
        }
    return error_set(err, ERROR_USAGE, "INGOT_LOG is error, warning, info or debug, not '%s'",
                     wish);
}

enum log_level log_get_level(void)
{
    return state.level;
}

void log_set_color(enum log_color color)
{
    state.color = color;
}

bool log_has_color(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (state.color != COLOR_AUTO)
        return state.color == COLOR_ALWAYS;
    return isatty(STDERR_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void log_set_json(bool json)
{
    state.json = json;
}

void log_tee(FILE *f)
{
    state.tee = f;
    clock_gettime(CLOCK_MONOTONIC, &state.start);
}

/* Guests and servers have their say in messages, but not in what the terminal does: no control
 * characters, be they of one byte or two (U+0080 to U+009F in UTF-8). */
static void tame(char *text)
{
    char *to = text;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
        p += c1;
        bool control = *p < 0x20 && *p != '\n' && *p != '\t';
        if (*p == '\r')
            continue;
        *to++ = c1 || control || *p == 0x7f ? '?' : (char)*p;
    }
    *to = '\0';
}

static void say(enum log_level level, const char *fmt, va_list ap) printf_like(2, 0);

static void say(enum log_level level, const char *fmt, va_list ap)
{
    if (level > state.level && !state.tee)
        return;
    autofree char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    tame(text);
    if (state.tee) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        double t = (double)(now.tv_sec - state.start.tv_sec) +
                   (double)(now.tv_nsec - state.start.tv_nsec) / 1e9;
        fprintf(state.tee, "[%8.3f] %s%s\n", t, levels[level].prefix, text);
        fflush(state.tee);
    }
    if (level > state.level)
        return;
    progress_hide();
    if (state.json) {
        autojson json_t *j = json_object();
        json_set_string(j, "level", levels[level].name);
        json_set_string(j, "message", text);
        autofree char *line = json_dumps(j, JSON_COMPACT);
        fprintf(stderr, "%s\n", line ? line : "");
    } else if (log_has_color() && *levels[level].color) {
        fprintf(stderr, "%s%s\033[0m%s\n", levels[level].color,
                *levels[level].prefix ? levels[level].prefix : text,
                *levels[level].prefix ? text : "");
    } else {
        fprintf(stderr, "%s%s\n", levels[level].prefix, text);
    }
    progress_show();
}

#define DEFINE(function, level)                                                                    \
    void function(const char *fmt, ...)                                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        say(level, fmt, ap);                                                                       \
        va_end(ap);                                                                                \
    }

DEFINE(log_error, LOG_ERROR)
DEFINE(log_warning, LOG_WARNING)
DEFINE(log_info, LOG_INFO)
DEFINE(log_debug, LOG_DEBUG)
