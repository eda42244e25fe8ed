/* The tree of a base: mmdebstrap(1) on a local repository of the packages that were pinned. */
#include "bake/bootstrap_files.h"
#include "bake/bootstrap_internal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/text.h"
#include "resolve/deb822.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SOURCES "etc/apt/sources.list.d/0000main.sources"

enum { MAX_STATUS = 64 << 20 };

/* Beside Debian's own defaults: documentation and translations stay out, for good, since the file
 * stays in the guest; licences stay. */
const char *const bootstrap_options[] = {
    "--variant=essential",
    "--format=tar",
    "--skip=check/signed-by",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--aptopt=Acquire::Languages \"none\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-include=/usr/share/locale/locale.alias",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--essential-hook=tar-in overlay.tar /",
    "--customize-hook=download /var/lib/dpkg/status status",
    NULL,
};

static void add_files(struct buffer *tar, const struct bootstrap_file *f, int64_t epoch)
{
    for (; f->path; f++)
        tar_add(tar, f->path, f->mode, f->content, f->link, epoch);
}

/* A keyring of the host's own, which the guest's apt will look for in the same place. */
static bool add_keyrings(struct buffer *tar, const struct bootstrap_inputs *in, int64_t epoch,
                         struct error **err)
{
    for (size_t i = 0; i < in->used.count; i++) {
        const char *path = in->used.items[i].signed_by;
        bool known = !path || strcmp(path, bootstrap_keyring) == 0;
        for (size_t j = 0; j < i && !known; j++)
            known = in->used.items[j].signed_by && strcmp(in->used.items[j].signed_by, path) == 0;
        if (known)
            continue;
        autofree char *bytes = NULL;
        size_t size = 0;
        if (!path_is_clean_absolute(path) || strlen(path) > 99)
            return error_set(err, ERROR_HOST, "%s cannot be put into the guest as a keyring", path);
        if (!file_read(path, 1 << 20, &bytes, &size, err))
            return error_wrap(err, "cannot read the keyring of an apt source");
        tar_add_bytes(tar, path + 1, 0644, bytes, size, epoch);
    }
    return true;
}

static bool write_overlay(const char *path, const struct bootstrap_inputs *in, int64_t epoch,
                          struct error **err)
{
    autobuffer struct buffer tar = {0};
    add_files(&tar, bootstrap_files, epoch);
    tar_add(&tar, BOOTSTRAP_MENU, 0644, in->platform->menu, NULL, epoch);
    if (!add_keyrings(&tar, in, epoch, err))
        return false;
    tar_end(&tar);
    return file_write(path, tar.data, tar.size, 0644, err);
}

/* mmdebstrap's lines, "I: installing essential packages...", as notes beside the bar. */
static void on_line(const char *line, void *data)
{
    (void)data;
    static const char *const shown[] = {"extracting archives", "installing", "cleaning",
                                        "creating tarball"};
    if (!text_starts_with(line, "I: "))
        return;
    for (size_t i = 0; i < COUNT(shown); i++)
        if (text_starts_with(line + 3, shown[i]))
            progress_note("%.*s", (int)strcspn(line + 3, "."), line + 3);
}

/* What mmdebstrap and apt say, and what it means. The first that is found counts. */
static const struct {
    const char *said;
    enum error_kind kind;
    const char *advice;
} meanings[] = {
    {"No space left on device", ERROR_SPACE, "there is not enough room for it"},
    {"unmet dependencies", ERROR_INPUT,
     "the packages cannot be installed together: resolve them anew"},
    {"subuid", ERROR_HOST,
     "an ordinary user needs ranges of 65536 ids in /etc/subuid and /etc/subgid (usermod "
     "--add-subuids 100000-165535 --add-subgids 100000-165535 USER)"},
    {"newuidmap", ERROR_HOST, "an ordinary user needs the package uidmap"},
    {"unshare", ERROR_HOST, "this host does not let an ordinary user make user namespaces"},
};

static bool explain(struct process_result *r, struct error **err)
{
    const char *text = r->err.data ? r->err.data : "";
    enum error_kind kind = ERROR_HOST;
    const char *advice = NULL;
    for (size_t i = 0; i < COUNT(meanings) && !advice; i++) {
        if (strstr(text, meanings[i].said)) {
            kind = meanings[i].kind;
            advice = meanings[i].advice;
        }
    }
    /* apt's errors, else the end of what was said */
    autobuffer struct buffer errors = {0};
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        bool apts = text_starts_with(line, "E: ") && !text_starts_with(line, "E: setup failed") &&
                    !text_starts_with(line, "E: mmdebstrap failed");
        if (apts && errors.size < 500)
            buffer_printf(&errors, "%s%.*s", errors.size ? "; " : "", (int)strcspn(line + 3, "\n"),
                          line + 3);
    }
    autofree char *copy = strdup(text);
    const char *said = errors.size ? errors.data : copy ? process_last_lines(copy, 6) : "";
    if (r->signal)
        return error_set(err, kind, "mmdebstrap was ended by signal %d: %s", r->signal, said);
    return error_set(err, kind, "%s%s%s", advice ? advice : "mmdebstrap failed", *said ? ": " : "",
                     said);
}

