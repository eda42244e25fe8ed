/* What values may look like. Each function takes a text and says whether it is one of its kind; if
 * not, *why is a constant string that says what would be right.
 */
#ifndef INGOT_RECIPE_CHECK_H
#define INGOT_RECIPE_CHECK_H

#include "recipe/recipe.h"

bool check_plain_name(const char *s, const char **why) must_check;
bool check_version(const char *s, const char **why) must_check;
/* Clean, absolute, not "/". */
bool check_guest_path(const char *s, const char **why) must_check;
bool check_host_path(const char *s, const char **why) must_check;
/* http, https or file, without a name and password in it (RFC 3986). */
bool check_url(const char *s, const char **why) must_check;
bool check_url_or_path(const char *s, const char **why) must_check;
/* The same, where `@{version}`, `@{arch}` and so on may stand in it. */
bool check_url_template(const char *s, const char **why) must_check;
bool check_sha256(const char *s, const char **why) must_check;
bool check_sha512(const char *s, const char **why) must_check;
bool check_percent(const char *s, const char **why) must_check; /* "50%", 1 to 100 */
bool check_http_url(const char *s, const char **why) must_check;
/* HOST[:PORT], a registry as it stands in front of image names; `*.DOMAIN`, `*`. */
bool check_registry(const char *s, const char **why) must_check;
/* RFC 1123, lower case. */
bool check_hostname(const char *s, const char **why) must_check;
/* useradd(8): lower-case letters, digits, `_`, `-`; at most 32. */
bool check_user(const char *s, const char **why) must_check;
/* USER, USER:GROUP or numbers. */
bool check_owner(const char *s, const char **why) must_check;
bool check_ipv4(const char *s, const char **why) must_check;
bool check_ipv4_prefix(const char *s, const char **why) must_check; /* 10.0.0.50/24 */
bool check_ip(const char *s, const char **why) must_check;          /* IPv4 or IPv6 */
bool check_package(const char *s, const char **why) must_check;
bool check_service(const char *s, const char **why) must_check;
bool check_module(const char *s, const char **why) must_check;
bool check_sysctl(const char *s, const char **why) must_check;
/* One line without control characters. */
bool check_line(const char *s, const char **why) must_check;
bool check_not_empty(const char *s, const char **why) must_check;
/* An authorized_keys line without options (sshd(8)). */
bool check_ssh_key(const char *s, const char **why) must_check;
bool check_fingerprint(const char *s, const char **why) must_check; /* 40 or 64 hex digits */
bool check_signer(const char *s, const char **why) must_check;      /* the same, with blanks */
bool check_suite(const char *s, const char **why) must_check;
bool check_archive_member(const char *s, const char **why) must_check;

/* True if s starts like a public key rather than like a path. */
bool looks_like_ssh_key(const char *s);
/* [ADDRESS:]HOST[-HOST]:GUEST[-GUEST][/tcp|/udp]; the address is copied into the arena. */
bool parse_port_forward(struct arena *a, const char *s, struct port_forward *out, const char **why)
    must_check;
/* ">=1.2", "1.2" (the same), "=1.2", "<2"; several with commas. *wellformed tells a version that is
 * outside from a text that is no condition. */
bool version_satisfies(const char *version, const char *condition, bool *wellformed);

#endif
