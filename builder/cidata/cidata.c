#include "cidata/cidata.h"

#include "base/buffer.h"
#include "base/json.h"
#include "base/path.h"
#include "cidata/iso.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

/* --- what the values may be --------------------------------------------------------------------
 */

static bool has_controls(const char *s)
{
    for (; *s; s++)
        if (iscntrl((unsigned char)*s))
            return true;
    return false;
}

/* RFC 1123: labels of letters, digits and hyphens. */
static bool is_hostname(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 253)
        return false;
    for (size_t label = 0; *s; s++) {
        if (*s == '.' || *s == '-') {
            if (label == 0 || (*s == '.' && s[-1] == '-'))
                return false;
            label = *s == '.' ? 0 : label + 1;
        } else if (!isalnum((unsigned char)*s) || ++label > 63) {
            return false;
        }
    }
    return s[-1] != '-' && s[-1] != '.';
}

/* "10.0.0.50", with `prefix` "10.0.0.50/24"; IPv6 as well. */
static bool is_address(const char *s, bool prefix)
{
    char host[64];
    unsigned char bytes[16];
    size_t n = strcspn(s, "/");
    if (n >= sizeof host || (s[n] == '/') != prefix)
        return false;
    memcpy(host, s, n);
    host[n] = '\0';
    long most = inet_pton(AF_INET, host, bytes) == 1    ? 32
                : inet_pton(AF_INET6, host, bytes) == 1 ? 128
                                                        : -1;
    if (most < 0 || !prefix)
        return most > 0;
    char *end;
    long bits = strtol(s + n + 1, &end, 10);
    return isdigit((unsigned char)s[n + 1]) && !*end && bits >= 0 && bits <= most;
}

/* crypt(5): "$id$…"; the letters of its base 64, and what separates parameters. */
static bool is_password_hash(const char *s)
{
    if (s[0] != '$' || !strchr(s + 1, '$') || strlen(s) < 20)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("$./,=-+_", *s))
            return false;
    return true;
}

/* sshd(8), AUTHORIZED_KEYS: a type, white space, base 64, and perhaps a comment. */
static bool is_ssh_key(const char *s)
{
    const char *space = strchr(s, ' ');
    return space && space > s && isalpha((unsigned char)*s) && isalnum((unsigned char)space[1]) &&
           !has_controls(s);
}

static bool check_values(const struct cidata *c, struct error **err)
{
    if (!c->hostname || !is_hostname(c->hostname))
        return error_set(err, ERROR_INPUT, "'%s' is no host name (letters, digits, '-', '.')",
                         c->hostname ? c->hostname : "");
    if (!c->instance_id || !path_is_plain_name(c->instance_id))
        return error_set(err, ERROR_INPUT, "'%s' is no instance-id",
                         c->instance_id ? c->instance_id : "");
    if (c->user && !path_is_plain_name(c->user))
        return error_set(err, ERROR_INPUT, "'%s' is no login name", c->user);
    for (const char *const *k = c->ssh_keys; k && *k; k++)
        if (!is_ssh_key(*k))
            return error_set(err, ERROR_INPUT,
                             "not an SSH public key (one line, \"ssh-ed25519 AAAA… comment\")");
    if (c->password_hash && !is_password_hash(c->password_hash))
        return error_set(err, ERROR_INPUT,
                         "the password must be given as a crypt(5) hash, as `openssl passwd -6` "
                         "makes one");
    if (c->address && !is_address(c->address, true))
        return error_set(err, ERROR_INPUT, "'%s' is no address with a prefix, as 10.0.0.50/24",
                         c->address);
    if (c->gateway && !is_address(c->gateway, false))
        return error_set(err, ERROR_INPUT, "gateway '%s' is no IP address", c->gateway);
    for (const char *const *n = c->nameservers; n && *n; n++)
        if (!is_address(*n, false))
            return error_set(err, ERROR_INPUT, "nameserver '%s' is no IP address", *n);
    return true;
}

