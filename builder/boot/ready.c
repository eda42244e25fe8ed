#include "boot/ready.h"

#include "base/process.h"
#include "base/progress.h"
#include "base/units.h"
#include "boot/agent.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TICK_MS 250
#define TAIL_BYTES 8192
#define TAIL_LINES 12
#define SCAN_BYTES 65536
#define CLOUD_INIT_SECONDS 1.0
#define PING_SECONDS 5

const char *const ready_names[READY_STAGES] = {
    [READY_STARTED] = "started",
    [READY_KERNEL] = "kernel",
    [READY_AGENT] = "agent",
    [READY_CLOUD_INIT] = "cloud-init",
};

static const char *const waiting_for[READY_STAGES] = {
    [READY_STARTED] = "the domain to start",
    [READY_KERNEL] = "a kernel to talk on the console",
    [READY_AGENT] = "the guest agent to answer",
    [READY_CLOUD_INIT] = "cloud-init to finish",
};

bool ready_parse(const char *name, enum ready_stage *out, struct error **err)
{
    for (size_t i = 0; i < READY_STAGES; i++) {
        if (strcmp(name, ready_names[i]) == 0) {
            *out = (enum ready_stage)i;
            return true;
        }
    }
    return error_set(err, ERROR_USAGE, "--for is started, kernel, agent or cloud-init, not '%s'",
                     name);
}

/* --- what reads the seed at first boot -----------------------------------------------------------
 */

static bool cloud_init_over(struct domain *d, bool *over, struct error **err);
static bool tiny_cloud_over(struct domain *d, bool *over, struct error **err);

struct first_boot {
    const char *seed;
    bool (*over)(struct domain *d, bool *over, struct error **err);
};

static const struct first_boot *find_first_boot(const char *seed)
{
    static const struct first_boot known[] = {{"cloud-init", cloud_init_over},
                                              {"tiny-cloud", tiny_cloud_over}};
    for (size_t i = 0; i < COUNT(known); i++)
        if (strcmp(known[i].seed, seed) == 0)
            return &known[i];
    return NULL;
}

enum ready_stage ready_last(const struct instance *i)
{
    if (!i->agent)
        return READY_KERNEL;
    return find_first_boot(i->seed) ? READY_CLOUD_INIT : READY_AGENT;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the console log -----------------------------------------------------------------------------
 */

off_t ready_console_size(const char *console_log)
{
    struct stat st;
    return stat(console_log, &st) == 0 ? st.st_size : 0;
}

/* At most `max` bytes from `from`; NULs become spaces. */
static char *read_log(const char *path, off_t from, size_t max)
{
    char *text = calloc(1, max + 1);
    if (!text)
        abort();
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, text, max, from) : 0;
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = ' ';
    text[n > 0 ? n : 0] = '\0';
    return text;
}

char *ready_console_tail(const char *console_log, unsigned lines)
{
    off_t size = ready_console_size(console_log);
    autofree char *text =
        read_log(console_log, size > TAIL_BYTES ? size - TAIL_BYTES : 0, TAIL_BYTES);
    /* Escape sequences (boot loaders draw menus) and other controls are left out. */
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '\033') {
            if (p[1] == '[')
                for (p++; p[1] && !isalpha((unsigned char)p[1]);)
                    p++;
            if (p[1])
                p++;
        } else if (*p == '\n' || *p == '\t' || !iscntrl((unsigned char)*p)) {
            text[n++] = *p;
        }
    }
    text[n] = '\0';
    char *last = strdup(process_last_lines(text, lines));
    if (!last)
        abort();
    return last;
}

/* A Linux kernel says its version first; later lines have the time in brackets. A firmware or a
 * boot loader that talks proves little: a broken KVM lets them pass. */
static bool kernel_talks(const char *console_log, off_t from)
{
    off_t size = ready_console_size(console_log);
    if (size < from) /* rotated */
        from = 0;
    if (size - from > SCAN_BYTES)
        from = size - SCAN_BYTES;
    autofree char *text = read_log(console_log, from, SCAN_BYTES);
    if (strstr(text, "Linux version "))
        return true;
    for (const char *p = text; (p = strchr(p, '[')); p++) {
        size_t spaces = strspn(p + 1, " "), digits = strspn(p + 1 + spaces, "0123456789");
        const char *dot = p + 1 + spaces + digits;
        if (digits && *dot == '.' && strspn(dot + 1, "0123456789") == 6 && dot[7] == ']')
            return true;
    }
    return false;
}

/* --- cloud-init ----------------------------------------------------------------------------------
 */

/* cloud-init writes result.json when its last stage is over, and `disabled` where it will not run
 * ("cloud-init status" reads these two). Reading them is cheaper than starting Python in the guest.
 */
