#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "boot/artifact.h"
#include "boot/commands/commands.h"
#include "bundle/import.h"

#include <string.h>

struct options {
    const char *connect; /* first */
    const char *to, *pool, *key, *fingerprint;
};

static const struct option_spec specs[] = {
    OPTION_CONNECT,
    {"to", 0, OPTION_STRING, offsetof(struct options, to), "DIR",
     "import: artifacts come to DIR/TITLE (.; with --pool where ingot-boot keeps its state)"},
    {"pool", 0, OPTION_STRING, offsetof(struct options, pool), "POOL",
     "import: disks become volumes of this storage pool of libvirt"},
    {"key", 'k', OPTION_STRING, offsetof(struct options, key), "FILE",
     "the public key that must have signed the bundle"},
    {"fingerprint", 0, OPTION_STRING, offsetof(struct options, fingerprint), "F",
     "the OpenPGP key in FILE that must have signed it"},
    {0},
};

/* --- verify, ls ---------------------------------------------------------------------------------
 */

static bool verify(const struct cli *cli, const struct options *o, struct error **err)
{
    const struct bundle_sink nothing = {0};
    autobundle struct bundle_reader *r = NULL;
    const char *signed_by;
    char size[16];
    if (!artifact_open_bundle(cli->arguments[1], o->key, o->fingerprint, &r, &signed_by, err))
        return false;
    progress_step("check %s", cli->arguments[1]);
    if (!bundle_read(r, &nothing, err))
        return false;
    progress_done();
    const struct bundle *b = bundle_manifest(r);
    if (cli->json) {
        json_t *j = bundle_to_json(b);
        json_object_del(j, "members");
        json_object_del(j, "folders");
        json_object_del(j, "links");
        json_set_integer(j, "members", (json_int_t)b->count);
        json_set_string(j, "signature_check", signed_by);
        print_json(j);
    } else {
        printf("ok: %zu members, %s, manifest sha256 %s, signature %s\n", b->count,
               units_format_size(b->payload, size), b->manifest_sha256, signed_by);
    }
    return true;
}

static bool list(const struct cli *cli, const struct options *o, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    const char *signed_by;
    if (!artifact_open_bundle(cli->arguments[1], o->key, o->fingerprint, &r, &signed_by, err))
        return false;
    const struct bundle *b = bundle_manifest(r);
    if (cli->json) {
        print_json(bundle_to_json(b));
        return true;
    }
    for (size_t i = 0; i < b->count; i++)
        printf("%.64s  %12ju  %s\n", b->members[i].sha256, (uintmax_t)b->members[i].size,
               b->members[i].path);
    for (size_t i = 0; i < b->link_count; i++)
        printf("%-64s  %12s  %s -> %s\n", "link", "", b->links[i].path, b->links[i].target);
    return true;
}

/* --- import -------------------------------------------------------------------------------------
 */

static bool import_to_pool(const struct options *o, struct bundle_reader *r, json_t *j,
                           struct error **err)
{
    autovirt struct virt *v = NULL;
    json_t *volumes = json_array();
    json_set(j, "volumes", volumes);
    if (!virt_open(o->connect, &v, err))
        return false;
    log_info("libvirt: %s, %s", virt_uri(v), virt_why(v));
    autofree char *folder = o->to ? path_absolute(".", o->to) : artifact_folder(v);
    json_set_string(j, "to", folder);
    json_set_string(j, "uri", virt_uri(v));
    return artifact_to_pool(v, r, o->pool, folder, volumes, err);
}

static bool import_to_folder(const struct options *o, struct bundle_reader *r, json_t *j,
                             struct error **err)
{
    const struct bundle *b = bundle_manifest(r);
    const struct bundle_import how = {
        .folder = o->to ? o->to : ".", .tops = b->names, .names = b->names};
    if (b->kind != BUNDLE_ARTIFACTS)
        return error_set(err, ERROR_INPUT,
                         "this is a bundle for rebuilding: `ingot bundle import` takes it");
    if (!bundle_import(r, &how, NULL, err))
        return false;
    autofree char *folder = path_absolute(".", how.folder);
    json_set_string(j, "to", folder);
    return true;
}

static bool import(const struct cli *cli, const struct options *o, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    autojson json_t *j = json_object();
    const char *signed_by;
    if (!artifact_open_bundle(cli->arguments[1], o->key, o->fingerprint, &r, &signed_by, err))
        return false;
    const struct bundle *b = bundle_manifest(r);
    json_set_string(j, "manifest_sha256", b->manifest_sha256);
    json_set_string(j, "signature_check", signed_by);
    if (!(o->pool ? import_to_pool : import_to_folder)(o, r, j, err))
        return false;
    progress_done();
    json_t *folders = json_array();
    json_set(j, "folders", folders);
    for (const char *const *n = b->names; *n; n++) {
        autofree char *folder = path_join(json_string_or(j, "to", "."), *n);
        json_array_append_new(folders, json_string(folder));
        if (!cli->json)
            printf("%s\n", folder);
    }
    if (cli->json)
        print_json(take_ptr(j));
    return true;
}

static const struct {
    const char *name;
    bool (*run)(const struct cli *cli, const struct options *o, struct error **err);
} actions[] = {{"verify", verify}, {"ls", list}, {"import", import}};

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (strcmp(actions[i].name, cli->arguments[0]) != 0)
            continue;
        if ((o->to || o->pool) && actions[i].run != import)
            return error_set(err, ERROR_USAGE, "--to and --pool are for import");
        return actions[i].run(cli, o, err);
    }
    return error_set(err, ERROR_USAGE, "bundle does verify, ls or import, not '%s'",
                     cli->arguments[0]);
}

const struct command command_bundle = {
    .name = "bundle",
    .arguments = "verify|ls|import FILE",
    .summary = "checks a bundle, lists it, takes artifacts out of it",
    .details =
        "verify  hashes everything and compares it with the manifest; with --key the\n"
        "        manifest must be signed by that key\n"
        "ls      what the manifest says, without reading the rest\n"
        "import  nothing shows under its name before all of it is there and right; goes on\n"
        "        after an interruption. `ingot-boot up TITLE` boots what --pool has imported\n"
        "FILE is a bundle, or the first of its parts. A signature that no --key names is said\n"
        "and not checked.",
    .options = specs,
    .options_size = sizeof(struct options),
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};
