#include "bake/bootstrap.h"

#include "bake/apt_sources.h"
#include "bake/bootstrap_disk.h"
#include "bake/bootstrap_files.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Raised when what is made of the same inputs changes. */
enum { FORMAT = 1 };

static const char keyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";

/* Beside Debian's own defaults: documentation and translations stay out, for good, since the file
 * stays in the guest; licences stay. */
static const char *const mmdebstrap_options[] = {
    "--variant=minbase",
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
};

/* What the inputs come to. */
struct inputs {
    struct arena *arena;
    const char **packages; /* built-in and asked for: sorted, each once, NULL-terminated */
    size_t count;
    const char *sources; /* deb822 */
    struct apt_sources used;
};

static int compare_names(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Debian policy 5.6.7 */
static bool is_package_name(const char *s)
{
    if (!isalnum((unsigned char)s[0]) || !s[1])
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr("+-.", *s))
            return false;
    return true;
}

static bool is_suite(const char *s)
{
    if (!islower((unsigned char)s[0]))
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr("-.", *s))
            return false;
    return true;
}

static bool collect_packages(const struct bootstrap *b, struct inputs *in, struct error **err)
{
    for (const char *const *p = bootstrap_packages; *p; p++)
        arena_append(in->arena, in->packages, in->count, *p);
    for (const char *const *p = b->packages; p && *p; p++) {
        if (!is_package_name(*p))
            return error_set(err, ERROR_INPUT, "\"%s\" is not the name of a Debian package", *p);
        arena_append(in->arena, in->packages, in->count, *p);
    }
    qsort(in->packages, in->count, sizeof *in->packages, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++)
        if (!kept || strcmp(in->packages[kept - 1], in->packages[i]) != 0)
            in->packages[kept++] = in->packages[i];
    in->count = kept;
    const char *end = NULL;
    arena_append(in->arena, in->packages, kept, end);
    return true;
}

/* The mirror alone, or the host's sources for the suite, or Debian's servers. */
static bool collect_sources(const struct bootstrap *b, struct inputs *in, struct error **err)
{
    struct apt_sources all = {0}, used = {0};
    const struct apt_selection selection = {.suite = b->suite,
                                            .architecture = b->architecture,
                                            .keyring = keyring,
                                            .lists = "/var/lib/apt/lists"};
    if (b->mirror) {
        const char *why = apt_uri_refused(b->mirror);
        if (why)
            return error_set(err, ERROR_INPUT, "the mirror's URL cannot be used: %s", why);
        const struct apt_source one = {
            .uri = b->mirror, .suite = b->suite, .components = "main", .signed_by = keyring};
        arena_append(in->arena, used.items, used.count, one);
    } else {
        if (!apt_sources_read(in->arena, "/etc/apt", &all, err))
            return error_wrap(err, "cannot read the host's apt sources");
        apt_sources_select(in->arena, &all, &selection, &used);
    }
    if (!used.count)
        return error_set(err, ERROR_INPUT,
                         "this host has no apt source of %s %s: name one in the recipe, "
                         "bootstrap: {mirror: URL}",
                         b->os, b->suite);
    in->sources = apt_sources_deb822(in->arena, &used);
    in->used = used;
    return true;
}

static bool collect(const struct bootstrap *b, struct inputs *in, struct error **err)
{
    if (strcmp(b->os, "debian") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a base of \"%s\" cannot be made from packages: only debian can", b->os);
    if (strcmp(b->architecture, "amd64") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a base for %s cannot be made from packages: only for amd64",
                         b->architecture);
    if (!is_suite(b->suite))
        return error_set(err, ERROR_INPUT, "\"%s\" is not the name of a suite, such as bookworm",
                         b->suite);
    return collect_packages(b, in, err) && collect_sources(b, in, err);
}

static void add_file_list(json_t *object, const char *key, const struct bootstrap_file *f)
{
    json_t *files = json_object();
    for (; f->path; f++)
        json_set(
            files, f->path,
            json_pack("[iss]", (int)f->mode, f->content ? f->content : "", f->link ? f->link : ""));
    json_set(object, key, files);
}

