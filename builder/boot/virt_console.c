#include "boot/virt_internal.h"

#include "base/buffer.h"

#include <errno.h>
#include <string.h>
#include <termios.h>

#define ESCAPE 0x1d /* Ctrl-] */

struct console {
    virStreamPtr stream;
    struct buffer typed; /* not yet taken by the stream */
    bool over;
};

static void on_stream(virStreamPtr stream, int events, void *data)
{
    struct console *c = data;
    char bytes[4096];
    if (events & VIR_STREAM_EVENT_READABLE) {
        int n = virStreamRecv(stream, bytes, sizeof bytes);
        if (n == 0 || n == -1)
            c->over = true;
        for (int done = 0; n > done;) {
            ssize_t w = write(STDOUT_FILENO, bytes + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                c->over = true;
            if (w < 0 && c->over)
                return;
            done += w > 0 ? (int)w : 0;
        }
    }
    if ((events & VIR_STREAM_EVENT_WRITABLE) && c->typed.size) {
        int n = virStreamSend(stream, c->typed.data, c->typed.size);
        if (n == -1)
            c->over = true;
        if (n > 0) {
            memmove(c->typed.data, c->typed.data + n, c->typed.size - (size_t)n);
            c->typed.size -= (size_t)n;
        }
    }
    if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
        c->over = true;
    virStreamEventUpdateCallback(stream, VIR_STREAM_EVENT_READABLE |
                                             (c->typed.size ? VIR_STREAM_EVENT_WRITABLE : 0));
}

static void on_typed(int watch, int fd, int events, void *data)
{
    (void)events;
    struct console *c = data;
    char bytes[1024];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the end of a piped input: go on listening */
        virEventRemoveHandle(watch);
        return;
    }
    const char *escape = memchr(bytes, ESCAPE, (size_t)n);
    if (escape)
        c->over = true;
    buffer_add(&c->typed, bytes, escape ? (size_t)(escape - bytes) : (size_t)n);
    virStreamEventUpdateCallback(c->stream, VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_WRITABLE);
}

/* The keyboard belongs to the guest: no echo, no lines, and Ctrl-C goes there too. */
static bool make_raw(struct termios *before)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before) != 0)
        return false;
    struct termios raw = *before;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

bool domain_console(struct domain *d, struct error **err)
{
    struct console c = {.stream = virStreamNew(d->virt->connection, VIR_STREAM_NONBLOCK)};
    if (!c.stream)
        return virt_error(err, ERROR_HOST, "cannot open a stream");
    if (virDomainOpenConsole(d->handle, NULL, c.stream, 0) < 0) {
        virStreamFree(c.stream);
        return virt_error(err, ERROR_CONFLICT, "cannot open the console of '%s'", domain_name(d));
    }
    struct termios before;
    bool raw = make_raw(&before);
    int watch = virEventAddHandle(STDIN_FILENO, VIR_EVENT_HANDLE_READABLE, on_typed, &c, NULL);
    virStreamEventAddCallback(c.stream, VIR_STREAM_EVENT_READABLE, on_stream, &c, NULL);
    bool ok = true;
    while (ok && !c.over && !d->stopped)
        ok = virt_wait(d->virt, 250, err);
    if (watch >= 0)
        virEventRemoveHandle(watch);
    virStreamEventRemoveCallback(c.stream);
    virStreamAbort(c.stream);
    virStreamFree(c.stream);
    if (raw)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    buffer_free(&c.typed);
    return ok;
}
