#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/units.h"
#include "bundle/bundle.h"
#include "contract/contract.h"
#include "disk/image.h"
#include "disk/writer.h"
#include "ingot/commands.h"
#include "ingot/session.h"

#include <string.h>

/* --- a folder or image.json ---------------------------------------------------------------------
 */

/* "ok", or what is wrong with a file of the artifact. */
static const char *check_file(struct arena *a, const char *folder, const struct contract_file *f)
{
    char hex[DIGEST_HEX_MAX];
    uint64_t size;
    autoerror struct error *why = NULL;
    autofree char *path = path_join(folder, f->name);
    if (!digest_file(DIGEST_SHA256, path, hex, &size, &why))
        return arena_strdup(a, error_text(why));
    if (size != f->bytes)
        return arena_printf(a, "has %ju bytes instead of %ju", (uintmax_t)size,
                            (uintmax_t)f->bytes);
    return strcmp(hex, f->sha256) == 0 ? "ok" : "its SHA-256 is another";
}

static void print_contract(const struct contract *c, const char *const *verdicts)
{
    char one[16], two[16];
    printf("name          %s%s%s\n", c->name, c->version ? " " : "", c->version ? c->version : "");
    printf("system        %s (%s, %s, %s)\n", c->os.pretty_name ? c->os.pretty_name : c->os.id,
           c->arch, c->firmware, c->os.init);
    printf("distribution  %s%s%s\n", c->distribution.name, c->distribution.version ? " " : "",
           c->distribution.version ? c->distribution.version : "");
    printf("memory        %s at least, %s recommended\n", units_format_size(c->minimum.memory, one),
           units_format_size(c->recommended.memory, two));
    printf("disk          %s\n", units_format_size(c->recommended.disk, one));
    printf("seed          %s\n", c->seed.kind);
    printf("agent         %s\n", c->agent ? "yes" : "no");
    if (c->user)
        printf("user          %s\n", c->user);
    for (size_t i = 0; i < c->port_count; i++)
        printf("port          %s:%u to %u/%s\n", c->ports[i].address, c->ports[i].host,
               c->ports[i].guest, c->ports[i].protocol);
    for (size_t i = 0; i < c->file_count; i++)
        printf("file          %s, %s: %s\n", c->files[i].name,
               units_format_size(c->files[i].bytes, one), verdicts[i]);
    for (size_t i = 0; i < c->package_count; i++)
        printf("package       %s %s\n", c->packages[i].name, c->packages[i].version);
}

static bool inspect_artifact(const struct cli *cli, struct session *s, const char *given,
                             struct error **err)
{
    const struct contract *c;
    const char *folder;
    if (!contract_read(s->arena, given, &c, &folder, err))
        return false;
    const char **verdicts = arena_alloc(s->arena, (c->file_count + 1) * sizeof *verdicts);
    size_t bad = 0;
    for (size_t i = 0; i < c->file_count; i++) {
        verdicts[i] = check_file(s->arena, folder, &c->files[i]);
        bad += strcmp(verdicts[i], "ok") != 0;
    }
    if (!cli->json) {
        print_contract(c, verdicts);
    } else {
        autojson json_t *j = json_object();
        json_t *checks = json_object();
        for (size_t i = 0; i < c->file_count; i++)
            json_set_string(checks, c->files[i].name, verdicts[i]);
        json_set(j, "image", contract_to_json(c));
        json_set(j, "files", checks);
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
    }
    for (size_t i = 0; i < c->file_count; i++)
        if (strcmp(verdicts[i], "ok") != 0)
            log_error("%s: %s", c->files[i].name, verdicts[i]);
    *cli->exit_code = bad ? error_kinds[ERROR_TRUST].exit_code : 0;
    return true;
}

/* --- a bundle -----------------------------------------------------------------------------------
 */

