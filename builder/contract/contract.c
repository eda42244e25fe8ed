#include "contract/contract.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define MAX_BYTES (4u << 20) /* of image.json */
#define MAX_ITEMS 20000u
#define MAX_TEXT 1024u
#define MAX_SIZE ((json_int_t)1 << 60)

/* Features that may stand in `requires` and that this version knows. None so far. */
static const char *const known_features[] = {NULL};

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *files_to_json(const struct contract *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->file_count; i++) {
        json_t *j = json_object();
        json_set_string(j, "role", c->files[i].role);
        json_set_string(j, "name", c->files[i].name);
        json_set_string(j, "format", c->files[i].format);
        json_set_integer(j, "bytes", (json_int_t)c->files[i].bytes);
        json_set_string(j, "sha256", c->files[i].sha256);
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *ports_to_json(const struct contract *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->port_count; i++) {
        json_t *j = json_object();
        json_set_string(j, "address", c->ports[i].address);
        json_set_string(j, "protocol", c->ports[i].protocol);
        json_set_integer(j, "host", c->ports[i].host);
        json_set_integer(j, "guest", c->ports[i].guest);
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *named_to_json(const char *name, const char *version)
{
    json_t *j = json_object();
    json_set_string(j, "name", name);
    json_set_string(j, "version", version);
    return j;
}

static json_t *needs_to_json(uint64_t memory, unsigned cpus, uint64_t disk)
{
    json_t *j = json_object();
    if (memory)
        json_set_integer(j, "memory", (json_int_t)memory);
    if (cpus)
        json_set_integer(j, "cpus", cpus);
    if (disk)
        json_set_integer(j, "disk", (json_int_t)disk);
    return j;
}

static json_t *recommended_to_json(const struct contract *c)
{
    json_t *j = needs_to_json(c->recommended.memory, c->recommended.cpus, c->recommended.disk);
    if (!c->memory_share)
        return j;
    json_t *share = json_object();
    json_set_integer(share, "percent", c->memory_share);
    if (c->memory_min)
        json_set_integer(share, "min", (json_int_t)c->memory_min);
    if (c->memory_max)
        json_set_integer(share, "max", (json_int_t)c->memory_max);
    json_set(j, "memory_share", share);
    return j;
}

static json_t *distribution_to_json(const struct contract *c)
{
    json_t *j = named_to_json(c->distribution.name ? c->distribution.name : "none",
                              c->distribution.version);
    json_set_string(j, "unit", c->distribution.unit);
    json_set_string(j, "kubeconfig", c->distribution.kubeconfig);
    if (c->distribution.api_port) {
        json_t *api = json_object();
        json_set_integer(api, "port", c->distribution.api_port);
        json_set_bool(api, "settable", c->distribution.api_settable);
        json_set(j, "api", api);
    }
    return j;
}

static json_t *built_to_json(const struct contract *c)
{
    json_t *j = json_object(), *tools = json_array();
    json_set_integer(j, "epoch", c->epoch);
    json_set_string(j, "plan", c->plan);
    for (size_t i = 0; i < c->tool_count; i++)
        json_array_append_new(tools, named_to_json(c->tools[i].name, c->tools[i].version));
    json_set(j, "tools", tools);
    return j;
}

json_t *contract_to_json(const struct contract *c)
{
    json_t *j = json_object();
    json_set_integer(j, "contract", CONTRACT_VERSION);
    json_set(j, "requires", json_array());
    json_set_string(j, "name", c->name);
    json_set_string(j, "version", c->version);
    json_set_string(j, "arch", c->arch);
    json_set_string(j, "firmware", c->firmware);
    json_t *os = json_object();
    json_set_string(os, "id", c->os.id);
    json_set_string(os, "version", c->os.version);
    json_set_string(os, "pretty_name", c->os.pretty_name);
    json_set_string(os, "init", c->os.init);
    json_set(j, "os", os);
    json_set(j, "files", files_to_json(c));
    json_set(j, "minimum", needs_to_json(c->minimum.memory, c->minimum.cpus, c->minimum.disk));
    json_set(j, "recommended", recommended_to_json(c));
    json_t *seed = json_object();
    json_set_string(seed, "kind", c->seed.kind);
    json_set_string(seed, "label", c->seed.label);
    if (c->seed.secret)
        json_set_bool(seed, "secret", true);
    json_set(j, "seed", seed);
    if (c->contains_secrets)
        json_set_bool(j, "contains_secrets", true);
    json_set_bool(j, "agent", c->agent);
    json_t *users = json_array(), *packages = json_array();
    if (c->user)
        json_array_append_new(users, named_to_json(c->user, NULL));
    json_set(j, "users", users);
    json_set(j, "ports", ports_to_json(c));
    for (size_t i = 0; i < c->package_count; i++)
        json_array_append_new(packages, named_to_json(c->packages[i].name, c->packages[i].version));
    json_set(j, "packages", packages);
    json_set(j, "distribution", distribution_to_json(c));
    json_set(j, "built", built_to_json(c));
    return j;
}

/* --- reading: the file is somebody else's, nothing in it is believed ---------------------------
 */

struct reader {
    struct arena *arena;
    const char *file;
    struct error **err;
};

static bool wrong(const struct reader *r, const char *key, const char *why)
{
    return error_set(r->err, ERROR_INPUT, "%s: %s: %s", r->file, key, why);
}

/* A string without control characters; absent is NULL unless required. */
static bool get_text(const struct reader *r, const json_t *j, const char *key, bool required,
                     const char **out)
{
    const json_t *v = json_object_get(j, key);
    if (!v || json_is_null(v))
        return !required || wrong(r, key, "is missing");
    if (!json_is_string(v))
        return wrong(r, key, "must be a string");
    const char *s = json_string_value(v);
    size_t n = json_string_length(v);
    if (n > MAX_TEXT || strlen(s) != n)
        return wrong(r, key, "is too long");
    for (const char *p = s; *p; p++)
        if (iscntrl((unsigned char)*p))
            return wrong(r, key, "has control characters");
    if (required && !*s)
        return wrong(r, key, "is empty");
    *out = arena_strdup(r->arena, s);
    return true;
}

static bool get_name(const struct reader *r, const json_t *j, const char *key, bool required,
                     const char **out)
{
    if (!get_text(r, j, key, required, out))
        return false;
    return !*out || path_is_plain_name(*out) ||
           wrong(r, key,
                 "must be one plain name: letters, digits, '.', '_', '-', not "
                 "starting with '.' or '-'");
}

static bool get_integer(const struct reader *r, const json_t *j, const char *key, json_int_t max,
                        bool required, json_int_t *out)
{
    const json_t *v = json_object_get(j, key);
    if (!v)
        return !required || wrong(r, key, "is missing");
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return wrong(r, key, "must be a whole number that is not negative and not too large");
    *out = json_integer_value(v);
    return true;
}

static bool get_size(const struct reader *r, const json_t *j, const char *key, uint64_t *out)
{
    json_int_t n = 0;
    if (!get_integer(r, j, key, MAX_SIZE, false, &n))
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool get_number(const struct reader *r, const json_t *j, const char *key, unsigned max,
                       unsigned *out)
{
    json_int_t n = 0;
    if (!get_integer(r, j, key, max, false, &n))
        return false;
    *out = (unsigned)n;
    return true;
}

static bool get_bool(const struct reader *r, const json_t *j, const char *key, bool *out)
{
    const json_t *v = json_object_get(j, key);
    if (v && !json_is_boolean(v))
        return wrong(r, key, "must be true or false");
    *out = json_is_true(v);
    return true;
}

/* A member that is an object, or NULL where it is absent. */
static bool get_object(const struct reader *r, const json_t *j, const char *key, const json_t **out)
{
    *out = json_object_get(j, key);
    return !*out || json_is_object(*out) || wrong(r, key, "must be an object");
}

static bool get_array(const struct reader *r, const json_t *j, const char *key, const json_t **out)
{
    *out = json_object_get(j, key);
    if (*out && !json_is_array(*out))
        return wrong(r, key, "must be a list");
    if (*out && json_array_size(*out) > MAX_ITEMS)
        return wrong(r, key, "has too many items");
    for (size_t i = 0; *out && i < json_array_size(*out); i++)
        if (!json_is_object(json_array_get(*out, i)))
            return wrong(r, key, "must be a list of objects");
    return true;
}

/* One of a few words; what this version does not know is not wrong, but too new. */
static bool one_of(const struct reader *r, const char *key, const char *value,
                   const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (!value || strcmp(value, words[i]) == 0)
            return true;
    return error_set(r->err, ERROR_UNSUPPORTED,
                     "%s: %s is '%s', which this version of ingot does not know: use a newer one",
                     r->file, key, value);
}

static bool read_version(const struct reader *r, const json_t *j)
{
    json_int_t version = 0;
    if (!get_integer(r, j, "contract", INT_MAX, true, &version))
        return false;
    if (version < 1)
        return wrong(r, "contract", "must be 1 or more");
    if (version > CONTRACT_VERSION)
        return error_set(r->err, ERROR_UNSUPPORTED,
                         "%s: follows contract %d, this version of ingot reads up to %d: use a "
                         "newer one",
                         r->file, (int)version, CONTRACT_VERSION);
    const json_t *requires = json_object_get(j, "requires");
    if (requires && !json_is_array(requires))
        return wrong(r, "requires", "must be a list");
    for (size_t i = 0; i < json_array_size(requires); i++) {
        const char *feature = json_string_value(json_array_get(requires, i));
        if (!feature || !path_is_plain_name(feature))
            return wrong(r, "requires", "must be a list of plain names");
        bool known = false;
        for (size_t k = 0; known_features[k] && !known; k++)
            known = strcmp(feature, known_features[k]) == 0;
        if (!known)
            return error_set(r->err, ERROR_UNSUPPORTED,
                             "%s: requires '%s', which this version of ingot does not know: use "
                             "a newer one",
                             r->file, feature);
    }
    return true;
}

static bool read_file(const struct reader *r, const json_t *j, struct contract_file *f)
{
    static const char *const formats[] = {"qcow2", "raw", "vmdk", "iso", NULL};
    json_int_t bytes = 0;
    if (!get_text(r, j, "role", true, &f->role) || !get_name(r, j, "name", true, &f->name) ||
        !get_text(r, j, "format", true, &f->format) ||
        !get_integer(r, j, "bytes", MAX_SIZE, true, &bytes) ||
        !get_text(r, j, "sha256", true, &f->sha256) || !one_of(r, "format", f->format, formats))
        return false;
    f->bytes = (uint64_t)bytes;
    return digest_is_valid(DIGEST_SHA256, f->sha256) ||
           wrong(r, "sha256", "must be 64 hexadecimal digits");
}

static bool read_files(const struct reader *r, const json_t *j, struct contract *c)
{
    const json_t *list;
    if (!get_array(r, j, "files", &list))
        return false;
    struct contract_file *files = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct contract_file f = {0};
        if (!read_file(r, json_array_get(list, i), &f))
            return error_wrap(r->err, "files[%zu]", i);
        arena_append(r->arena, files, c->file_count, f);
    }
    c->files = files;
    return contract_find_file(c, "disk") || wrong(r, "files", "no file has the role 'disk'");
}

static bool read_ports(const struct reader *r, const json_t *j, struct contract *c)
{
    static const char *const protocols[] = {"tcp", "udp", NULL};
    const json_t *list;
    if (!get_array(r, j, "ports", &list))
        return false;
    struct contract_port *ports = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        struct contract_port port = {.address = "127.0.0.1", .protocol = "tcp"};
        if (!get_text(r, p, "address", false, &port.address) ||
            !get_text(r, p, "protocol", false, &port.protocol) ||
            !one_of(r, "protocol", port.protocol, protocols) ||
            !get_number(r, p, "host", 65535, &port.host) ||
            !get_number(r, p, "guest", 65535, &port.guest))
            return error_wrap(r->err, "ports[%zu]", i);
        if (!port.host || !port.guest || port.address[strspn(port.address, "0123456789.:abcdef")])
            return wrong(r, "ports", "needs 'host' and 'guest' from 1 to 65535 and an IP address");
        arena_append(r->arena, ports, c->port_count, port);
    }
    c->ports = ports;
    return true;
}

static bool read_named(const struct reader *r, const json_t *j, const char *key,
                       struct contract_package **out, size_t *count)
{
    const json_t *list;
    if (!get_array(r, j, key, &list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct contract_package p = {0};
        const json_t *item = json_array_get(list, i);
        if (!get_text(r, item, "name", true, &p.name) ||
            !get_text(r, item, "version", false, &p.version))
            return error_wrap(r->err, "%s[%zu]", key, i);
        arena_append(r->arena, *out, *count, p);
    }
    return true;
}

static bool read_needs(const struct reader *r, const json_t *j, struct contract *c)
{
    const json_t *least, *good, *share;
    if (!get_object(r, j, "minimum", &least) || !get_size(r, least, "memory", &c->minimum.memory) ||
        !get_number(r, least, "cpus", 4096, &c->minimum.cpus) ||
        !get_size(r, least, "disk", &c->minimum.disk))
        return false;
    if (!get_object(r, j, "recommended", &good) ||
        !get_size(r, good, "memory", &c->recommended.memory) ||
        !get_number(r, good, "cpus", 4096, &c->recommended.cpus) ||
        !get_size(r, good, "disk", &c->recommended.disk) ||
        !get_object(r, good, "memory_share", &share))
        return false;
    return get_number(r, share, "percent", 100, &c->memory_share) &&
           get_size(r, share, "min", &c->memory_min) && get_size(r, share, "max", &c->memory_max);
}

static bool read_distribution(const struct reader *r, const json_t *j, struct contract *c)
{
    const json_t *d, *api;
    c->distribution.name = "none";
    return get_object(r, j, "distribution", &d) &&
           get_text(r, d, "name", false, &c->distribution.name) &&
           get_text(r, d, "version", false, &c->distribution.version) &&
           get_text(r, d, "unit", false, &c->distribution.unit) &&
           get_text(r, d, "kubeconfig", false, &c->distribution.kubeconfig) &&
           get_object(r, d, "api", &api) &&
           get_number(r, api, "port", 65535, &c->distribution.api_port) &&
           get_bool(r, api, "settable", &c->distribution.api_settable);
}

static bool read_users(const struct reader *r, const json_t *j, struct contract *c)
{
    struct contract_package *users = NULL;
    size_t count = 0;
    if (!read_named(r, j, "users", &users, &count))
        return false;
    if (count && !path_is_plain_name(users[0].name))
        return wrong(r, "users", "a login name must be a plain name");
    c->user = count ? users[0].name : NULL;
    return true;
}

static bool read_built(const struct reader *r, const json_t *j, struct contract *c)
{
    const json_t *built;
    json_int_t epoch = 0;
    struct contract_package *tools = NULL;
    if (!get_object(r, j, "built", &built) ||
        !get_integer(r, built, "epoch", MAX_SIZE, false, &epoch) ||
        !get_text(r, built, "plan", false, &c->plan) ||
        !read_named(r, built, "tools", &tools, &c->tool_count))
        return false;
    c->epoch = epoch;
    struct contract_tool *copies = arena_alloc(r->arena, (c->tool_count + 1) * sizeof *copies);
    for (size_t i = 0; i < c->tool_count; i++)
        copies[i] = (struct contract_tool){tools[i].name, tools[i].version};
    c->tools = copies;
    return true;
}

bool contract_from_json(struct arena *a, const json_t *j, const char *name,
                        const struct contract **out, struct error **err)
{
    static const char *const archs[] = {"amd64", "arm64", NULL};
    static const char *const firmwares[] = {"bios", "uefi", NULL};
    static const char *const kinds[] = {"cloud-init", "tiny-cloud", "none", NULL};
    /* The helpers look for a failure in *err: give them one to look at. */
    autoerror struct error *own = NULL;
    const struct reader r = {a, arena_strdup(a, name), err ? err : &own};
    struct contract *c = arena_new_of(a, struct contract);
    const json_t *os, *seed;
    struct contract_package *packages = NULL;
    if (!json_is_object(j))
        return wrong(&r, "the document", "must be an object");
    if (!read_version(&r, j) || !get_name(&r, j, "name", true, &c->name) ||
        !get_text(&r, j, "version", false, &c->version) ||
        !get_text(&r, j, "arch", true, &c->arch) || !one_of(&r, "arch", c->arch, archs) ||
        !get_text(&r, j, "firmware", true, &c->firmware) ||
        !one_of(&r, "firmware", c->firmware, firmwares))
        return false;
    if (!get_object(&r, j, "os", &os) || !get_text(&r, os, "id", false, &c->os.id) ||
        !get_text(&r, os, "version", false, &c->os.version) ||
        !get_text(&r, os, "pretty_name", false, &c->os.pretty_name) ||
        !get_text(&r, os, "init", false, &c->os.init))
        return false;
    c->seed.label = "cidata";
    c->seed.kind = "none";
    if (!get_object(&r, j, "seed", &seed) || !get_text(&r, seed, "label", false, &c->seed.label) ||
        !get_text(&r, seed, "kind", false, &c->seed.kind) ||
        !one_of(&r, "seed.kind", c->seed.kind, kinds) ||
        !get_bool(&r, seed, "secret", &c->seed.secret) ||
        !get_bool(&r, j, "contains_secrets", &c->contains_secrets))
        return false;
    if (!read_files(&r, j, c) || !read_needs(&r, j, c) || !get_bool(&r, j, "agent", &c->agent) ||
        !read_users(&r, j, c) || !read_ports(&r, j, c) ||
        !read_named(&r, j, "packages", &packages, &c->package_count) ||
        !read_distribution(&r, j, c) || !read_built(&r, j, c))
        return false;
    c->packages = packages;
    *out = c;
    return true;
}

bool contract_read(struct arena *a, const char *path, const struct contract **out,
                   const char **folder, struct error **err)
{
    struct stat st;
    autofree char *file = NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        file = path_join(path, "image.json");
    else if (!(file = strdup(path)))
        abort();
    autojson json_t *j = NULL;
    if (!json_read_file(file, MAX_BYTES, &j, err) || !contract_from_json(a, j, file, out, err))
        return false;
    if (folder) {
        autofree char *dir = path_dirname(file);
        *folder = arena_strdup(a, dir);
    }
    return true;
}

const struct contract_file *contract_find_file(const struct contract *c, const char *role)
{
    for (size_t i = 0; i < c->file_count; i++)
        if (strcmp(c->files[i].role, role) == 0)
            return &c->files[i];
    return NULL;
}
