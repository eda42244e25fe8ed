#include "ingot/outputs.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "resolve/lock.h"

#include <string.h>
#include <sys/random.h>

#define RECORD_FORMAT 1

/* The folder's absolute name, the same whether it and those above it are there or not yet. */
static char *full_name(const char *out)
{
    autofree char *above = path_dirname(out), *rest = path_join(NULL, path_basename(out));
    autofree char *real = realpath(above, NULL);
    while (!real && strcmp(above, "/") != 0 && strcmp(above, ".") != 0) {
        char *longer = path_join(path_basename(above), rest), *up = path_dirname(above);
        free(rest);
        free(above);
        rest = longer;
        above = up;
        real = realpath(above, NULL);
    }
    return path_join(real, rest);
}

int outputs_lock(struct session *s, const char *out, struct error **err)
{
    autofree char *full = full_name(out), *name = NULL, *waiting = NULL;
    if (asprintf(&name, "output\n%s", full) < 0 ||
        asprintf(&waiting, "another ingot is building %s: waiting for it", out) < 0)
        abort();
    return store_lock(s->store, name, waiting, err);
}

/* Random bytes of this cache: a seed may hold a password's hash, whose plain digest is kept
 * nowhere. */
static bool read_key(struct pipeline *p, char **key, size_t *size, struct error **err)
{
    autofree char *path = path_join(store_root(p->session->store), "key");
    unsigned char fresh[32];
    autoclose int lock = store_lock(p->session->store, "key", NULL, err);
    if (lock < 0)
        return false;
    if (access(path, F_OK) != 0) {
        if (getrandom(fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
            return error_set(err, ERROR_HOST, "no random bytes");
        if (!file_write(path, fresh, sizeof fresh, 0600, err))
            return false;
    }
    return file_read(path, sizeof fresh, key, size, err);
}

static void describe_ports(json_t *j, const struct boot *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->port_count; i++) {
        const struct port_forward *f = &b->ports[i];
        json_array_append_new(list, json_pack("[s,i,i,i,b]", f->address, (int)f->host,
                                              (int)f->guest, (int)f->count, (int)f->udp));
    }
    json_set(j, "ports", list);
}

/* All that image.json says and no layer key holds. */
static void describe_recipe(json_t *j, const struct recipe *r)
{
    json_set_string(j, "ingot", INGOT_VERSION);
    json_set_string(j, "name", r->name.text);
    json_set_string(j, "version", r->version);
    json_set_string(j, "arch", architecture_name(r->arch));
    json_set_integer(j, "firmware", r->base.firmware);
    json_set_string(j, "user", r->boot.user.text ? r->boot.user.text : r->base.user);
    json_set_string(j, "distribution", r->distribution.name.text);
    json_set_string(j, "distribution_version", r->distribution.version);
    json_set_string(j, "unit", r->distribution.unit);
    json_set_string(j, "kubeconfig", r->distribution.kubeconfig);
    json_set_integer(j, "api_port", r->distribution.api_port);
    json_set_integer(j, "memory_minimum", (json_int_t)r->distribution.memory_minimum);
    json_set_integer(j, "memory_recommended", (json_int_t)r->distribution.memory_recommended);
    json_set_integer(j, "outputs", r->outputs);
    json_set_integer(j, "memory", (json_int_t)r->boot.memory);
    json_set_integer(j, "memory_share", r->boot.memory_share);
    json_set_integer(j, "memory_min", (json_int_t)r->boot.memory_min);
    json_set_integer(j, "memory_max", (json_int_t)r->boot.memory_max);
    json_set_integer(j, "cpus", r->boot.cpus);
    describe_ports(j, &r->boot);
}

static bool compute(struct pipeline *p, const struct cidata *seed, struct outputs *o,
                    struct error **err)
{
    const struct recipe *r = p->recipe;
    autofree char *user = NULL, *meta = NULL, *network = NULL, *key = NULL;
    size_t key_size;
    autojson json_t *disk = json_object();
    json_set_integer(disk, "format", RECORD_FORMAT);
    json_set_string(disk, "layer", p->plan->layers[p->plan->layer_count - 1].key);
    json_set_string(disk, "compression", r->compression);
    json_set_integer(disk, "outputs", r->outputs & ~(unsigned)OUTPUT_CIDATA);
    json_set_string(disk, "name", r->name.text);
    autofree char *disk_text = json_canonical(disk);
    digest_bytes(DIGEST_SHA256, disk_text, strlen(disk_text), o->disk);

    autojson json_t *spec = json_object();
    if (!cidata_texts(seed, &user, &meta, &network, err) || !read_key(p, &key, &key_size, err))
        return false;
    json_set_string(spec, "disk", o->disk);
    json_set_string(spec, "user-data", user);
    json_set_string(spec, "meta-data", meta);
    json_set_string(spec, "network-config", network);
    json_set_integer(spec, "epoch", p->epoch);
    describe_recipe(spec, r);
    autofree char *spec_text = json_canonical(spec);
    digest_hmac(key, key_size, spec_text, strlen(spec_text), o->spec);
    return true;
}

/* outputs/DIGEST-OF-THE-FOLDER'S-NAME.json */
static bool record_path(struct session *s, const char *out, char **path, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    autofree char *folder = NULL, *name = NULL, *full = full_name(out);
    if (!store_folder(s->store, "outputs", &folder, err))
        return false;
    digest_bytes(DIGEST_SHA256, full, strlen(full), hex);
    if (asprintf(&name, "%.32s.json", hex) < 0)
        abort();
    *path = path_join(folder, name);
    return true;
}

static json_t *stamp(const struct stat *st)
{
    struct file_stamp s = file_stamp_of(st);
    return json_pack("[I,I,I,I]", (json_int_t)s.device, (json_int_t)s.inode, (json_int_t)s.size,
                     (json_int_t)s.mtime_ns);
}

static bool is_current(const char *out, const char *name, const json_t *recorded)
{
    struct stat st;
    autofree char *path = path_join(out, name);
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    autojson json_t *now = stamp(&st);
    return json_equal(now, recorded);
}

static bool read_record(struct pipeline *p, const json_t *j, const char *out, struct outputs *o)
{
    size_t i;
    json_t *one;
    bool disks = true;
    o->all_current = true;
    json_array_foreach(json_object_get(j, "files"), i, one)
    {
        struct contract_file f = {
            .role = arena_strdup(p->arena, json_string_or(one, "role", "")),
            .name = arena_strdup(p->arena, json_string_or(one, "name", "?")),
            .format = arena_strdup(p->arena, json_string_or(one, "format", "")),
            .sha256 = arena_strdup(p->arena, json_string_or(one, "sha256", "")),
            .bytes = (uint64_t)json_integer_value(json_object_get(one, "bytes")),
        };
        bool current = is_current(out, f.name, json_object_get(one, "stamp"));
        o->all_current = o->all_current && current;
        if (strcmp(f.role, "disk") != 0)
            continue;
        disks = disks && current;
        arena_append(p->arena, o->files, o->count, f);
    }
    return disks && o->count > 0;
}

bool outputs_look(struct pipeline *p, const struct cidata *seed, const char *out, struct outputs *o,
                  struct error **err)
{
    autofree char *path = NULL;
    autojson json_t *j = NULL;
    autoerror struct error *why = NULL;
    *o = (struct outputs){0};
    if (!compute(p, seed, o, err) || !record_path(p->session, out, &path, err))
        return false;
    if (access(path, R_OK) != 0)
        return true;
    if (!json_read_file(path, (size_t)1 << 20, &j, &why)) {
        log_debug("the record of %s is left aside: %s", out, error_text(why));
        return true;
    }
    bool disks = read_record(p, j, out, o);
    o->disk_current = disks && strcmp(json_string_or(j, "disk", ""), o->disk) == 0;
    o->all_current =
        o->all_current && o->disk_current && strcmp(json_string_or(j, "spec", ""), o->spec) == 0;
    return true;
}

static bool add_file(json_t *list, const char *out, const struct contract_file *f,
                     struct error **err)
{
    struct stat st;
    autofree char *path = path_join(out, f->name);
    if (lstat(path, &st) < 0)
        return error_set(err, ERROR_HOST, "%s is gone", path);
    json_t *one = json_object();
    json_set_string(one, "role", f->role);
    json_set_string(one, "name", f->name);
    json_set_string(one, "format", f->format);
    json_set_string(one, "sha256", f->sha256);
    json_set_integer(one, "bytes", (json_int_t)f->bytes);
    json_set(one, "stamp", stamp(&st));
    json_array_append_new(list, one);
    return true;
}

/* A file that a bundle can take along as long as it stays as it is; one that is absent is not
 * recorded. */
static void add_origin(json_t *j, const char *key, const char *path)
{
    char hex[DIGEST_HEX_MAX];
    if (!digest_file(DIGEST_SHA256, path, hex, NULL, NULL))
        return;
    json_t *one = json_object();
    json_set_string(one, "path", path);
    json_set_string(one, "sha256", hex);
    json_set(j, key, one);
}

static void add_recipe(json_t *j, const struct recipe *r)
{
    autofree char *path = path_join(r->dir, path_basename(r->file)), *lock = lock_path(path);
    add_origin(j, "recipe", path);
    add_origin(j, "lock", lock);
}

void outputs_recipe(struct session *s, const char *out, struct outputs_recipe *r)
{
    autofree char *path = NULL;
    autojson json_t *j = NULL;
    *r = (struct outputs_recipe){0};
    if (!record_path(s, out, &path, NULL) || !json_read_file(path, (size_t)1 << 20, &j, NULL))
        return;
    const struct {
        const char *key, **path, **sha256;
    } wanted[] = {{"recipe", &r->path, &r->sha256}, {"lock", &r->lock, &r->lock_sha256}};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        const json_t *one = json_object_get(j, wanted[i].key);
        const char *where = json_string_or(one, "path", NULL);
        if (!where)
            continue;
        *wanted[i].path = arena_strdup(s->arena, where);
        *wanted[i].sha256 = arena_strdup(s->arena, json_string_or(one, "sha256", ""));
    }
}

bool outputs_record(struct pipeline *p, const char *out, const struct outputs *o,
                    const struct contract_file *files, size_t count, struct error **err)
{
    static const struct contract_file own[] = {{.role = "contract", .name = "image.json"},
                                               {.role = "checksums", .name = "SHA256SUMS"}};
    autofree char *path = NULL;
    autojson json_t *j = json_object();
    json_t *list = json_array();
    json_set_string(j, "folder", out);
    json_set_string(j, "spec", o->spec);
    json_set_string(j, "disk", o->disk);
    json_set(j, "files", list);
    add_recipe(j, p->recipe);
    for (size_t i = 0; i < count; i++)
        if (!add_file(list, out, &files[i], err))
            return false;
    for (size_t i = 0; i < COUNT(own); i++)
        if (!add_file(list, out, &own[i], err))
            return false;
    return record_path(p->session, out, &path, err) && json_write_file(path, j, 0600, err);
}
