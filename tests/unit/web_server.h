/* A web server for unit tests that misbehaves as a route says: one child for each connection, one
 * request for each connection. It serves a body of WEB_SIZE bytes, or what a route makes of it. */
#ifndef INGOT_TESTS_WEB_SERVER_H
#define INGOT_TESTS_WEB_SERVER_H

#include "unit.h"

#include "base/digest.h"
#include "base/path.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WEB_SIZE ((size_t)1 << 20)

struct web_request {
    int client;
    char path[256];
    unsigned before; /* requests for the same path before this one */
    size_t from;     /* of Range, else 0 */
    bool ranged;
    char if_range[64], if_none_match[64];
    bool authorized; /* has credentials */
};

struct web_server {
    pid_t pid;
    unsigned port;
    char *log; /* a line for each request: path, where its range begins or -, If-Range or - */
};

static char web_body[WEB_SIZE], web_sha256[DIGEST_HEX_MAX], web_sha512[DIGEST_HEX_MAX];

static inline void web_make_body(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < WEB_SIZE; i++) {
        x = x * 1664525 + 1013904223;
        web_body[i] = (char)(x >> 24);
    }
    digest_bytes(DIGEST_SHA256, web_body, WEB_SIZE, web_sha256);
    digest_bytes(DIGEST_SHA512, web_body, WEB_SIZE, web_sha512);
}

static unsigned web_count(const char *log, const char *path)
{
    autofree char *text = NULL;
    size_t size, n = strlen(path);
    unsigned count = 0;
    if (!file_read(log, 1 << 20, &text, &size, NULL))
        return 0;
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        count += strncmp(p, path, n) == 0 && p[n] == ' ';
        if (!*p)
            break;
    }
    return count;
}

static void web_field(const char *request, const char *name, char *out, size_t room)
{
    const char *at = strcasestr(request, name);
    *out = '\0';
    if (at)
        snprintf(out, room, "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
}

static bool web_read(struct web_request *q, const char *log)
{
    char request[8192];
    char range[64];
    size_t used = 0;
    while (used < sizeof request - 1) {
        ssize_t n = read(q->client, request + used, sizeof request - 1 - used);
        if (n <= 0)
            return false;
        used += (size_t)n;
        request[used] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    if (sscanf(request, "GET %255s", q->path) != 1)
        return false;
    web_field(request, "\r\nRange: bytes=", range, sizeof range);
    web_field(request, "\r\nIf-Range: ", q->if_range, sizeof q->if_range);
    web_field(request, "\r\nIf-None-Match: ", q->if_none_match, sizeof q->if_none_match);
    q->authorized = strcasestr(request, "\r\nAuthorization: ") != NULL;
    q->ranged = *range != '\0';
    q->from = strtoul(range, NULL, 10);
    q->before = web_count(log, q->path);
    int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);
    dprintf(fd, "%s %s %s\n", q->path, *range ? range : "-", *q->if_range ? q->if_range : "-");
    close(fd);
    return true;
}

static void web_send(int client, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(client, bytes, size);
        if (n <= 0)
            return;
        bytes += n;
        size -= (size_t)n;
    }
}

/* Headers, in a printf form without the last line, and so much of a body. */
static inline void web_answer(const struct web_request *q, const char *headers, const char *bytes,
                              size_t size)
{
    dprintf(q->client, "HTTP/1.1 %s\r\nConnection: close\r\n\r\n", headers);
    web_send(q->client, bytes, size);
}

static struct web_server web_start(const char *dir, void (*handle)(const struct web_request *q))
{
    struct web_server s = {.log = path_join(dir, "requests")};
    close(open(s.log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    s.port = ntohs(at.sin_port);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_IGN);
        setpgid(0, 0);
        alarm(120);
        for (;;) {
            struct web_request q = {.client = accept(listener, NULL, NULL)};
            if (q.client < 0 || fork() == 0) {
                alarm(60);
                if (q.client >= 0 && web_read(&q, s.log))
                    handle(&q);
                shutdown(q.client, SHUT_WR);
                _exit(0);
            }
            close(q.client);
        }
    }
    setpgid(s.pid, s.pid);
    close(listener);
    return s;
}

static void web_stop(struct web_server *s)
{
    kill(-s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    free(s->log);
}

#endif
