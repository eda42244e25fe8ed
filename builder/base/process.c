#include "base/process.h"

#include "base/interrupt.h"
#include "base/log.h"
#include "base/no_network.h"
#include "base/path.h"
#include "base/progress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static const char sbin[] = "/usr/local/sbin:/usr/sbin:/sbin";

char *process_find(const char *program)
{
    if (strchr(program, '/'))
        return access(program, X_OK) == 0 ? strdup(program) : NULL;
    const char *path = getenv("PATH");
    autofree char *all = NULL;
    if (asprintf(&all, "%s:%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin", sbin) < 0)
        abort();
    char *save = NULL;
    for (char *dir = strtok_r(all, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        autofree char *candidate = path_join(dir, program);
        if (access(candidate, X_OK) == 0)
            return take_ptr(candidate);
    }
    return NULL;
}

char *process_last_lines(char *text, unsigned n)
{
    size_t end = strlen(text);
    while (end && isspace((unsigned char)text[end - 1]))
        end--;
    text[end] = '\0';
    char *start = text + end;
    while (start > text && (start[-1] != '\n' || --n > 0))
        start--;
    return start;
}

static void log_command(const struct process *p)
{
    autobuffer struct buffer line = {0};
    for (size_t i = 0; p->argv[i]; i++)
        buffer_printf(&line, " %s", p->argv[i]);
    log_debug("run:%s", line.data ? line.data : "");
}

struct pipes {
    int in[2], out[2], err[2], fail[2];
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(take_fd(&pair[i]));
}

static void cleanup_pipes(struct pipes *p)
{
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->err);
    close_pair(p->fail);
}

/* In the child: never returns. */
static void child(const struct process *p, const char *program, struct pipes *pipes, pid_t parent,
                  char **env)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (!p->foreground) {
        setpgid(0, 0);
        int in = pipes->in[0] >= 0 ? pipes->in[0]
                 : p->stdin_fd > 0 ? p->stdin_fd
                                   : open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(in, STDIN_FILENO);
    }
    int out = p->stdout_fd > 0 ? p->stdout_fd : pipes->out[1];
    if (!p->foreground || p->merge_stderr)
        dup2(p->merge_stderr ? out : pipes->err[1], STDERR_FILENO);
    dup2(out, STDOUT_FILENO);
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            sigaction(s, &action, NULL);
    /* Descriptors that libraries opened without close-on-exec, or that we inherited: mmdebstrap
     * fails when they push its own beyond 9. Where the kernel (before 5.11) cannot, they stay. */
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    if (p->no_network)
        no_network();
    if (!p->cwd || chdir(p->cwd) == 0)
        execve(program, (char *const *)p->argv, env);
    int e = errno;
    ssize_t n = write(pipes->fail[1], &e, sizeof e);
    _exit(n == sizeof e ? 127 : 126);
}

static char **environment(const char *const *extra)
{
    size_t n = 0, m = 0;
    while (environ[n])
        n++;
    while (extra && extra[m])
        m++;
    char **all = calloc(n + m + 1, sizeof *all);
    if (!all)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < m && !replaced; j++) {
            size_t name = strcspn(extra[j], "=") + 1;
            replaced = strncmp(environ[i], extra[j], name) == 0;
        }
        if (!replaced)
            all[used++] = environ[i];
    }
    for (size_t j = 0; j < m; j++)
        all[used++] = (char *)extra[j];
    return all;
}

struct watch {
    const struct process *process;
    struct process_result *result;
    struct pipes *pipes;
    pid_t pid;
    double deadline; /* 0: none */
    size_t written, line;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void give_lines(struct watch *w)
{
    struct buffer *b = &w->result->err;
    char *newline;
    while (w->process->on_line && w->line < b->size &&
           (newline = memchr(b->data + w->line, '\n', b->size - w->line))) {
        autofree char *line = strndup(b->data + w->line, (size_t)(newline - b->data) - w->line);
        w->process->on_line(line ? line : "", w->process->data);
        w->line = (size_t)(newline - b->data) + 1;
    }
}

static void drain(int *fd, struct buffer *into)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n > 0)
        buffer_add(into, chunk, (size_t)n);
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        close(take_fd(fd));
}

static void feed(struct watch *w)
{
    int *fd = &w->pipes->in[1];
    ssize_t n = write(*fd, (const char *)w->process->input + w->written,
                      w->process->input_size - w->written);
    if (n > 0)
        w->written += (size_t)n;
    if (w->written == w->process->input_size || (n < 0 && errno != EINTR && errno != EAGAIN))
        close(take_fd(fd));
}

static bool ended_by_interrupt(const struct watch *w)
{
    return interrupted() && !w->process->foreground && !w->process->uninterrupted;
}