static void make_key(const struct bootstrap *b, const struct inputs *in, char key[SHA256_HEX])
{
    autojson json_t *j = json_object();
    json_set_string(j, "kind", "bootstrap");
    json_set_integer(j, "format", FORMAT);
    json_set_string(j, "os", b->os);
    json_set_string(j, "suite", b->suite);
    json_set_string(j, "architecture", b->architecture);
    json_set_integer(j, "epoch", b->epoch);
    json_set_string(j, "sources", in->sources);
    json_set(j, "packages", json_strings(in->packages));
    json_set(j, "dropped", json_strings(bootstrap_dropped));
    json_t *options = json_array();
    for (size_t i = 0; i < COUNT(mmdebstrap_options); i++)
        json_array_append_new(options, json_string(mmdebstrap_options[i]));
    json_set(j, "options", options);
    json_set_string(j, "grub", bootstrap_grub_early);
    add_file_list(j, "files", bootstrap_files);
    add_file_list(j, "late", bootstrap_late_files);
    autofree char *text = json_canonical(j);
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, text, strlen(text), hex);
    memcpy(key, hex, SHA256_HEX - 1);
    key[SHA256_HEX - 1] = '\0';
}

bool bootstrap_key(const struct bootstrap *b, char key[SHA256_HEX], struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct inputs in = {.arena = arena};
    if (!collect(b, &in, err))
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
    if (access(keyring, R_OK) != 0)
        return error_set(err, ERROR_HOST,
                         "Debian's archive keys, %s, are not there: install the package "
                         "debian-archive-keyring",
                         keyring);
    return true;
}

static void add_files(struct buffer *tar, const struct bootstrap_file *f, int64_t epoch)
{
    for (; f->path; f++)
        tar_add(tar, f->path, f->mode, f->content, f->link, epoch);
}