static bool inspect_bundle(const struct cli *cli, const char *given, struct error **err)
{
    autobundle struct bundle_reader *r = NULL;
    char size[16];
    if (!bundle_open(given, &r, err))
        return false;
    const struct bundle *b = bundle_manifest(r);
    if (cli->json) {
        autojson json_t *j = bundle_to_json(b);
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
        return true;
    }
    printf("bundle        of %s, %s%s\n", bundle_kind_names[b->kind],
           units_format_size(b->file_size, size), b->parts > 1 ? ", in parts" : "");
    for (const char *const *n = b->names; *n; n++)
        printf("name          %s\n", *n);
    printf("signature     %s\n", !b->signature ? "none" : b->openpgp ? "OpenPGP" : "OpenSSH");
    printf("manifest      sha256 %s\n", b->manifest_sha256);
    for (size_t i = 0; i < b->count; i++)
        printf("member        %s, %s\n", b->members[i].path,
               units_format_size(b->members[i].size, size));
    for (size_t i = 0; i < b->link_count; i++)
        printf("link          %s to %s\n", b->links[i].path, b->links[i].target);
    return true;
}

/* --- a disk image -------------------------------------------------------------------------------
 */

static bool inspect_disk(const struct cli *cli, struct session *s, const char *given,
                         struct error **err)
{
    autofree char *tmp = NULL;
    autotempdir char *folder = NULL;
    autodisk struct disk *d = NULL;
    const struct facts *f;
    if (!session_cache(s, NULL, err) || !store_folder(s->store, "tmp", &tmp, err) ||
        !file_temp_dir(tmp, "inspect-", &folder, err))
        return false;
    autofree char *raw = path_join(folder, "disk.raw");
    /* Absolute: qemu-img takes what stands before a colon in a relative name for a protocol. */
    autofree char *image = path_absolute(".", given);
    const struct disk_options o = {.raw = raw};
    if (!image_to_raw(image, NULL, raw, err) || !disk_open(&o, &d, err) ||
        !disk_read_facts(d, &o, s->arena, &f, err))
        return false;
    if (cli->json) {
        autojson json_t *j = facts_to_json(f);
        autofree char *text = json_pretty(j);
        fputs(text, stdout);
        return true;
    }
    static const char *const inits[] = {"systemd", "OpenRC", "unknown"};
    static const char *const managers[] = {"apt", "apk", "none"};
    char size[16];
    size_t packages = 0;
    while (f->installed && f->installed[packages])
        packages++;
    printf("system        %s (%s, init %s)\n", f->pretty_name, f->architecture, inits[f->init]);
    printf("packages      %zu, %s\n", packages, managers[f->packages]);
    printf("seed          %s\n", f->seed);
    printf("agent         %s\n", f->has_agent ? "yes" : "no");
    printf("disk          %s, %s\n", units_format_size(f->virtual_size, size),
           *f->partition_table ? f->partition_table : "no partition table");
    for (size_t i = 0; i < f->mount_count; i++)
        printf("mount         %s: %s, label %s, %s\n", f->mounts[i].mountpoint, f->mounts[i].type,
               f->mounts[i].label, units_format_size(f->mounts[i].size, size));
    return true;
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    (void)given;
    const char *what = cli->arguments[0];
    struct stat st;
    autosession struct session *s = NULL;
    if (!session_open(&s, err))
        return false;
    if (bundle_is_one(what))
        return inspect_bundle(cli, what, err);
    if (stat(what, &st) < 0)
        return error_set(err, ERROR_INPUT, "%s: no such file or folder", what);
    if (S_ISDIR(st.st_mode) || strcmp(path_basename(what), "image.json") == 0)
        return inspect_artifact(cli, s, what, err);
    return inspect_disk(cli, s, what, err);
}

const struct command command_inspect = {
    .name = "inspect",
    .arguments = "DIR|IMAGE|BUNDLE",
    .summary = "Says what is in an artifact folder, a disk image (qcow2, raw) or a bundle",
    .details =
        "The files of a folder are compared with the digests in its image.json. Of a bundle\n"
        "only the manifest is read: `ingot-boot bundle verify` checks all of it.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