/* Waits until the child's pipes are closed; false on time-out or interrupt. */
static bool converse(struct watch *w, struct error **err)
{
    struct pipes *pipes = w->pipes;
    while (pipes->out[0] >= 0 || pipes->err[0] >= 0 || pipes->in[1] >= 0) {
        struct pollfd fds[] = {
            {pipes->out[0], POLLIN, 0}, {pipes->err[0], POLLIN, 0}, {pipes->in[1], POLLOUT, 0}};
        int n = poll(fds, COUNT(fds), 200);
        progress_tick();
        if (ended_by_interrupt(w))
            return interrupt_error(err);
        if (w->deadline != 0 && now() > w->deadline)
            return error_set(err, ERROR_TIMEOUT, "%s did not finish within %u s",
                             w->process->argv[0], w->process->timeout_seconds);
        if (n <= 0)
            continue;
        if (fds[0].revents)
            drain(&pipes->out[0], &w->result->out);
        if (fds[1].revents) {
            drain(&pipes->err[0], &w->result->err);
            give_lines(w);
        }
        if (fds[2].revents)
            feed(w);
    }
    return true;
}

/* Waits for the child itself, which may have closed its pipes early. */
static bool reap(struct watch *w, int *status, struct error **err)
{
    for (;;) {
        pid_t pid = waitpid(w->pid, status, w->deadline != 0 ? WNOHANG : 0);
        if (pid == w->pid)
            return true;
        if (pid < 0 && errno != EINTR)
            return error_errno(err, ERROR_INTERNAL, errno, "cannot wait for %s",
                               w->process->argv[0]);
        if (ended_by_interrupt(w))
            return interrupt_error(err);
        if (pid == 0) {
            if (now() > w->deadline)
                return error_set(err, ERROR_TIMEOUT, "%s did not finish within %u s",
                                 w->process->argv[0], w->process->timeout_seconds);
            poll(NULL, 0, 20);
        }
    }
}

static bool make_pipes(const struct process *p, struct pipes *pipes, struct error **err)
{
    bool ok = pipe2(pipes->fail, O_CLOEXEC) == 0;
    if (ok && p->input && !p->foreground)
        ok = pipe2(pipes->in, O_CLOEXEC) == 0 && fcntl(pipes->in[1], F_SETFL, O_NONBLOCK) == 0;
    if (ok && p->stdout_fd <= 0)
        ok = pipe2(pipes->out, O_CLOEXEC) == 0;
    if (ok && !p->merge_stderr && !p->foreground)
        ok = pipe2(pipes->err, O_CLOEXEC) == 0;
    return ok || error_errno(err, ERROR_HOST, errno, "cannot make a pipe");
}

/* Ends the child and all that it started. */
static void end(const struct process *p, pid_t pid)
{
    pid_t group = p->foreground ? pid : -pid;
    if (p->grace_seconds) {
        kill(group, SIGTERM);
        for (double until = now() + p->grace_seconds; now() < until; poll(NULL, 0, 20)) {
            if (waitpid(pid, NULL, WNOHANG) == pid) {
                kill(group, SIGKILL);
                return;
            }
        }
    }
    kill(group, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

bool process_run(const struct process *p, struct process_result *result, struct error **err)
{
    log_command(p);
    autofree char *program = process_find(p->argv[0]);
    if (!program)
        return error_set(err, ERROR_HOST, "%s is not installed", p->argv[0]);
    cleanup(cleanup_pipes) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (!make_pipes(p, &pipes, err))
        return false;
    autofree char **env = environment(p->env);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot start %s", p->argv[0]);
    if (pid == 0)
        child(p, program, &pipes, parent, env);
    if (!p->foreground)
        setpgid(pid, pid);
    int *theirs[] = {&pipes.in[0], &pipes.out[1], &pipes.err[1], &pipes.fail[1]};
    for (size_t i = 0; i < COUNT(theirs); i++)
        if (*theirs[i] >= 0)
            close(take_fd(theirs[i]));
    struct watch w = {p, result, &pipes, pid, p->timeout_seconds ? now() + p->timeout_seconds : 0,
                      0, 0};
    int failed = 0, status = 0;
    ssize_t got;
    do {
        got = read(pipes.fail[0], &failed, sizeof failed);
    } while (got < 0 && errno == EINTR);
    bool ok = converse(&w, err) && reap(&w, &status, err);
    if (!ok) {
        end(p, pid);
        return false;
    }
    if (got == sizeof failed)
        return error_errno(err, ERROR_HOST, failed, "cannot start %s", program);
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (p->log_output && result->out.size)
        log_debug("%s", result->out.data);
    if (p->log_output && result->err.size)
        log_debug("%s", result->err.data);
    return true;
}

bool process_check(const struct process *p, enum error_kind kind, struct process_result *result,
                   struct error **err)
{
    autoresult struct process_result own = {0};
    struct process_result *r = result ? result : &own;
    if (!process_run(p, r, err))
        return false;
    if (r->status == 0)
        return true;
    const char *program = path_basename(p->argv[0]);
    autofree char *said = strdup(r->err.size ? r->err.data : r->out.size ? r->out.data : "");
    const char *last = said ? process_last_lines(said, 6) : "";
    const char *colon = *last ? ": " : "";
    if (r->signal)
        return error_set(err, kind, "%s was ended by signal %d (%s)%s%s", program, r->signal,
                         strsignal(r->signal), colon, last);
    return error_set(err, kind, "%s failed with status %d%s%s", program, r->status, colon, last);
}

void process_result_free(struct process_result *r)
{
    buffer_free(&r->out);
    buffer_free(&r->err);
}
