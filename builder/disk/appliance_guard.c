#include "disk/appliance_internal.h"

#include "base/interrupt.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define LOOK_NANOSECONDS 100000000L

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* True if /proc/PID/stat says that this is a qemu and a child of ours (proc(5): "pid (comm) state
 * ppid"). */
static bool is_our_qemu(const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    autofclose FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (!name || !end || strlen(end) < 4)
        return false;
    *end = '\0';
    return strtol(end + 4, NULL, 10) == getpid() && (strstr(name, "qemu") || strstr(name, "kvm"));
}

/* While a launch runs, libguestfs says nothing of the qemu that it has started: the handle is
 * locked by the launching thread. */
static void end_children(void)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    const struct dirent *e;
    while ((e = readdir(proc)))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_our_qemu(e->d_name))
            kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
    closedir(proc);
}

static void look(struct guard *g)
{
    if (!g->busy)
        return;
    if (interrupted())
        g->outcome = GUARD_INTERRUPTED;
    else if (g->deadline != 0 && now() > g->deadline)
        g->outcome = GUARD_TIMEOUT;
    if (g->outcome == GUARD_FINE)
        return;
    if (g->pid > 0)
        kill(g->pid, SIGKILL);
    else
        end_children();
}

static void *watch(void *data)
{
    struct guard *g = data;
    pthread_mutex_lock(&g->lock);
    while (!g->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_NANOSECONDS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&g->wake, &g->lock, &until);
        look(g);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

bool guard_start(struct guard *g, struct error **err)
{
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->wake, NULL);
    /* Signals are for the main thread, whose waiting they interrupt. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&g->thread, NULL, watch, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_errno(err, ERROR_HOST, failed, "cannot start a thread");
    g->running = true;
    return true;
}

void guard_stop(struct guard *g)
{
    if (!g->running)
        return;
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    g->running = false;
    pthread_cond_destroy(&g->wake);
    pthread_mutex_destroy(&g->lock);
}

void guard_enter(struct guard *g, unsigned seconds)
{
    pthread_mutex_lock(&g->lock);
    g->busy = true;
    g->deadline = seconds ? now() + seconds : 0;
    pthread_mutex_unlock(&g->lock);
}

void guard_leave(struct guard *g)
{
    pthread_mutex_lock(&g->lock);
    g->busy = false;
    g->deadline = 0;
    pthread_mutex_unlock(&g->lock);
}