/* A keyring of the host's own, which the guest's apt will look for in the same place. */
static bool add_keyrings(struct buffer *tar, const struct inputs *in, int64_t epoch,
                         struct error **err)
{
    for (size_t i = 0; i < in->used.count; i++) {
        const char *path = in->used.items[i].signed_by;
        bool known = !path || strcmp(path, keyring) == 0;
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

static bool write_overlay(const char *path, const struct inputs *in, int64_t epoch,
                          struct error **err)
{
    autobuffer struct buffer tar = {0};
    add_files(&tar, bootstrap_files, epoch);
    if (!add_keyrings(&tar, in, epoch, err))
        return false;
    tar_end(&tar);
    return file_write(path, tar.data, tar.size, 0644, err);
}

/* mmdebstrap's lines, "I: installing essential packages...", as notes beside the bar. */
static void on_line(const char *line, void *data)
{
    (void)data;
    static const char *const shown[] = {"running apt-get update",
                                        "downloading packages",
                                        "extracting archives",
                                        "installing",
                                        "cleaning",
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
    {"Unable to locate package", ERROR_INPUT, "a package of that name is not in the suite"},
    {"has no installation candidate", ERROR_INPUT, "a package of that name is not in the suite"},
    {"unmet dependencies", ERROR_INPUT, "the packages cannot be installed together"},
    {"NO_PUBKEY", ERROR_TRUST, "the mirror is not signed by Debian's key"},
    {"is not signed", ERROR_TRUST, "the mirror is not signed"},
    {"does not have a Release file", ERROR_INPUT, "the mirror does not have this suite"},
    {"GPG error", ERROR_TRUST, "the mirror's signature cannot be verified"},
    {"subuid", ERROR_HOST,
     "an ordinary user needs ranges of 65536 ids in /etc/subuid and /etc/subgid (usermod "
     "--add-subuids 100000-165535 --add-subgids 100000-165535 USER)"},
    {"newuidmap", ERROR_HOST, "an ordinary user needs the package uidmap"},
    {"unshare", ERROR_HOST, "this host does not let an ordinary user make user namespaces"},
    {"Failed to fetch", ERROR_UNREACHABLE, "the mirror does not answer, or lacks a file"},
    {"Could not resolve", ERROR_UNREACHABLE, "the mirror's name cannot be resolved"},
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

/* The host's apt may have to go through a proxy; the guest must not learn of it, so it goes into
 * the environment. NULL where there is none. */
static char *proxy_of_host(const char *scheme)
{
    autofree char *key = NULL, *found = NULL;
    if (asprintf(&key, "Acquire::%s::Proxy", scheme) < 0)
        abort();
    const char *argv[] = {"apt-config", "dump", "--format", "%v", key, NULL};
    const struct process p = {.argv = argv, .timeout_seconds = 10};
    autoresult struct process_result r = {0};
    if (!process_run(&p, &r, NULL) || r.status != 0 || !r.out.size ||
        !text_starts_with(r.out.data, "http"))
        return NULL;
    if (asprintf(&found, "%s_proxy=%s", scheme, r.out.data) < 0)
        abort();
    return take_ptr(found);
}

static bool run_mmdebstrap(const struct bootstrap *b, const struct inputs *in, const char *work,
                           const char *temporary, struct error **err)
{
    autobuffer struct buffer include = {0};
    buffer_puts(&include, "--include=");
    for (size_t i = 0; i < in->count; i++)
        buffer_printf(&include, "%s%s", i ? "," : "", in->packages[i]);
    const char *argv[COUNT(mmdebstrap_options) + 8] = {"mmdebstrap"};
    size_t n = 1;
    for (size_t i = 0; i < COUNT(mmdebstrap_options); i++)
        argv[n++] = mmdebstrap_options[i];
    argv[n++] = geteuid() == 0 ? "--mode=root" : "--mode=unshare";
    autofree char *architecture = NULL, *epoch = NULL, *tmpdir = NULL;
    if (asprintf(&architecture, "--architectures=%s", b->architecture) < 0 ||
        asprintf(&epoch, "SOURCE_DATE_EPOCH=%lld", (long long)b->epoch) < 0 ||
        asprintf(&tmpdir, "TMPDIR=%s", temporary) < 0)
        abort();
    argv[n++] = architecture;
    argv[n++] = include.data;
    argv[n++] = b->suite;
    argv[n++] = "made.tar";
    argv[n++] = "-";
    const char *env[6] = {epoch, tmpdir, "LC_ALL=C.UTF-8"};
    autofree char *http = getenv("http_proxy") ? NULL : proxy_of_host("http");
    autofree char *https = getenv("https_proxy") ? NULL : proxy_of_host("https");
    size_t used = 3;
    if (http)
        env[used++] = http;
    if (https)
        env[used++] = https;
    struct process p = {.argv = argv,
                        .env = env,
                        .cwd = work,
                        .input = in->sources,
                        .input_size = strlen(in->sources),
                        .timeout_seconds = 3600,
                        .grace_seconds = 60, /* it removes its tree then */
                        .log_output = true,
                        .on_line = on_line};
    autoresult struct process_result r = {0};
    return process_run(&p, &r, err) && (r.status == 0 || explain(&r, err));
}

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

static bool make_tree(const struct bootstrap *b, const struct inputs *in, const char *work,
                      struct tar_totals *totals, struct error **err)
{
    autofree char *overlay = path_join(work, "overlay.tar"), *made = path_join(work, "made.tar");
    autofree char *tree = path_join(work, "tree.tar");
    cleanup(remove_tree_of) char *temporary = NULL;
    if (!make_temporary(b->scratch, &temporary, err) || !check_space(b->scratch, err) ||
        !check_space(temporary, err) || !write_overlay(overlay, in, b->epoch, err) ||
        !run_mmdebstrap(b, in, work, temporary, err))
        return false;
    autoclose int from = open(made, O_RDONLY | O_CLOEXEC);
    autoclose int to = open(tree, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot open the tree of the base");
    autobuffer struct buffer late = {0};
    add_files(&late, bootstrap_late_files, b->epoch);
    return tar_copy_without(from, to, bootstrap_dropped, &late, totals, err) &&
           file_remove_tree(made, err);
}

bool bootstrap_make(const struct bootstrap *b, const char *raw, struct error **err)
{
    autoarena struct arena *arena = arena_new();
    struct inputs in = {.arena = arena};
    char key[SHA256_HEX];
    struct tar_totals totals;
    autotempdir char *work = NULL;
    if (!collect(b, &in, err) || !check_host(err) ||
        !file_temp_dir(b->scratch, "bootstrap-", &work, err))
        return false;
    make_key(b, &in, key);
    progress_step("make the base from %s's packages", b->suite);
    autofree char *tree = path_join(work, "tree.tar"), *parts = path_join(work, "disk");
    if (!make_tree(b, &in, work, &totals, err))
        return error_wrap(err, "cannot make a base from %s's packages", b->suite);
    progress_note("laying out the disk");
    struct bootstrap_disk d = {
        .raw = raw, .work = parts, .tar = tree, .totals = totals, .seed = key, .epoch = b->epoch};
    if (!file_make_dirs(parts, 0700, err) || !bootstrap_disk_make(&d, err)) {
        unlink(raw);
        return error_wrap(err, "cannot make the disk of the base");
    }
    progress_done();
    return true;
}
