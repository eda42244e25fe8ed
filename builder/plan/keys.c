/* Layer keys: SHA-256 over canonical JSON of all that a layer is made from.
 *
 * What a step does with the same inputs is its version below: raise it when a step's code comes to
 * do something else, and cached layers made by the old code are no longer used.
 */
#include "plan/build.h"
#include "plan/seal.h"

#include "base/path.h"

#include <string.h>

#define KEY_FORMAT 1

const char *const layer_names[LAYER_KINDS] = {
    [LAYER_BASE] = "base", [LAYER_SYSTEM] = "system", [LAYER_PAYLOAD] = "payload",
    [LAYER_RUN] = "run",   [LAYER_SEAL] = "seal",
};

static const int step_versions[LAYER_KINDS] = {
    [LAYER_BASE] = 1, [LAYER_SYSTEM] = 1, [LAYER_PAYLOAD] = 1, [LAYER_RUN] = 1, [LAYER_SEAL] = 1,
};

/* --- what each layer is made from: false where that is not known yet
 * ------------------------------ */

/* Repositories of the guest's kind are kept in the image. */
static bool is_kept(const struct plan *p, const struct repository *r)
{
    return p->facts->packages == (r->kind == REPOSITORY_APT ? PACKAGES_APT : PACKAGES_APK);
}

static void describe_repositories(const struct plan *p, json_t *j)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->recipe->repository_count; i++) {
        const struct repository *r = &p->recipe->repositories[i];
        if (!is_kept(p, r))
            continue;
        json_t *one = json_object(), *components = json_array();
        json_set_string(one, "url", r->url);
        json_set_string(one, "suite", r->suite);
        for (size_t k = 0; k < r->components.count; k++)
            json_array_append_new(components, json_string(r->components.items[k].text));
        json_set(one, "components", components);
        json_set_string(one, "key", r->key.text ? path_basename(r->key.text) : NULL);
        json_set_string(one, "key_digest", p->repository_keys[i]);
        json_array_append_new(list, one);
    }
    if (json_array_size(list))
        json_set(j, "repositories", list);
    else
        json_decref(list);
}

static bool describe_system(const struct plan *p, json_t *j)
{
    bool wants = p->packages_wanted && p->packages_wanted[0];
    if (!p->facts || (wants && !p->resolution))
        return false;
    json_set_integer(j, "disk", (json_int_t)p->recipe->disk);
    describe_repositories(p, j);
    const struct resolution *r = wants ? p->resolution : NULL;
    json_t *packages = json_array();
    bool all_digests = true;
    for (size_t i = 0; r && i < r->count; i++) {
        const struct package *k = &r->packages[i];
        json_t *package = json_object();
        json_set_string(package, "name", k->name);
        json_set_string(package, "version", k->version);
        json_set_string(package, "architecture", k->architecture);
        json_set_string(package, "digest", k->digest);
        json_set_bool(package, "automatic", k->automatic);
        json_array_append_new(packages, package);
        all_digests = all_digests && k->digest;
    }
    json_set(j, "packages", packages);
    json_set(j, "wanted", json_strings(wants ? p->packages_wanted : NULL));
    if (!all_digests) { /* then the index says what the packages are */
        json_t *indexes = json_array();
        for (size_t i = 0; i < r->index_count; i++)
            json_array_append_new(indexes, json_string(r->indexes[i].digest));
        json_set(j, "indexes", indexes);
    }
    return true;
}

/* The digest that an entry's key stands on: the recipe's own word first, so that the key is the
 * same before and after the fetch. */
static bool set_digest(json_t *j, const struct plan_entry *e)
{
    const struct verify *v = e->verify;
    if (e->url && v && v->kind == VERIFY_DIGEST && v->digest_kind != DIGEST_SHA256) {
        json_set_string(j, digest_name(v->digest_kind), v->digest);
        return true;
    }
    if (!e->digest)
        return false;
    json_set_string(j, "sha256", e->digest);
    return true;
}

