#include "base/finding.h"

#include "base/json.h"
#include "base/process.h"

#include <stdarg.h>

static const char *const states[] = {
    [FINDING_OK] = "ok",
    [FINDING_WARNING] = "warning",
    [FINDING_FAULT] = "fault",
};

void finding_add(struct findings *f, enum finding_state state, const char *name, const char *fix,
                 const char *fmt, ...)
{
    autofree char *message = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    struct finding one = {state, arena_strdup(f->arena, name), arena_strdup(f->arena, message),
                          arena_strdup(f->arena, fix)};
    arena_append(f->arena, f->items, f->count, one);
}

void finding_program(struct findings *f, const char *program, const char *debian_package,
                     const char *needed_for, enum finding_state if_missing)
{
    autofree char *path = process_find(program);
    autofree char *fix = NULL;
    if (path) {
        finding_add(f, FINDING_OK, program, NULL, "%s", path);
        return;
    }
    if (asprintf(&fix, "apt-get install %s", debian_package) < 0)
        abort();
    finding_add(f, if_missing, program, fix, "%s is not installed; it is needed %s", program,
                needed_for);
}

static void print_json(const struct findings *f, bool ready)
{
    autojson json_t *document = json_object();
    json_t *list = json_array();
    for (size_t i = 0; i < f->count; i++) {
        json_t *one = json_object();
        json_set_string(one, "name", f->items[i].name);
        json_set_string(one, "state", states[f->items[i].state]);
        json_set_string(one, "message", f->items[i].message);
        json_set_string(one, "fix", f->items[i].fix);
        json_array_append_new(list, one);
    }
    json_set_bool(document, "ready", ready);
    json_set(document, "findings", list);
    autofree char *text = json_pretty(document);
    fputs(text, stdout);
}

void finding_report(const struct findings *f, bool json, int *exit_code)
{
    size_t faults = 0;
    for (size_t i = 0; i < f->count; i++)
        faults += f->items[i].state == FINDING_FAULT;
    if (json)
        print_json(f, faults == 0);
    for (size_t i = 0; i < f->count && !json; i++) {
        const struct finding *one = &f->items[i];
        printf("%-8s %-14s %s\n", states[one->state], one->name, one->message);
        if (one->fix)
            printf("%-8s %-14s mend it: %s\n", "", "", one->fix);
    }
    *exit_code = faults ? error_kinds[ERROR_HOST].exit_code : 0;
}
