/* Child processes from argument vectors; never a shell.
 *
 * The child gets /dev/null or the given bytes on stdin, its own process group, no descriptors but
 * those named, and is killed with its group on time-out, on an interrupt, and when this process
 * dies. Arguments are written to the build log: secrets never go there.
 */
#ifndef INGOT_BASE_PROCESS_H
#define INGOT_BASE_PROCESS_H

#include "base/buffer.h"
#include "base/error.h"

struct process {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;  /* NULL-terminated "NAME=value" added to the environment, or NULL */
    const char *cwd;         /* or NULL */
    const void *input;       /* written to stdin, or NULL */
    size_t input_size;
    int stdin_fd;             /* what stdin reads if > 0 and there is no input */
    unsigned timeout_seconds; /* 0: none */
    unsigned grace_seconds;   /* on time-out and interrupt: SIGTERM, and SIGKILL so much later */
    bool uninterrupted;       /* runs to its end in spite of an interrupt: for cleaning up */
    int stdout_fd;            /* where stdout goes if > 0; else it is captured */
    bool merge_stderr;        /* stderr goes where stdout goes */
    bool log_output;          /* what is captured is also written to the build log */
    bool no_network; /* it can make no internet or netlink socket, as far as the kernel lets
                        us forbid it: for root (base/no_network.h) */
    bool foreground; /* stay in our process group, inherit stdin and stderr */
    void (*on_line)(const char *line, void *data); /* each whole line captured from stderr */
    void *data;
};

struct process_result {
    int status; /* exit status, or -1 if a signal ended it */
    int signal; /* that signal, or 0 */
    struct buffer out, err;
};

/* False if the child could not be started (ERROR_HOST: names the program, and says that it is not
 * installed where that is so), timed out or was interrupted. A child that fails is a true result.
 */
bool process_run(const struct process *p, struct process_result *result, struct error **err)
    must_check;

/* process_run, and a child that did not exit with 0 is an error of this kind that says what ended
 * it and quotes the last lines of its stderr (or stdout, if that is all there is). result may be
 * NULL. */
bool process_check(const struct process *p, enum error_kind kind, struct process_result *result,
                   struct error **err) must_check;

void process_result_free(struct process_result *r);
#define autoresult cleanup(process_result_free)

/* The program's absolute path from PATH (with the sbin folders behind it), or NULL. Free it. */
char *process_find(const char *program);

/* The last n lines of a text, without trailing white space; points into text, which is cut. */
char *process_last_lines(char *text, unsigned n);

#endif
