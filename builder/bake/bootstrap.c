#include "bake/bootstrap.h"

#include "bake/bootstrap_disk.h"
#include "bake/bootstrap_files.h"
#include "bake/bootstrap_internal.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/text.h"

#include <string.h>

/* Raised when what is made of the same inputs changes. */
enum { FORMAT = 2 };

static json_t *describe_files(const struct bootstrap_file *f)
{
    json_t *files = json_object();
    for (; f->path; f++)
        json_set(
            files, f->path,
            json_pack("[iss]", (int)f->mode, f->content ? f->content : "", f->link ? f->link : ""));
    return files;
}

/* Where a package comes from does not count, only what it is. */
static void add_packages(json_t *object, const struct resolution *r)
{
    json_t *packages = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const struct package *p = &r->packages[i];
        json_array_append_new(packages, json_pack("[ssssb]", p->name, p->version, p->architecture,
                                                  p->digest ? p->digest : "", (int)p->automatic));
    }
    json_set(object, "packages", packages);
}

static bool check_resolution(const struct bootstrap *b, struct error **err)
{
    const struct resolution *r = b->resolution;
    if (!r || !r->count)
        return error_set(err, ERROR_INTERNAL, "the packages of the base are not resolved");
    for (size_t i = 0; i < r->count; i++)
        if (!r->packages[i].digest || r->packages[i].digest_kind != DIGEST_SHA256 ||
            !text_ends_with(r->packages[i].filename, ".deb"))
            return error_set(err, ERROR_INPUT,
                             "the package %s of the base is not pinned by its SHA-256",
                             r->packages[i].name);
    return true;
}

static void make_key(const struct bootstrap *b, const struct bootstrap_inputs *in,
                     char key[SHA256_HEX])
{
    autojson json_t *j = json_object();
    json_set_string(j, "kind", "bootstrap");
    json_set_integer(j, "format", FORMAT);
    json_set_string(j, "os", b->os);
    json_set_string(j, "suite", b->suite);
    json_set_string(j, "architecture", b->architecture);
    json_set_integer(j, "epoch", b->epoch);
    json_set_string(j, "sources", in->sources);
    add_packages(j, b->resolution);
    json_set(j, "dropped", json_strings(bootstrap_dropped));
    json_set(j, "options", json_strings(bootstrap_options));
    json_set_string(j, "grub", bootstrap_grub_early);
    json_t *files = describe_files(bootstrap_files);
    json_set(files, BOOTSTRAP_MENU, json_pack("[iss]", 0644, in->platform->menu, ""));
    json_set(j, "files", files);
    json_set(j, "late", describe_files(bootstrap_late_files));
    autofree char *text = json_canonical(j);
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    memcpy(key, hex, SHA256_HEX - 1);
    key[SHA256_HEX - 1] = '\0';
}

bool bootstrap_key(const struct bootstrap *b, char key[SHA256_HEX], struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct bootstrap_inputs in = {.arena = arena};
    if (!bootstrap_collect(b, &in, err) || !check_resolution(b, err) ||
        !bootstrap_pinned_sources(b, &in, err))
        return false;
    make_key(b, &in, key);
    return true;
}

/* What must be installed, and the Debian package that has it. */
static bool check_host(struct error **err)
{
    static const struct {
        const char *program, *package;
        bool for_user;
    } programs[] = {
        {"mmdebstrap", "mmdebstrap", false},
        {"sfdisk", "fdisk", false},
        {"mke2fs", "e2fsprogs", false},
        {"mkfs.vfat", "dosfstools", false},
        {"mmd", "mtools", false},
        {"mcopy", "mtools", false},
        {"grub-mkimage", "grub-common", false},
        {"newuidmap", "uidmap", true},
        {"unshare", "util-linux", true},
    };
    for (size_t i = 0; i < COUNT(programs); i++) {
        autofree char *path = process_find(programs[i].program);
        if (!path && (!programs[i].for_user || geteuid() != 0))
            return error_set(err, ERROR_HOST,
                             "%s is not installed, which a base made from packages needs: install "
                             "the package %s",
                             programs[i].program, programs[i].package);
    }
    return true;
}

bool bootstrap_make(const struct bootstrap *b, const char *raw, struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct bootstrap_inputs in = {.arena = arena};
    char key[SHA256_HEX];
    struct tar_totals totals;
    autotempdir char *work = NULL;
    if (!bootstrap_collect(b, &in, err) || !check_resolution(b, err) ||
        !bootstrap_pinned_sources(b, &in, err) ||
        !bootstrap_platform_check_host(in.platform, err) || !check_host(err) ||
        !file_temp_dir(b->scratch, "bootstrap-", &work, err))
        return false;
    make_key(b, &in, key);
    progress_step("make the base from %s's packages", b->suite);
    autofree char *tree = path_join(work, "tree.tar"), *parts = path_join(work, "disk");
    if (!bootstrap_tree(b, &in, work, &totals, err))
        return error_wrap(err, "cannot make a base from %s's packages", b->suite);
    progress_note("laying out the disk");
    struct bootstrap_disk d = {.raw = raw,
                               .work = parts,
                               .tar = tree,
                               .totals = totals,
                               .seed = key,
                               .epoch = b->epoch,
                               .platform = in.platform};
    if (!file_make_dirs(parts, 0700, err) || !bootstrap_disk_make(&d, err)) {
        unlink(raw);
        return error_wrap(err, "cannot make the disk of the base");
    }
    progress_done();
    return true;
}