/* Those that were asked for by name: what they need is then marked as automatic in the guest.
 * Essential packages are installed before in any case. */
static const char *include_option(const struct bootstrap *b, struct arena *a)
{
    autobuffer struct buffer list = {0};
    buffer_puts(&list, "--include=");
    for (size_t i = 0, n = 0; i < b->resolution->count; i++)
        if (!b->resolution->packages[i].automatic)
            buffer_printf(&list, "%s%s", n++ ? "," : "", b->resolution->packages[i].name);
    return arena_strdup(a, list.data);
}

/* The line of a sources.list(5) for the local repository. Its files have been compared with their
 * pinned SHA-256, which is more than a signature on the repository could say: trusted=yes. */
static const char *source_line(struct arena *a, const char *folder)
{
    autobuffer struct buffer line = {0};
    buffer_puts(&line, "deb [trusted=yes] copy:");
    for (const char *c = folder; *c; c++)
        buffer_printf(&line, isalnum((unsigned char)*c) || strchr("/-._", *c) ? "%c" : "%%%02x",
                      (unsigned char)*c);
    buffer_puts(&line, " ./\n");
    return arena_strdup(a, line.data);
}

static bool run_mmdebstrap(const struct bootstrap *b, const struct bootstrap_inputs *in,
                           const char *work, const char *temporary, const char *repository,
                           struct error **err)
{
    struct arena *a = in->arena;
    const char **argv = NULL;
    size_t n = 0;
    const char *const first[] = {"mmdebstrap", geteuid() == 0 ? "--mode=root" : "--mode=unshare",
                                 arena_printf(a, "--architectures=%s", b->architecture),
                                 include_option(b, a)};
    for (size_t i = 0; i < COUNT(first); i++)
        arena_append(a, argv, n, first[i]);
    for (size_t i = 0; bootstrap_options[i]; i++)
        arena_append(a, argv, n, bootstrap_options[i]);
    const char *const last[] = {b->suite, "made.tar", "-", NULL};
    for (size_t i = 0; i < COUNT(last); i++)
        arena_append(a, argv, n, last[i]);
    const char *const env[] = {arena_printf(a, "SOURCE_DATE_EPOCH=%lld", (long long)b->epoch),
                               arena_printf(a, "TMPDIR=%s", temporary), "LC_ALL=C.UTF-8", NULL};
    const char *source = source_line(a, repository);
    struct process p = {.argv = argv,
                        .env = env,
                        .cwd = work,
                        .input = source,
                        .input_size = strlen(source),
                        .timeout_seconds = 3600,
                        .grace_seconds = 60, /* it removes its tree then */
                        .no_network = true,
                        .log_output = true,
                        .on_line = on_line};
    autoresult struct process_result r = {0};
    return process_run(&p, &r, err) && (r.status == 0 || explain(&r, err));
}

/* --- is it what was asked for? ------------------------------------------------------------------
 */

static bool is_pinned(const struct resolution *r, const char *name, const char *version,
                      const char *architecture)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct package *p = &r->packages[i];
        if (strcmp(p->name, name) == 0 && strcmp(p->version, version) == 0 &&
            strcmp(p->architecture, architecture) == 0)
            return true;
    }
    return false;
}

/* The guest's own list of packages, and the pinned one, must be the same. */
static bool check_status(const struct bootstrap *b, const char *path, struct error **err)
{
    autofree char *text = NULL;
    size_t size, installed = 0;
    if (!file_read(path, MAX_STATUS, &text, &size, err))
        return false;
    for (char *stanza = text, *next; stanza && *stanza; stanza = next) {
        next = strstr(stanza, "\n\n");
        if (next) {
            next[1] = '\0';
            next += 2;
        }
        autoarena struct arena *a = arena_new();
        const char *name = deb822_field(a, stanza, "Package");
        const char *version = deb822_field(a, stanza, "Version");
        const char *architecture = deb822_field(a, stanza, "Architecture");
        if (!name || !version || !architecture ||
            !is_pinned(b->resolution, name, version, architecture))
            return error_set(err, ERROR_GUEST,
                             "the base has %s %s, which is not among its packages",
                             name ? name : "(no name)", version ? version : "");
        installed++;
    }
    return installed == b->resolution->count ||
           error_set(err, ERROR_GUEST, "the base has %zu packages, and %zu were pinned", installed,
                     b->resolution->count);
}