/* --- YAML --------------------------------------------------------------------------------------
 */

/* A string as YAML 1.2 and 1.1 both read it: JSON's form, with UTF-8 as it is. */
static bool add_quoted(struct buffer *b, const char *s, struct error **err)
{
    autojson json_t *j = json_string(s);
    if (!j)
        return error_set(err, ERROR_INPUT, "a value of the seed is not UTF-8");
    autofree char *text = json_dumps(j, JSON_ENCODE_ANY);
    if (!text)
        abort();
    buffer_puts(b, text);
    return true;
}

static bool add_pair(struct buffer *b, const char *key, const char *value, struct error **err)
{
    buffer_puts(b, key);
    if (!add_quoted(b, value, err))
        return false;
    buffer_puts(b, "\n");
    return true;
}

static bool add_list(struct buffer *b, const char *indent, const char *const *items,
                     struct error **err)
{
    for (; items && *items; items++) {
        buffer_printf(b, "%s- ", indent);
        if (!add_pair(b, "", *items, err))
            return false;
    }
    return true;
}

/* --- cloud-init ---------------------------------------------------------------------------------
 */

static bool cloud_user_data(const struct cidata *c, struct buffer *b, struct error **err)
{
    buffer_puts(b, "#cloud-config\n");
    if (c->user || c->password_hash) {
        buffer_puts(b, "user:\n");
        if (c->user && !add_pair(b, "  name: ", c->user, err))
            return false;
        buffer_printf(b, "  lock_passwd: %s\n", c->password_hash ? "false" : "true");
        if (c->password_hash && !add_pair(b, "  hashed_passwd: ", c->password_hash, err))
            return false;
    }
    if (c->ssh_keys && *c->ssh_keys) {
        buffer_puts(b, "ssh_authorized_keys:\n");
        if (!add_list(b, "  ", c->ssh_keys, err))
            return false;
    }
    if (!c->has_locales)
        buffer_puts(b, "locale: \"false\"\n");
    return true;
}

static bool cloud_meta_data(const struct cidata *c, struct buffer *b, struct error **err)
{
    if (!add_pair(b, "instance-id: ", c->instance_id, err) ||
        !add_pair(b, "local-hostname: ", c->hostname, err))
        return false;
    if (!c->user_data || !c->ssh_keys || !*c->ssh_keys)
        return true;
    buffer_puts(b, "public-keys:\n");
    return add_list(b, "  ", c->ssh_keys, err);
}

/* The interface's name is not known: one entry for each scheme of names, only one of them matches.
 */
static bool cloud_network(const struct cidata *c, struct buffer *b, struct error **err)
{
    static const char *const schemes[] = {"en", "eth"};
    buffer_puts(b, "version: 2\nethernets:\n");
    for (size_t i = 0; i < COUNT(schemes); i++) {
        buffer_printf(b, "  %s:\n    match: {name: \"%s*\"}\n", schemes[i], schemes[i]);
        if (!c->address) {
            buffer_puts(b, "    dhcp4: true\n");
        } else {
            buffer_puts(b, "    dhcp4: false\n    addresses: [");
            if (!add_quoted(b, c->address, err))
                return false;
            buffer_puts(b, "]\n");
        }
        if (c->gateway) {
            bool six = strchr(c->gateway, ':') != NULL;
            buffer_printf(b, "    gateway%c: ", six ? '6' : '4');
            if (!add_pair(b, "", c->gateway, err))
                return false;
        }
        if (c->nameservers && *c->nameservers) {
            buffer_puts(b, "    nameservers:\n      addresses:\n");
            if (!add_list(b, "        ", c->nameservers, err))
                return false;
        }
    }
    return true;
}

/* --- tiny-cloud ---------------------------------------------------------------------------------
 */

/* It runs `#!` scripts and knows no password: the script sets it. A hash has no character that the
 * shell would look at between single quotes. */