static bool cloud_init_over(struct domain *d, bool *over, struct error **err)
{
    static const char *const result[] = {"cat", "/run/cloud-init/result.json", NULL};
    static const char *const disabled[] = {"cat", "/run/cloud-init/disabled", NULL};
    autofree char *text = NULL;
    *over = agent_try(d, disabled, NULL);
    if (*over || !agent_try(d, result, &text))
        return true;
    autojson json_t *j = NULL;
    if (!json_parse(text, strlen(text), "result.json", &j, NULL))
        return true; /* being written */
    *over = true;
    const json_t *errors = json_object_get(json_object_get(j, "v1"), "errors");
    if (json_array_size(errors) == 0)
        return true;
    const char *first = json_string_value(json_array_get(errors, 0));
    return error_set(err, ERROR_GUEST, "cloud-init reported %zu error(s), the first: %.300s",
                     json_array_size(errors), first ? first : "?");
}

/* tiny-cloud makes this file at the end of its last phase ("tiny-cloud --bootstrap status" looks at
 * it). */
static bool tiny_cloud_over(struct domain *d, bool *over, struct error **err)
{
    static const char *const complete[] = {"cat", "/var/lib/cloud/.bootstrap-complete", NULL};
    (void)err;
    *over = agent_try(d, complete, NULL);
    return true;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

struct watch {
    struct virt *v;
    struct domain *d;
    const struct instance *i;
    const struct ready_wait *w;
    enum ready_stage reached;
    double started, asked;
};

static bool quote(const struct watch *w, enum error_kind kind, const char *what, struct error **err)
{
    autofree char *tail = ready_console_tail(w->i->console_log, TAIL_LINES);
    if (!*tail)
        return error_set(err, kind, "%s; its console said nothing (%s)", what, w->i->console_log);
    return error_set(err, kind, "%s; the last lines of its console:\n%s", what, tail);
}

static bool ended(const struct watch *w, struct error **err)
{
    autofree char *what = NULL;
    if (asprintf(&what, "'%s' ended while waiting for %s", w->i->name,
                 waiting_for[w->reached + 1]) < 0)
        abort();
    return quote(w, ERROR_GUEST, what, err);
}

static bool too_late(const struct watch *w, struct error **err)
{
    autofree char *what = NULL;
    char time[16];
    if (asprintf(&what, "'%s': waited %s for %s", w->i->name,
                 units_format_duration(w->w->timeout_seconds, time),
                 waiting_for[w->reached + 1]) < 0)
        abort();
    return quote(w, ERROR_TIMEOUT, what, err);
}

/* Looks whether the next stage has been reached. */
static bool advance(struct watch *w, struct error **err)
{
    bool due = now() - w->asked >= CLOUD_INIT_SECONDS, over = false;
    switch (w->reached) {
    case READY_STARTED:
        if (kernel_talks(w->i->console_log, w->w->console_from) || domain_agent_connected(w->d))
            w->reached = READY_KERNEL;
        break;
    case READY_KERNEL:
        /* Without an event the agent may have been there before we were: ask now and then. */
        if (!domain_agent_connected(w->d) && !due)
            break;
        w->asked = now();
        if (agent_ping(w->d, PING_SECONDS, NULL))
            w->reached = READY_AGENT;
        break;
    case READY_AGENT:
        if (!due)
            break;
        w->asked = now();
        const struct first_boot *first = find_first_boot(w->i->seed);
        over = !first;
        if (first && !first->over(w->d, &over, err))
            return false;
        if (over)
            w->reached = READY_CLOUD_INIT;
        break;
    default:
        break;
    }
    return true;
}

static bool still_runs(const struct watch *w, struct error **err)
{
    const char *state;
    bool active;
    if (domain_stopped(w->d))
        return ended(w, err);
    return domain_state(w->d, &state, &active, err) && (active || ended(w, err));
}

bool ready_wait(struct virt *v, struct domain *d, const struct instance *i,
                const struct ready_wait *w, bool *lifeless, struct error **err)
{
    struct watch state = {.v = v, .d = d, .i = i, .w = w, .started = now()};
    *lifeless = false;
    if (!still_runs(&state, err))
        return false;
    while (state.reached < w->until) {
        enum ready_stage before = state.reached;
        progress_note("waiting for %s", waiting_for[state.reached + 1]);
        if (!advance(&state, err))
            return false;
        if (state.reached != before)
            continue;
        if (!virt_wait(v, TICK_MS, err))
            return false;
        double passed = now() - state.started;
        if (!still_runs(&state, err))
            return false;
        if (w->life_seconds && state.reached == READY_STARTED && passed > w->life_seconds) {
            *lifeless = true;
            return true;
        }
        if (passed > w->timeout_seconds)
            return too_late(&state, err);
    }
    progress_note("%s", ready_names[state.reached]);
    return true;
}