static bool describe_entry(const struct plan_entry *e, json_t *list)
{
    json_t *j = json_object();
    json_array_append_new(list, j);
    json_set_integer(j, "kind", e->kind);
    json_set_string(j, "path", e->path);
    json_set_integer(j, "mode", e->mode);
    json_set_integer(j, "uid", e->uid);
    json_set_integer(j, "gid", e->gid);
    json_set_bool(j, "force", e->force);
    json_set_string(j, "target", e->target);
    json_set_string(j, "unpack", e->unpack);
    if (e->members)
        json_set(j, "members", json_strings(e->members));
    return (e->kind != ENTRY_FILE && e->kind != ENTRY_ARCHIVE) || set_digest(j, e);
}

static bool describe_payload(const struct plan *p, json_t *j)
{
    json_t *list = json_array(), *setuid = json_array();
    json_set(j, "entries", list);
    json_set(j, "setuid", setuid);
    bool has_archive = false;
    for (size_t i = 0; i < p->entry_count; i++) {
        if (!describe_entry(&p->entries[i], list))
            return false;
        has_archive = has_archive || p->entries[i].kind == ENTRY_ARCHIVE;
    }
    for (size_t i = 0; has_archive && i < p->recipe->setuid.count; i++)
        json_array_append_new(setuid, json_string(p->recipe->setuid.items[i].text));
    return true;
}

static bool describe_run(const struct plan *p, json_t *j)
{
    json_t *commands = json_array();
    json_set(j, "commands", commands);
    for (size_t i = 0; i < p->recipe->run_count; i++)
        json_array_append_new(commands, json_strings(p->recipe->run[i].argv));
    return true;
}

static bool describe_seal(const struct plan *p, json_t *j)
{
    json_t *items = json_array();
    json_set(j, "items", items);
    json_set(j, "never_baked", json_strings(p->recipe->distribution.never_baked));
    for (size_t i = 0; i < seal_item_count; i++) {
        json_t *item = json_array();
        json_array_append_new(item, json_string(seal_action_names[seal_items[i].action]));
        json_array_append_new(item, json_string(seal_items[i].path));
        json_array_append_new(items, item);
    }
    return true;
}

static bool (*const describe[LAYER_KINDS])(const struct plan *p, json_t *j) = {
    [LAYER_SYSTEM] = describe_system,
    [LAYER_PAYLOAD] = describe_payload,
    [LAYER_RUN] = describe_run,
    [LAYER_SEAL] = describe_seal,
};

static bool has_repositories(const struct plan *p)
{
    for (size_t i = 0; i < p->recipe->repository_count; i++)
        if (is_kept(p, &p->recipe->repositories[i]))
            return true;
    return false;
}

static bool has_layer(const struct plan *p, enum layer_kind kind)
{
    switch (kind) {
    case LAYER_SYSTEM:
        return !p->facts || p->packages_wanted[0] || has_repositories(p) ||
               p->recipe->disk > p->facts->virtual_size;
    case LAYER_RUN:
        return p->recipe->run_count > 0;
    default:
        return true;
    }
}

static const char *make_key(struct plan *p, enum layer_kind kind, const char *below)
{
    if (!below)
        return NULL;
    autojson json_t *j = json_object();
    json_set_integer(j, "format", KEY_FORMAT);
    json_set_string(j, "layer", layer_names[kind]);
    json_set_integer(j, "version", step_versions[kind]);
    json_set_string(j, "below", below);
    if (describe[kind]) {
        json_set_integer(j, "epoch", p->epoch);
        if (!describe[kind](p, j))
            return NULL;
    }
    autofree char *text = json_canonical(j);
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    return arena_strdup(p->arena, hex);
}

void plan_make_layers(struct plan *p, const char *base_digest)
{
    const char *below = base_digest;
    for (enum layer_kind kind = LAYER_BASE; kind < LAYER_KINDS; kind++) {
        if (!has_layer(p, kind))
            continue;
        below = make_key(p, kind, below);
        p->layers[p->layer_count++] = (struct plan_layer){kind, below};
    }
}
