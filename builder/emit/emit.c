#include "emit/emit.h"

#include "base/file.h"
#include "base/path.h"
#include "base/progress.h"
#include "emit/image.h"
#include "emit/qcow2.h"
#include "emit/tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct emission {
    const struct emit_request *r;
    struct arena *a;
    const char *folder; /* the temporary one */
    struct contract_file *files;
    size_t count;
};

static bool add_file(struct emission *e, const char *role, const char *name, const char *format,
                     struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    struct contract_file f = {.role = role, .name = name, .format = format};
    autofree char *path = path_join(e->folder, name);
    if (!digest_file(DIGEST_SHA256, path, hex, &f.bytes, err))
        return false;
    f.sha256 = arena_strdup(e->a, hex);
    arena_append(e->a, e->files, e->count, f);
    return true;
}

/* --- the disk in its formats --------------------------------------------------------------------
 */

static bool write_qcow2(const struct emission *e, const char *path, struct error **err)
{
    const struct emit_request *r = e->r;
    const char *compression = r->plan->recipe->compression;
    if (strcmp(compression, "none") == 0)
        return qcow2_from_raw(r->raw, path, compression, err);
    if (access(r->companion, R_OK) != 0) {
        autonew struct new_file f = NEW_FILE;
        progress_step("compress the layer below");
        if (!file_create(&f, r->companion, 0600, err) ||
            !qcow2_from_raw(r->below_raw, f.temporary, compression, err) || !file_commit(&f, err))
            return false;
    }
    progress_step("write the qcow2");
    return qcow2_rebuild(r->below_raw, r->companion, r->raw, path, compression, err);
}

static bool write_raw(const struct emission *e, const char *path, struct error **err)
{
    autoclose int from = open(e->r->raw, O_RDONLY | O_CLOEXEC);
    autoclose int to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (from < 0 || to < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", from < 0 ? e->r->raw : path);
    progress_step("write the raw disk");
    return file_copy_sparse(from, to, err);
}

static bool write_vmdk(const struct emission *e, const char *path, struct error **err)
{
    progress_step("write the vmdk");
    return vmdk_from_raw(e->r->raw, path, err);
}

static const struct format {
    enum output output;
    const char *name, *suffix;
    bool (*write)(const struct emission *e, const char *path, struct error **err);
} formats[] = {
    {OUTPUT_QCOW2, "qcow2", "qcow2", write_qcow2},
    {OUTPUT_RAW, "raw", "raw", write_raw},
    {OUTPUT_VMDK, "vmdk", "vmdk", write_vmdk},
};

static bool emit_disk(struct emission *e, struct error **err)
{
    const struct recipe *recipe = e->r->plan->recipe;
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (!(recipe->outputs & formats[i].output))
            continue;
        const char *name = arena_printf(e->a, "%s-%s.%s", recipe->name.text,
                                        architecture_name(recipe->arch), formats[i].suffix);
        autofree char *path = path_join(e->folder, name);
        if (!formats[i].write(e, path, err))
            return error_wrap(err, "cannot write %s", name);
        if (chmod(path, 0644) < 0)
            return error_errno(err, ERROR_HOST, errno, "%s", path);
        if (!file_sync(path, err) || !add_file(e, "disk", name, formats[i].name, err))
            return false;
    }
    return true;
}

/* Links what an earlier build has written; where it cannot be linked it is copied. */
static bool reuse_disk(struct emission *e, struct error **err)
{
    for (size_t i = 0; i < e->r->reuse_count; i++) {
        const struct contract_file *f = &e->r->reuse[i];
        autofree char *from = path_join(e->r->reuse_folder, f->name);
        autofree char *to = path_join(e->folder, f->name);
        if (link(from, to) < 0) {
            autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
            autoclose int out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
            if (in < 0 || out < 0)
                return error_errno(err, ERROR_HOST, errno, "%s", in < 0 ? from : to);
            if (!file_copy_sparse(in, out, err))
                return error_wrap(err, "%s", to);
        }
        arena_append(e->a, e->files, e->count, *f);
    }
    return true;
}

static bool emit_seed(struct emission *e, struct error **err)
{
    const struct recipe *recipe = e->r->plan->recipe;
    if (!(recipe->outputs & OUTPUT_CIDATA) || strcmp(e->r->plan->facts->seed, "none") == 0)
        return true;
    const char *name = arena_printf(e->a, "%s-cidata.iso", recipe->name.text);
    autofree char *path = path_join(e->folder, name);
    return cidata_write(e->r->seed, path, err) && add_file(e, "seed", name, "iso", err);
}

/* The tools that shaped the disk: this host's, or those of the build that is used again. */
static bool find_tools(struct emission *e, const struct contract_tool **tools, size_t *count,
                       struct error **err)
{
    if (!e->r->reuse)
        return tools_versions(e->a, tools, count, err);
    const struct contract *old;
    if (!contract_read(e->a, e->r->reuse_folder, &old, NULL, err))
        return false;
    *tools = old->tools;
    *count = old->tool_count;
    return true;
}

static int is_own_entry(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

bool emit_check_folder(const char *out, struct error **err)
{
    struct stat st;
    if (lstat(out, &st) < 0)
        return errno == ENOENT || error_errno(err, ERROR_HOST, errno, "%s", out);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERROR_CONFLICT,
                         "%s is there and is no folder: remove it, or name another folder with -o",
                         out);
    autofree char *image = path_join(out, "image.json");
    if (access(image, F_OK) == 0)
        return true;
    struct dirent **names = NULL;
    int n = scandir(out, &names, is_own_entry, alphasort);
    if (n < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", out);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n == 0 ||
           error_set(err, ERROR_CONFLICT,
                     "%s has files in it and no image.json: it is no artifact and is not replaced; "
                     "move it away, or name another folder with -o",
                     out);
}

bool emit(const struct emit_request *r, struct arena *a, const struct contract_file **files,
          size_t *count, struct error **err)
{
    autofree char *parent = path_dirname(r->out), *prefix = NULL;
    autotempdir char *folder = NULL;
    const struct contract_tool *tools;
    size_t tool_count;
    if (asprintf(&prefix, ".%s.", path_basename(r->out)) < 0)
        abort();
    if (!emit_check_folder(r->out, err) || !file_make_dirs(parent, 0755, err) ||
        !file_temp_dir(parent, prefix, &folder, err))
        return false;
    /* Absolute: qemu-img takes what stands before a colon in a relative name for a protocol. */
    autofree char *absolute = path_absolute(".", folder);
    struct emission e = {.r = r, .a = a, .folder = absolute};
    if (!(r->reuse ? reuse_disk(&e, err) : emit_disk(&e, err)))
        return false;
    progress_step("write the seed, image.json and checksums");
    if (!emit_seed(&e, err) || !find_tools(&e, &tools, &tool_count, err) ||
        !image_write(r->plan, e.files, e.count, tools, tool_count, folder, err) ||
        !image_write_sums(e.files, e.count, folder, err))
        return false;
    if (chmod(folder, 0755) < 0)
        return error_errno(err, ERROR_HOST, errno, "%s", folder);
    if (!file_publish(folder, r->out, true, err))
        return error_wrap(err, "cannot publish %s", r->out);
    *files = e.files;
    *count = e.count;
    return true;
}
