/* What a doctor finds out about a host: a list of findings, each with the command that mends it.
 * Shared by `ingot doctor` and `ingot-boot doctor`. */
#ifndef INGOT_BASE_FINDING_H
#define INGOT_BASE_FINDING_H

#include "base/arena.h"
#include "base/error.h"

enum finding_state { FINDING_OK, FINDING_WARNING, FINDING_FAULT };

struct finding {
    enum finding_state state;
    const char *name;    /* "kvm", "libvirt", "qemu-img": stable, for JSON */
    const char *message; /* one line for people */
    const char *fix;     /* the command that mends it, or NULL */
};

struct findings {
    struct arena *arena;
    const struct finding *items;
    size_t count;
};

/* fix may be NULL. The strings are copied. */
void finding_add(struct findings *f, enum finding_state state, const char *name, const char *fix,
                 const char *fmt, ...) printf_like(5, 6);
/* Adds a finding for a program that is looked up in PATH: ok, or missing with the package's name.
 */
void finding_program(struct findings *f, const char *program, const char *debian_package,
                     const char *needed_for, enum finding_state if_missing);
/* Prints the list on stdout, as text or as one JSON document. The exit code is that of ERROR_HOST
 * if there is a fault, else 0. */
void finding_report(const struct findings *f, bool json, int *exit_code);

#endif