/* --- the tree -----------------------------------------------------------------------------------
 */

/* True if any user may enter the folder. */
static bool is_open_to_all(const char *folder)
{
    autofree char *path = path_absolute("", folder);
    for (char *end; *path; *end = '\0') {
        struct stat st;
        if (stat(path, &st) < 0 || !(st.st_mode & S_IXOTH))
            return false;
        end = strrchr(path, '/');
    }
    return true;
}

/* What mmdebstrap left of an ordinary user's tree belongs to other ids, and only a user namespace
 * with these ids can remove it. */
static void remove_tree_of(char **folder)
{
    if (!*folder)
        return;
    autoerror struct error *ignored = NULL;
    if (!file_remove_tree(*folder, &ignored) && geteuid() != 0) {
        const char *argv[] = {"unshare", "--map-auto",        "--map-root-user", "--", "rm",
                              "-rf",     "--one-file-system", *folder,           NULL};
        const struct process p = {.argv = argv, .timeout_seconds = 300, .uninterrupted = true};
        if (!process_check(&p, ERROR_HOST, NULL, NULL))
            log_warning("%s could not be removed", *folder);
    }
    free(take_ptr(*folder));
}

/* Where mmdebstrap makes its tree: below the scratch folder, but for an ordinary user, whose mapped
 * ids must be able to enter it: where no folder above is closed to others. */
static bool make_temporary(const char *scratch, char **folder, struct error **err)
{
    bool root = geteuid() == 0;
    const char *dir = root || is_open_to_all(scratch) ? scratch : "/var/tmp";
    if (!file_temp_dir(dir, "ingot-tree-", folder, err))
        return false;
    if (!root && chmod(*folder, 0711) < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot change the mode of %s", *folder);
    return true;
}

static bool check_space(const char *folder, struct error **err)
{
    static const uint64_t needed = 1536ULL << 20;
    uint64_t bytes;
    if (!file_free_space(folder, &bytes, err))
        return false;
    return bytes >= needed ||
           error_set(err, ERROR_SPACE,
                     "%s has %llu MiB free, and making a base needs about %llu MiB there", folder,
                     (unsigned long long)(bytes >> 20), (unsigned long long)(needed >> 20));
}

/* Without what is dropped and the local repository's line; with the sources that the guest keeps.
 */
static bool finish_tree(const struct bootstrap *b, const struct bootstrap_inputs *in,
                        const char *made, const char *tree, struct tar_totals *totals,
                        struct error **err)
{
    static const char *const local = "etc/apt/sources.list";
    const char **patterns = NULL, *end = NULL;
    size_t n = 0;
    for (size_t i = 0; bootstrap_dropped[i]; i++)
        arena_append(in->arena, patterns, n, bootstrap_dropped[i]);
    arena_append(in->arena, patterns, n, local);
    arena_append(in->arena, patterns, n, end);
    autoclose int from = open(made, O_RDONLY | O_CLOEXEC);
    autoclose int to = open(tree, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open the tree of the base");
    autobuffer struct buffer late = {0};
    add_files(&late, bootstrap_late_files, b->epoch);
    tar_add_bytes(&late, SOURCES, 0644, in->sources, strlen(in->sources), b->epoch);
    return tar_copy_without(from, to, patterns, &late, totals, err);
}

bool bootstrap_tree(const struct bootstrap *b, const struct bootstrap_inputs *in, const char *work,
                    struct tar_totals *totals, struct error **err)
{
    autofree char *overlay = path_join(work, "overlay.tar"), *made = path_join(work, "made.tar");
    autofree char *tree = path_join(work, "tree.tar"), *status = path_join(work, "status");
    cleanup(remove_tree_of) char *temporary = NULL;
    if (!make_temporary(b->scratch, &temporary, err))
        return false;
    autofree char *folder = path_absolute(".", temporary);
    autofree char *repository = path_join(folder, "packages");
    return check_space(b->scratch, err) && check_space(temporary, err) &&
           write_overlay(overlay, in, b->epoch, err) && bootstrap_repository(b, repository, err) &&
           run_mmdebstrap(b, in, work, temporary, repository, err) &&
           check_status(b, status, err) && finish_tree(b, in, made, tree, totals, err) &&
           file_remove_tree(made, err);
}