static bool tiny_user_data(const struct cidata *c, struct buffer *b, struct error **err)
{
    buffer_puts(b, "#!/bin/sh\n");
    if (!c->password_hash)
        return true;
    if (!c->user)
        return error_set(err, ERROR_INPUT, "a password for tiny-cloud needs the user's name");
    buffer_printf(b, "printf '%%s\\n' '%s:%s' | chpasswd -e\n", c->user, c->password_hash);
    return true;
}

static bool tiny_meta_data(const struct cidata *c, struct buffer *b, struct error **err)
{
    if (!add_pair(b, "instance-id: ", c->instance_id, err) ||
        !add_pair(b, "hostname: ", c->hostname, err))
        return false;
    if (c->ssh_keys && *c->ssh_keys)
        buffer_puts(b, "public-keys:\n");
    for (size_t i = 0; c->ssh_keys && c->ssh_keys[i]; i++) {
        buffer_printf(b, "  \"%zu\":\n", i);
        if (!add_pair(b, "    openssh-key: ", c->ssh_keys[i], err))
            return false;
    }
    return true;
}

/* --- both ---------------------------------------------------------------------------------------
 */

static char *copy(const char *s)
{
    char *p = strdup(s);
    if (!p)
        abort();
    return p;
}

bool cidata_texts(const struct cidata *c, char **user_data, char **meta_data, char **network_config,
                  struct error **err)
{
    bool tiny = strcmp(c->kind, "tiny-cloud") == 0;
    autobuffer struct buffer user = {0}, meta = {0}, network = {0};
    if (!check_values(c, err))
        return false;
    if (tiny && (c->address || c->gateway || c->nameservers || c->network_config))
        return error_set(err, ERROR_UNSUPPORTED,
                         "tiny-cloud takes no network settings from its seed: leave the address "
                         "to DHCP, or put the settings into the image");
    if (!c->user_data && !(tiny ? tiny_user_data : cloud_user_data)(c, &user, err))
        return false;
    if (!(tiny ? tiny_meta_data : cloud_meta_data)(c, &meta, err))
        return false;
    bool network_said = c->address || c->gateway || (c->nameservers && *c->nameservers);
    if (!c->network_config && network_said && !cloud_network(c, &network, err))
        return false;
    *user_data = c->user_data ? copy(c->user_data) : buffer_take(&user);
    *meta_data = buffer_take(&meta);
    *network_config = c->network_config ? copy(c->network_config)
                      : network_said    ? buffer_take(&network)
                                        : NULL;
    return true;
}

bool cidata_write(const struct cidata *c, const char *path, struct error **err)
{
    autofree char *user = NULL, *meta = NULL, *network = NULL;
    if (!cidata_texts(c, &user, &meta, &network, err))
        return error_wrap(err, "cannot make the seed");
    const struct iso_file files[] = {
        {"user-data", user}, {"meta-data", meta}, {"network-config", network}};
    return iso_write(path, "cidata", files, network ? 3 : 2, c->epoch, err) ||
           error_wrap(err, "cannot make the seed");
}

char *cidata_find_key(const char *meta_data, size_t i)
{
    static const char *const before[] = {"  - ", "    openssh-key: "};
    const char *line = strstr(meta_data, "public-keys:\n");
    for (; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
        for (size_t k = 0; k < COUNT(before); k++) {
            size_t n = strlen(before[k]);
            if (strncmp(line, before[k], n) != 0 || i-- > 0)
                continue;
            autojson json_t *j =
                json_loadb(line + n, strcspn(line + n, "\n"), JSON_DECODE_ANY, NULL);
            return json_is_string(j) ? copy(json_string_value(j)) : NULL;
        }
    }
    return NULL;
}

bool cidata_read(const char *path, const char *name, size_t max_bytes, char **text,
                 struct error **err)
{
    return iso_read(path, name, max_bytes, text, err);
}
