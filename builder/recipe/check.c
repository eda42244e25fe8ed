#include "recipe/check.h"

#include "base/path.h"
#include "base/text.h"

#include "signature/openpgp.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM LOWER UPPER DIGITS

/* 1 to max characters, the first from `first`, all from `all`. */
static bool is_word(const char *s, const char *first, const char *all, size_t max)
{
    return *s && strchr(first, *s) && strspn(s, all) == strlen(s) && strlen(s) <= max;
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if (iscntrl((unsigned char)*s))
            return true;
    return false;
}

bool check_plain_name(const char *s, const char **why)
{
    *why = "a name is letters, digits, `.`, `_` and `-`, starts with a letter or digit, and has at "
           "most 64 characters";
    return is_word(s, ALNUM, ALNUM "._-", 64) && path_is_plain_name(s);
}

bool check_version(const char *s, const char **why)
{
    *why = "a version is letters, digits, `.`, `_`, `-`, `+` and `~`, and starts with a letter or "
           "digit";
    return is_word(s, ALNUM, ALNUM "._-+~", 64);
}

bool check_guest_path(const char *s, const char **why)
{
    *why = "a path in the guest is absolute, without `..`, doubled or trailing slashes";
    if (!path_is_clean_absolute(s))
        return false;
    *why = "the guest's root itself cannot be named here";
    return s[1] != '\0';
}

bool check_host_path(const char *s, const char **why)
{
    *why = "a path is not empty and has no control characters";
    return *s && !has_control(s);
}

/* The part behind SCHEME://, checked as far as it matters here. */
static bool is_authority(const char *s, const char **why)
{
    size_t n = strcspn(s, "/?#");
    if (memchr(s, '@', n)) {
        *why =
            "a URL in a recipe has no user and password: secrets are named by file, never written";
        return false;
    }
    *why = "a URL has a host behind `://`";
    return n > 0 && s[0] != ':';
}

bool check_http_url(const char *s, const char **why)
{
    *why = "this must be a URL that starts with https:// or http://";
    const char *rest = text_starts_with(s, "https://")  ? s + 8
                       : text_starts_with(s, "http://") ? s + 7
                                                        : NULL;
    if (!rest)
        return false;
    for (const char *p = s; *p; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7F || strchr("\"<>\\^`{|}", *p)) {
            *why = "a URL has no spaces and no \" < > \\ ^ ` { | }: write them percent-encoded";
            return false;
        }
    }
    return is_authority(rest, why);
}

bool check_url(const char *s, const char **why)
{
    if (text_starts_with(s, "file://")) {
        *why = "a file URL is file:// and a clean absolute path, such as file:///srv/base.qcow2";
        return path_is_clean_absolute(s + 7) && s[8];
    }
    if (check_http_url(s, why))
        return true;
    if (!text_starts_with(s, "http"))
        *why = "a URL starts with https://, http:// or file://";
    return false;
}

bool check_url_or_path(const char *s, const char **why)
{
    return strstr(s, "://") ? check_url(s, why) : check_host_path(s, why);
}

bool check_url_template(const char *s, const char **why)
{
    char filled[2048];
    size_t n = 0;
    *why = "longer than 2000 characters";
    while (*s && n < sizeof filled - 1) {
        size_t name = text_starts_with(s, "@{") ? strspn(s + 2, LOWER "_") : 0;
        if (name && s[2 + name] == '}') {
            filled[n++] = 'x';
            s += name + 3;
        } else {
            filled[n++] = *s++;
        }
    }
    filled[n] = '\0';
    return !*s && check_url_or_path(filled, why);
}

static bool check_digest(enum digest_kind kind, const char *s, const char **why)
{
    static const char *const right[] = {
        [DIGEST_SHA256] = "a SHA-256 digest is 64 hexadecimal digits",
        [DIGEST_SHA512] = "a SHA-512 digest is 128 hexadecimal digits",
    };
    size_t n = strlen(s);
    *why = right[kind];
    if (strspn(s, DIGITS "abcdefABCDEF") != n)
        return false;
    if (n == 0)
        *why = "an empty digest verifies nothing";
    else if (n == 32)
        *why = "this has the length of an MD5 digest, which is broken: give SHA-256 or SHA-512";
    else if (n == 40)
        *why = "this has the length of a SHA-1 digest, which is broken: give SHA-256 or SHA-512";
    else if (kind == DIGEST_SHA256 && n == 128)
        *why = "this has the length of a SHA-512 digest: write `sha512:`";
    else if (kind == DIGEST_SHA512 && n == 64)
        *why = "this has the length of a SHA-256 digest: write `sha256:`";
    return n == digest_hex_length(kind);
}

