#include "base/progress.h"

#include "base/json.h"
#include "base/log.h"
#include "base/units.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static struct {
    enum progress_mode mode;
    unsigned step;
    char what[160], note[80];
    bool running, drawn, bytes;
    uint64_t done, total;
    double started, last_drawn;
} p;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum progress_mode mode(void)
{
    if (p.mode != PROGRESS_AUTO)
        return p.mode;
    const char *term = getenv("TERM");
    bool terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    if (log_get_level() < LOG_INFO)
        return PROGRESS_NONE;
    return terminal ? PROGRESS_BAR : PROGRESS_PLAIN;
}

void progress_set_mode(enum progress_mode m)
{
    p.mode = m;
    log_set_json(m == PROGRESS_JSON);
}

static void emit_json(const char *event)
{
    autojson json_t *j = json_object();
    json_set_string(j, "event", event);
    json_set_integer(j, "step", p.step);
    json_set_string(j, "what", p.what);
    if (*p.note)
        json_set_string(j, "note", p.note);
    if (p.total) {
        json_set_integer(j, "done", (json_int_t)p.done);
        json_set_integer(j, "total", (json_int_t)p.total);
    }
    json_set(j, "seconds", json_real((double)(int64_t)((now() - p.started) * 1000) / 1000));
    autofree char *line = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fprintf(stderr, "%s\n", line ? line : "");
}

static unsigned columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

static void draw(void)
{
    static const char spinner[] = "|/-\\";
    double elapsed = now() - p.started;
    char line[512], a[16], b[16], c[16];
    size_t n = (size_t)snprintf(line, sizeof line, "%s ", p.what);
    if (p.total) {
        unsigned share = p.done >= p.total ? 100 : (unsigned)(p.done * 100 / p.total);
        char bar[21];
        for (unsigned i = 0; i < 20; i++)
            bar[i] = i < share / 5 ? '#' : '.';
        bar[20] = '\0';
        n += (size_t)snprintf(line + n, sizeof line - n, "[%s] %u%%", bar, share);
        if (p.bytes && elapsed > 0.5)
            n += (size_t)snprintf(line + n, sizeof line - n, " %s of %s, %s/s",
                                  units_format_size(p.done, a), units_format_size(p.total, b),
                                  units_format_size((uint64_t)((double)p.done / elapsed), c));
        if (elapsed > 1 && p.done && p.done < p.total)
            n += (size_t)snprintf(
                line + n, sizeof line - n, ", %s left",
                units_format_duration(
                    (uint64_t)(elapsed * (double)(p.total - p.done) / (double)p.done + 0.5), a));
    } else {
        n += (size_t)snprintf(line + n, sizeof line - n, "%c %s", spinner[(int)(elapsed * 8) & 3],
                              units_format_duration((uint64_t)elapsed, a));
        if (p.bytes && p.done)
            n += (size_t)snprintf(line + n, sizeof line - n, " %s", units_format_size(p.done, b));
    }
    if (*p.note && n < sizeof line)
        n += (size_t)snprintf(line + n, sizeof line - n, "  %s", p.note);
    unsigned width = columns() - 1;
    if (width < sizeof line)
        line[width] = '\0';
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p.drawn = true;
    p.last_drawn = now();
}

void progress_step(const char *fmt, ...)
{
    progress_done();
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p.what, sizeof p.what, fmt, ap);
    va_end(ap);
    p.step++;
    p.running = true;
    p.done = p.total = 0;
    p.note[0] = '\0';
    p.started = now();
    if (mode() == PROGRESS_BAR)
        draw();
    else if (mode() == PROGRESS_JSON)
        emit_json("step");
}

void progress_tick(void)
{
    enum progress_mode m = mode();
    if (!p.running || (m != PROGRESS_BAR && m != PROGRESS_JSON))
        return;
    if (now() - p.last_drawn < (m == PROGRESS_BAR ? 0.1 : 1))
        return;
    if (m == PROGRESS_BAR) {
        draw();
    } else {
        emit_json("progress");
        p.last_drawn = now();
    }
}

void progress_update(uint64_t done, uint64_t total)
{
    p.done = done;
    p.total = total;
    p.bytes = true;
    progress_tick();
}

void progress_share(unsigned per_mille)
{
    p.done = per_mille;
    p.total = 1000;
    p.bytes = false;
    progress_tick();
}

void progress_note(const char *fmt, ...)
{
    char note[sizeof p.note];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(note, sizeof note, fmt, ap);
    va_end(ap);
    bool changed = strcmp(note, p.note) != 0;
    memcpy(p.note, note, sizeof note);
    if (changed && p.running && mode() == PROGRESS_PLAIN && *p.note)
        fprintf(stderr, "  %s\n", p.note);
    progress_tick();
}

void progress_done(void)
{
    if (!p.running)
        return;
    char t[16];
    enum progress_mode m = mode();
    double elapsed = now() - p.started;
    p.running = false;
    if (p.drawn) {
        fputs("\r\033[K", stderr);
        p.drawn = false;
    }
    if (elapsed < 10)
        snprintf(t, sizeof t, "%.1fs", elapsed);
    else
        units_format_duration((uint64_t)(elapsed + 0.5), t);
    if (m == PROGRESS_JSON)
        emit_json("done");
    else if (m != PROGRESS_NONE)
        fprintf(stderr, "%s (%s)\n", p.what, t);
    log_debug("step done: %s, %.3f s", p.what, elapsed);
}

void progress_hide(void)
{
    if (p.drawn)
        fputs("\r\033[K", stderr);
    p.drawn = false;
}

void progress_show(void)
{
    if (p.running && mode() == PROGRESS_BAR)
        draw();
}
