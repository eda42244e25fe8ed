#include "boot/instance.h"

#include "base/path.h"
#include "base/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define DEFAULT_MEMORY GIB
#define DEFAULT_CPUS 2

bool instance_name_check(const char *name, struct error **err)
{
    if (path_is_plain_name(name) && strlen(name) <= 63)
        return true;
    return error_set(err, ERROR_USAGE,
                     "'%s' is no name for an instance: letters, digits, '.', '_', '-', at most 63, "
                     "not starting with '.' or '-'",
                     name);
}

const char *instance_hostname(struct arena *a, const char *name)
{
    char *host = arena_strdup(a, name);
    size_t n = 0;
    for (const char *p = host; *p; p++)
        if (isalnum((unsigned char)*p))
            host[n++] = *p;
        else if (n && host[n - 1] != '-')
            host[n++] = '-';
    while (n && host[n - 1] == '-')
        n--;
    host[n] = '\0';
    return host;
}

static bool parse_port(const char *s, size_t n, unsigned *port)
{
    unsigned value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]) || n > 5)
            return false;
        value = value * 10 + (unsigned)(s[i] - '0');
    }
    *port = value;
    return n > 0 && value >= 1 && value <= 65535;
}

static bool is_address(const char *s)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1;
}

static bool parse_forward(struct arena *a, const char *text, struct forward *f)
{
    *f = (struct forward){.address = "127.0.0.1", .protocol = "tcp"};
    const char *slash = strrchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (slash && strcmp(slash, "/udp") == 0)
        f->protocol = "udp";
    else if (slash && strcmp(slash, "/tcp") != 0)
        return false;
    const char *body = arena_strndup(a, text, n);
    const char *guest = strrchr(body, ':');
    if (!guest || !parse_port(guest + 1, strlen(guest + 1), &f->guest))
        return false;
    const char *front = arena_strndup(a, body, (size_t)(guest - body));
    const char *host = strrchr(front, ':');
    if (!host)
        return parse_port(front, strlen(front), &f->host);
    size_t length = (size_t)(host - front);
    if (length > 2 && front[0] == '[' && front[length - 1] == ']')
        f->address = arena_strndup(a, front + 1, length - 2);
    else
        f->address = arena_strndup(a, front, length);
    return is_address(f->address) && parse_port(host + 1, strlen(host + 1), &f->host);
}

bool forward_parse(struct arena *a, const char *text, struct forward *out, struct error **err)
{
    return parse_forward(a, text, out) ||
           error_set(err, ERROR_USAGE,
                     "'%s' is no forward: [ADDRESS:]HOST:GUEST[/udp], as 2222:22 or "
                     "0.0.0.0:8080:80",
                     text);
}

bool forward_check_free(const struct forward *f, struct error **err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } at = {0};
    bool six = strchr(f->address, ':') != NULL;
    if (six) {
        at.six.sin6_family = AF_INET6;
        at.six.sin6_port = htons((uint16_t)f->host);
        inet_pton(AF_INET6, f->address, &at.six.sin6_addr);
    } else {
        at.four.sin_family = AF_INET;
        at.four.sin_port = htons((uint16_t)f->host);
        inet_pton(AF_INET, f->address, &at.four.sin_addr);
    }
    bool udp = strcmp(f->protocol, "udp") == 0;
    autoclose int fd = socket(at.any.sa_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (fd < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot make a socket");
    if (!udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, &at.any, six ? sizeof at.six : sizeof at.four) == 0)
        return true;
    if (errno == EADDRINUSE)
        return error_set(err, ERROR_CONFLICT,
                         "%s port %u on %s is in use (another instance?): choose others with "
                         "--no-forward and --forward HOST:%u",
                         f->protocol, f->host, f->address, f->guest);
    return error_errno(err, ERROR_HOST, errno, "cannot listen on %s port %u", f->address, f->host);
}

uint64_t instance_memory(const struct contract *c, uint64_t host_memory)
{
    uint64_t memory = c->recommended.memory ? c->recommended.memory : c->minimum.memory;
    if (c->memory_share) {
        memory = host_memory * c->memory_share / 100;
        if (c->memory_max && memory > c->memory_max)
            memory = c->memory_max;
        if (memory < c->memory_min)
            memory = c->memory_min;
    }
    return memory ? memory : DEFAULT_MEMORY;
}

unsigned instance_cpus(const struct contract *c, unsigned host_cpus)
{
    unsigned cpus = c->recommended.cpus ? c->recommended.cpus : c->minimum.cpus;
    if (!cpus)
        cpus = DEFAULT_CPUS;
    return host_cpus && cpus > host_cpus ? host_cpus : cpus;
}