bool check_sha256(const char *s, const char **why)
{
    return check_digest(DIGEST_SHA256, s, why);
}

bool check_sha512(const char *s, const char **why)
{
    return check_digest(DIGEST_SHA512, s, why);
}

/* Dot-separated labels of 1 to 63 of the given characters, no hyphen at either end. */
static bool is_host(const char *s, size_t n, const char *characters)
{
    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        while (i + length < n && s[i + length] != '.')
            if (!strchr(characters, s[i + length++]))
                return false;
        if (length == 0 || length > 63 || s[i] == '-' || s[i + length - 1] == '-')
            return false;
        i += length + 1;
        if (i == n) /* a dot at the end */
            return false;
    }
    return true;
}

static bool parse_number(const char *s, size_t n, unsigned min, unsigned max, unsigned *out)
{
    unsigned long v = 0;
    if (n == 0 || n > 6)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]))
            return false;
        v = v * 10 + (unsigned long)(s[i] - '0');
    }
    *out = (unsigned)v;
    return v >= min && v <= max;
}

bool check_percent(const char *s, const char **why)
{
    unsigned percent;
    size_t n = strcspn(s, "%");
    *why = "a share is a percentage from 1% to 100%, such as 50%";
    return strcmp(s + n, "%") == 0 && parse_number(s, n, 1, 100, &percent);
}

bool check_registry(const char *s, const char **why)
{
    *why = "a registry is HOST or HOST:PORT as in front of image names, such as docker.io or "
           "registry.example.com:5000; \"*.example.com\" and \"*\" stand for several";
    size_t n = strcspn(s, ":");
    unsigned port;
    if (s[n] && !parse_number(s + n + 1, strlen(s + n + 1), 1, 65535, &port))
        return false;
    if (strcmp(s, "*") == 0)
        return true;
    size_t wildcard = text_starts_with(s, "*.") ? 2 : 0;
    return is_host(s + wildcard, n - wildcard, ALNUM "-_");
}

bool check_hostname(const char *s, const char **why)
{
    *why = "a host name is lower-case letters, digits and `-` in labels of at most 63, with dots "
           "between them (RFC 1123), at most 64 characters in all";
    return strlen(s) <= 64 && is_host(s, strlen(s), LOWER DIGITS "-");
}

bool check_user(const char *s, const char **why)
{
    *why =
        "a user name is lower-case letters, digits, `_` and `-`, starts with a letter or `_`, and "
        "has at most 32 characters";
    return is_word(s, LOWER "_", LOWER DIGITS "_-", 32);
}

static bool is_owner_part(const char *s, size_t n)
{
    char part[40];
    unsigned id;
    const char *why;
    if (n == 0 || n >= sizeof part)
        return false;
    memcpy(part, s, n);
    part[n] = '\0';
    return parse_number(part, n, 0, 65535, &id) || check_user(part, &why);
}

bool check_owner(const char *s, const char **why)
{
    *why = "an owner is USER, USER:GROUP or numbers up to 65535, such as \"1000:1000\"";
    size_t n = strcspn(s, ":");
    return is_owner_part(s, n) && (!s[n] || is_owner_part(s + n + 1, strlen(s + n + 1)));
}

bool check_ipv4(const char *s, const char **why)
{
    struct in_addr address;
    *why = "this must be an IPv4 address such as 10.0.0.1";
    return inet_pton(AF_INET, s, &address) == 1;
}

bool check_ipv4_prefix(const char *s, const char **why)
{
    *why = "this must be an IPv4 address with the length of its network's prefix, such as "
           "10.0.0.50/24";
    char address[16];
    const char *unused;
    size_t n = strcspn(s, "/");
    unsigned bits;
    if (!s[n] || n >= sizeof address)
        return false;
    memcpy(address, s, n);
    address[n] = '\0';
    return check_ipv4(address, &unused) && parse_number(s + n + 1, strlen(s + n + 1), 1, 32, &bits);
}

bool check_ip(const char *s, const char **why)
{
    struct in6_addr address;
    if (check_ipv4(s, why) || inet_pton(AF_INET6, s, &address) == 1)
        return true;
    *why = "this must be an IPv4 or IPv6 address";
    return false;
}

bool check_package(const char *s, const char **why)
{
    *why = "a package name is letters, digits, `+`, `.`, `_` and `-`, and starts with a letter or "
           "digit";
    return is_word(s, ALNUM, ALNUM "+._-", 128);
}

bool check_service(const char *s, const char **why)
{
    /* OpenRC: boot/cgroups names the runlevel, default where it is not said. */
    static const char *const runlevels[] = {"sysinit/", "boot/", "default/"};
    *why = "a service is named as in /etc/init.d, or as a systemd unit with or without `.service`";
    for (size_t i = 0; i < COUNT(runlevels); i++)
        if (strncmp(s, runlevels[i], strlen(runlevels[i])) == 0)
            return is_word(s + strlen(runlevels[i]), ALNUM, ALNUM "@._:-", 128);
    return is_word(s, ALNUM, ALNUM "@._:-", 128);
}

bool check_module(const char *s, const char **why)
{
    *why = "a kernel module's name is letters, digits, `_` and `-`";
    return is_word(s, ALNUM, ALNUM "_-", 63);
}

bool check_sysctl(const char *s, const char **why)
{
    *why = "a sysctl's name has dots between its parts, such as net.ipv4.ip_forward";
    return is_word(s, LOWER, ALNUM "._-/*", 128) && strchr(s, '.') && !strstr(s, "..") &&
           s[strlen(s) - 1] != '.';
}

bool check_line(const char *s, const char **why)
{
    *why = "this must be one line without control characters, and not empty";
    return *s && !has_control(s);
}

bool check_not_empty(const char *s, const char **why)
{
    *why = "this must not be empty";
    return *s != '\0';
}

static const char *const ssh_key_types[] = {"ssh-ed25519",
                                            "ssh-rsa",
                                            "ecdsa-sha2-nistp256",
                                            "ecdsa-sha2-nistp384",
                                            "ecdsa-sha2-nistp521",
                                            "sk-ssh-ed25519@openssh.com",
                                            "sk-ecdsa-sha2-nistp256@openssh.com"};

bool looks_like_ssh_key(const char *s)
{
    return text_starts_with(s, "ssh-") || text_starts_with(s, "ecdsa-sha2-") ||
           text_starts_with(s, "sk-ssh-") || text_starts_with(s, "sk-ecdsa-");
}

bool check_ssh_key(const char *s, const char **why)
{
    *why = "this is no public key: it is TYPE BASE64 [COMMENT] in one line, as in a .pub file";
    if (has_control(s))
        return false;
    for (size_t i = 0; i < COUNT(ssh_key_types); i++) {
        size_t n = strlen(ssh_key_types[i]);
        if (strncmp(s, ssh_key_types[i], n) != 0 || s[n] != ' ')
            continue;
        const char *key = s + n + 1;
        size_t length = strspn(key, ALNUM "+/=");
        /* The blob starts with the length of the type's name, three bytes of which are 0. */
        return strncmp(key, "AAAA", 4) == 0 && length >= 68 && (key[length] == ' ' || !key[length]);
    }
    return false;
}

bool check_fingerprint(const char *s, const char **why)
{
    *why = "a fingerprint is 40 or 64 hexadecimal digits without spaces";
    size_t n = strlen(s);
    return (n == 40 || n == 64) && strspn(s, DIGITS "abcdefABCDEF") == n;
}

bool check_signer(const char *s, const char **why)
{
    char fingerprint[OPENPGP_FINGERPRINT_MAX];
    *why =
        "a full fingerprint is 40 hexadecimal digits (64 for newer keys), as `gpg --fingerprint` "
        "shows it; a shorter key id can be forged";
    return openpgp_fingerprint(s, fingerprint);
}

bool check_suite(const char *s, const char **why)
{
    *why = "a suite or component is letters, digits, `.`, `_`, `-` and `/`, without `..`";
    return is_word(s, ALNUM "./", ALNUM "._-/", 128) && !strstr(s, "..");
}

bool check_archive_member(const char *s, const char **why)
{
    *why = "a member is a relative name without `..`";
    return path_stays_inside(s);
}

static bool parse_port_range(const char *s, size_t n, unsigned *first, unsigned *count)
{
    const char *dash = memchr(s, '-', n);
    size_t left = dash ? (size_t)(dash - s) : n;
    unsigned last;
    if (!parse_number(s, left, 1, 65535, first))
        return false;
    *count = 1;
    if (!dash)
        return true;
    if (!parse_number(dash + 1, n - left - 1, *first, 65535, &last))
        return false;
    *count = last - *first + 1;
    return true;
}

bool parse_port_forward(struct arena *a, const char *s, struct port_forward *out, const char **why)
{
    static const char *const form =
        "a port is HOST:GUEST or ADDRESS:HOST:GUEST, such as \"8080:30080\" or "
        "\"0.0.0.0:53:53/udp\"; ranges have equal length, such as \"30000-30100:30000-30100\"";
    *why = form;
    size_t n = strlen(s);
    const char *slash = strchr(s, '/');
    if (slash) {
        if (strcmp(slash, "/udp") != 0 && strcmp(slash, "/tcp") != 0)
            return false;
        n = (size_t)(slash - s);
        out->udp = slash[1] == 'u';
    }
    const char *guest = memrchr(s, ':', n);
    if (!guest)
        return false;
    const char *host = memrchr(s, ':', (size_t)(guest - s));
    out->address = "127.0.0.1";
    if (host) {
        char *address = arena_strndup(a, s, (size_t)(host - s));
        if (!check_ipv4(address, why)) {
            *why =
                "the address in front of the ports must be an IPv4 address of this host, such as "
                "0.0.0.0";
            return false;
        }
        *why = form;
        out->address = address;
    }
    host = host ? host + 1 : s;
    unsigned guests;
    if (!parse_port_range(host, (size_t)(guest - host), &out->host, &out->count) ||
        !parse_port_range(guest + 1, (size_t)(s + n - guest - 1), &out->guest, &guests))
        return false;
    *why = "both ranges of ports must have the same length";
    return out->count == guests;
}

/* Numbers with dots between them; missing ones are 0. */
static int compare_versions(const char *a, const char *b)
{
    while (*a || *b) {
        char *end_a, *end_b;
        unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);
        if (x != y)
            return x < y ? -1 : 1;
        a = *end_a == '.' ? end_a + 1 : "";
        b = *end_b == '.' ? end_b + 1 : "";
    }
    return 0;
}

bool version_satisfies(const char *version, const char *condition, bool *wellformed)
{
    static const struct {
        const char *sign;
        bool less, equal, greater;
    } signs[] = {{">=", false, true, true}, {"<=", true, true, false}, {">", false, false, true},
                 {"<", true, false, false}, {"=", false, true, false}, {"", false, true, true}};
    bool satisfied = true;
    for (const char *p = condition;; p++) {
        p += strspn(p, " ");
        size_t i = 0;
        while (!text_starts_with(p, signs[i].sign))
            i++;
        p += strlen(signs[i].sign);
        p += strspn(p, " ");
        size_t n = strspn(p, DIGITS ".");
        char number[32];
        *wellformed = n > 0 && n < sizeof number && isdigit((unsigned char)p[0]) && p[n - 1] != '.';
        if (!*wellformed)
            return false;
        memcpy(number, p, n);
        number[n] = '\0';
        int order = compare_versions(version, number);
        if (order < 0 ? !signs[i].less : order > 0 ? !signs[i].greater : !signs[i].equal)
            satisfied = false;
        p += n;
        p += strspn(p, " ");
        if (*p == ',')
            continue;
        *wellformed = !*p;
        return satisfied && *wellformed;
    }
}
