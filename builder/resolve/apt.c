#include "resolve/apt.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "resolve/apt_indexes.h"
#include "resolve/apt_key.h"
#include "resolve/apt_proxy.h"
#include "resolve/apt_status.h"
#include "resolve/guest_sources.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define SOURCES_MAX (1 << 20)
#define STATUS_MAX (64 << 20)
#define UPDATE_SECONDS 900
#define INSTALL_SECONDS 120

/* The guest's keyrings are part of what apt's kept state stands for. */
static const char *const keyring_folders[] = {"etc/apt/trusted.gpg.d", "etc/apt/keyrings",
                                              "usr/share/keyrings"};

struct apt {
    struct arena *arena;
    const struct apt_request *request;
    struct guest_sources sources;
    bool unlocked;          /* leave the locked packages aside */
    const char *root;       /* absolute folder of the guest's files */
    const char *state;      /* absolute folder of this state */
    const char *conf;       /* APT_CONFIG=… */
    const char *proxies[2]; /* of the host's apt: http_proxy=…, https_proxy=…; or NULL */
};

/* --- sources ------------------------------------------------------------------------------------
 */

static bool read_sources_file(struct apt *s, const char *path, const char *name, struct error **err)
{
    bool deb822 = text_ends_with(name, ".sources");
    if (!deb822 && !text_ends_with(name, ".list"))
        return true;
    autofree char *text = NULL;
    size_t size;
    return file_read(path, SOURCES_MAX, &text, &size, err) &&
           guest_sources_parse(&s->sources, name, text, deb822, s->root, err);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static bool read_guest_sources(struct apt *s, struct error **err)
{
    autofree char *list = path_join(s->root, "etc/apt/sources.list");
    if (access(list, F_OK) == 0 && !read_sources_file(s, list, "sources.list", err))
        return false;
    autofree char *folder = path_join(s->root, "etc/apt/sources.list.d");
    struct dirent **names = NULL;
    int n = scandir(folder, &names, visible, alphasort);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        autofree char *path = path_join(folder, names[i]->d_name);
        ok = ok && read_sources_file(s, path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return ok;
}

static struct guest_source source_of(struct arena *a, const struct repository *r, const char *key)
{
    autobuffer struct buffer components = {0};
    for (size_t i = 0; i < r->components.count; i++)
        buffer_printf(&components, "%s%s", i ? " " : "", r->components.items[i].text);
    return (struct guest_source){.uris = r->url,
                                 .suites = r->suite,
                                 .components =
                                     components.data ? arena_strdup(a, components.data) : "",
                                 .signed_by = key};
}

char *apt_repository_source(const struct repository *r, const char *key_path)
{
    if (text_starts_with(r->url, "file:") || *r->url == '/')
        return NULL;
    autoarena struct arena *a = arena_new();
    struct guest_source source = source_of(a, r, key_path);
    struct buffer out = {0};
    guest_source_write(&source, "", &out);
    return buffer_take(&out);
}

/* --- the folder of the state -------------------------------------------------------------------
 */

static bool add_keyrings(struct apt *s, struct digest *d, struct error **err)
{
    for (size_t i = 0; i < COUNT(keyring_folders); i++) {
        autofree char *folder = path_join(s->root, keyring_folders[i]);
        struct dirent **names = NULL;
        int n = scandir(folder, &names, visible, alphasort);
        bool ok = true;
        for (int k = 0; k < n; k++) {
            autofree char *path = path_join(folder, names[k]->d_name);
            char hex[DIGEST_HEX_MAX];
            ok = ok && digest_file(DIGEST_SHA256, path, hex, NULL, err);
            if (ok) {
                digest_add(d, names[k]->d_name, strlen(names[k]->d_name) + 1);
                digest_add(d, hex, strlen(hex));
            }
            free(names[k]);
        }
        free(names);
        if (!ok)
            return false;
    }
    return true;
}

/* The name of the state: sources, architecture, keyrings, the recipe's keys. */
static bool state_key(struct apt *s, char hex[DIGEST_HEX_MAX], struct error **err)
{
    const struct apt_request *r = s->request;
    autobuffer struct buffer text = {0};
    guest_sources_write(&s->sources, "", &text);
    buffer_printf(&text, "architecture %s\n", r->architecture);
    for (size_t i = 0; i < r->repository_count; i++) {
        const struct repository *one = r->repositories[i].repository;
        if (one->kind != REPOSITORY_APT)
            continue;
        if (!r->repositories[i].key)
            return error_set_at(err, ERROR_TRUST, one->place, "the repository %s has no key",
                                one->url);
        struct guest_source source = source_of(s->arena, one, NULL);
        guest_source_write(&source, "", &text);
        char key[DIGEST_HEX_MAX];
        if (!digest_file(DIGEST_SHA256, r->repositories[i].key, key, NULL, err))
            return error_wrap(err, "cannot read the key of the repository %s", one->url);
        buffer_puts(&text, key);
    }
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    digest_add(d, text.data, text.size);
    if (!add_keyrings(s, d, err))
        return false;
    digest_finish(d, hex);
    return true;
}

/* Below the state: what apt wants to find. */
static const char *const state_folders[] = {"lists/partial", "cache/archives/partial", "etc/none",
                                            "etc/keys", "log"};

/* Names of files go into apt's configuration, and into lists separated by blanks. */
static bool is_plain_folder(const char *path, struct error **err)
{
    for (const char *c = path; *c; c++)
        if (isspace((unsigned char)*c) || strchr("\"\\;{}#", *c))
            return error_set(
                err, ERROR_HOST,
                "apt cannot work in the folder '%s', whose name has a space or another "
                "special character: set INGOT_CACHE to another folder",
                path);
    return true;
}

static bool make_state(struct apt *s, int *lock, struct error **err)
{
    char hex[DIGEST_HEX_MAX];
    if (!state_key(s, hex, err) || !file_make_dirs(s->request->work, 0700, err))
        return false;
    autofree char *work = path_absolute(".", s->request->work);
    hex[16] = '\0';
    s->state = arena_printf(s->arena, "%s/%s", work, hex);
    if (!is_plain_folder(s->state, err) || !is_plain_folder(s->root, err))
        return false;
    for (size_t i = 0; i < COUNT(state_folders); i++) {
        autofree char *folder = path_join(s->state, state_folders[i]);
        if (!file_make_dirs(folder, 0700, err))
            return false;
    }
    autofree char *path = path_join(s->state, "ingot.lock");
    *lock = file_lock(path, true, true, "waiting for another resolution of packages", err);
    return *lock >= 0;
}

static bool write_state_file(struct apt *s, const char *name, const struct buffer *text,
                             struct error **err)
{
    autofree char *path = path_join(s->state, name);
    return file_write(path, text->data ? text->data : "", text->size, 0600, err);
}

/* The recipe's repositories with their keys, checked where a fingerprint is given. */
static bool add_repositories(struct apt *s, struct buffer *text, struct error **err)
{
    const struct apt_request *r = s->request;
    for (size_t i = 0; i < r->repository_count; i++) {
        const struct package_repository *p = &r->repositories[i];
        const struct repository *one = p->repository;
        if (one->kind != REPOSITORY_APT)
            continue;
        autofree char *name = NULL;
        if (!apt_key_copy(p->key, s->state, (unsigned)i, &name, err))
            return error_wrap(err, "the key of the repository %s", one->url);
        const char *key = arena_printf(s->arena, "%s/%s", s->state, name);
        if (one->fingerprint && !apt_check_key(key, one->fingerprint, s->state, err))
            return error_wrap(err, "the key of the repository %s", one->url);
        struct guest_source source = source_of(s->arena, one, key);
        if (*one->url == '/')
            source.uris = arena_printf(s->arena, "file:%s", one->url);
        guest_source_write(&source, "", text);
    }
    return true;
}

/* The guest's package status, with what is locked as if it were installed. */
static bool write_status(struct apt *s, struct error **err)
{
    const struct apt_request *r = s->request;
    autofree char *path = path_join(s->root, "var/lib/dpkg/status"), *text = NULL;
    autobuffer struct buffer status = {0};
    size_t size;
    return file_read(path, STATUS_MAX, &text, &size, err) &&
           apt_lock_status(text, r->locked, r->locked_files, s->unlocked ? 0 : r->locked_count,
                           &status, err) &&
           write_state_file(s, "etc/status", &status, err);
}

static bool write_configuration(struct apt *s, struct error **err)
{
    autobuffer struct buffer c = {0}, sources = {0};
    guest_sources_write(&s->sources, s->root, &sources);
    if (!add_repositories(s, &sources, err) ||
        !write_state_file(s, "etc/all.sources", &sources, err))
        return false;
    if (!write_status(s, err))
        return false;
    autofree char *parts = path_join(s->root, "etc/apt/preferences.d");
    autofree char *none = path_join(s->state, "etc/none");
    const char *preferences = access(parts, F_OK) == 0 ? parts : none;
    /* Dir::Etc::parts and main: no setting of the host (APT_CONFIG is read before them). */
    buffer_printf(&c,
                  "Dir::Etc::main \"%1$s/etc/none/conf\";\nDir::Etc::parts \"%1$s/etc/none\";\n"
                  "Dir::Etc::sourcelist \"%1$s/etc/all.sources\";\n"
                  "Dir::Etc::sourceparts \"%1$s/etc/none\";\n"
                  "Dir::Etc::netrc \"%1$s/etc/none/netrc\";\n"
                  "Dir::Etc::netrcparts \"%1$s/etc/none\";\n"
                  "Dir::Etc::trusted \"%2$s/etc/apt/trusted.gpg\";\n"
                  "Dir::Etc::trustedparts \"%2$s/etc/apt/trusted.gpg.d\";\n"
                  "Dir::Etc::preferences \"%2$s/etc/apt/preferences\";\n"
                  "Dir::Etc::preferencesparts \"%3$s\";\n"
                  "Dir::State \"%1$s\";\nDir::State::lists \"%1$s/lists\";\n"
                  "Dir::State::status \"%1$s/etc/status\";\n"
                  "Dir::State::extended_states \"%2$s/var/lib/apt/extended_states\";\n"
                  "Dir::Cache \"%1$s/cache\";\nDir::Cache::archives \"%1$s/cache/archives\";\n"
                  "Dir::Log \"%1$s/log\";\n",
                  s->state, s->root, preferences);
    buffer_printf(&c,
                  "APT::Architecture \"%1$s\";\n#clear APT::Architectures;\n"
                  "APT::Architectures { \"%1$s\"; };\n",
                  s->request->architecture);
    buffer_printf(&c, "APT::Install-Recommends \"%s\";\n",
                  s->request->recommends ? "true" : "false");
    buffer_puts(&c, "APT::Install-Suggests \"false\";\n"
                    "APT::Get::AllowUnauthenticated \"false\";\n"
                    "APT::Get::Never-Include-Phased-Updates \"true\";\n"
                    "APT::Update::Error-Mode \"any\";\n"
                    "Acquire::AllowInsecureRepositories \"false\";\n"
                    "Acquire::AllowWeakRepositories \"false\";\n"
                    "Acquire::AllowDowngradeToInsecureRepositories \"false\";\n"
                    "Acquire::Check-Valid-Until \"true\";\n"
                    "Acquire::ForceHash \"SHA256\";\nAcquire::Languages \"none\";\n"
                    "Acquire::PDiffs \"false\";\nAcquire::Retries \"2\";\n"
                    "Acquire::http::Timeout \"30\";\nAcquire::https::Timeout \"30\";\n");
    if (geteuid() == 0) /* the user _apt cannot look into a folder of mode 0700 */
        buffer_puts(&c, "APT::Sandbox::User \"root\";\n");
    s->conf = arena_printf(s->arena, "APT_CONFIG=%s/etc/apt.conf", s->state);
    return write_state_file(s, "etc/apt.conf", &c, err);
}

/* --- running apt-get
 * --------------------------------------------------------------------------------- */

/* What apt says of trust, and the kind of error that is. The first match counts. */
static const struct {
    const char *said;
    enum error_kind kind;
} meanings[] = {
    {"NO_PUBKEY", ERROR_TRUST},
    {"BADSIG", ERROR_TRUST},
    {"EXPKEYSIG", ERROR_TRUST},
    {"REVKEYSIG", ERROR_TRUST},
    {"signatures were invalid", ERROR_TRUST},
    {"signatures couldn't be verified", ERROR_TRUST},
    {"is not signed", ERROR_TRUST},
    {"no longer signed", ERROR_TRUST},
    {"Clearsigned file isn't valid", ERROR_TRUST},
    {"does not have a Release file", ERROR_TRUST},
    {"Hash Sum mismatch", ERROR_TRUST},
    {"is expired", ERROR_TRUST},
    {"is not valid yet", ERROR_TRUST},
    {"Could not resolve", ERROR_UNREACHABLE},
    {"Unable to locate package", ERROR_INPUT},
    {"has no installation candidate", ERROR_INPUT},
    {"was not found", ERROR_INPUT},
    {"unmet dependencies", ERROR_INPUT},
    {"remove is disabled", ERROR_INPUT},
    {"held broken packages", ERROR_INPUT},
    {"No space left on device", ERROR_SPACE},
};

/* The lines that say what is wrong; apt says much around them. */
static void complaints(const char *text, struct buffer *out)
{
    autofree char *copy = strdup(text);
    unsigned n = 0;
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l && n < 6; l = strtok_r(NULL, "\n", &save))
        if (text_starts_with(l, "E: ") || text_starts_with(l, "W: GPG error"))
            buffer_printf(out, "%s%s", n++ ? "; " : "", l + 3);
}

static bool explain(const struct process_result *r, enum error_kind otherwise, struct error **err)
{
    const char *text = r->err.size ? r->err.data : r->out.size ? r->out.data : "";
    enum error_kind kind = otherwise;
    for (size_t i = 0; i < COUNT(meanings) && kind == otherwise; i++)
        if (strstr(text, meanings[i].said))
            kind = meanings[i].kind;
    autobuffer struct buffer said = {0};
    complaints(text, &said);
    autofree char *copy = strdup(text);
    return error_set(err, kind, "apt-get: %s",
                     said.size ? said.data
                     : copy    ? process_last_lines(copy, 8)
                               : "");
}

static bool run_apt(struct apt *s, const char *const *argv, unsigned seconds,
                    enum error_kind otherwise, struct process_result *result, struct error **err)
{
    const char *env[6] = {s->conf, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"};
    for (size_t i = 0, used = 3; i < COUNT(s->proxies); i++)
        if (s->proxies[i])
            env[used++] = s->proxies[i];
    struct process p = {.argv = argv, .env = env, .timeout_seconds = seconds, .log_output = true};
    if (!process_run(&p, result, err))
        return false;
    bool failed = result->status != 0 ||
                  (result->err.size && strstr(result->err.data, "index files failed to download"));
    return !failed || explain(result, otherwise, err);
}

/* A proxy of the host's apt is where the way out is; it is the one host setting that counts. */
static void ask_proxies(struct apt *s)
{
    static const char *const schemes[] = {"http", "https"};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        autofree char *found = apt_host_proxy(schemes[i]);
        if (!found)
            continue;
        s->proxies[i] = arena_printf(s->arena, "%s_proxy=%s", schemes[i], found);
        log_info("the indexes are read through the %s proxy of this host's apt; for the packages "
                 "themselves set %s_proxy",
                 schemes[i], schemes[i]);
    }
}

static bool update(struct apt *s, struct error **err)
{
    static const char *const argv[] = {"apt-get", "-q", "update", NULL};
    autoresult struct process_result result = {0};
    return run_apt(s, argv, UPDATE_SECONDS, ERROR_UNREACHABLE, &result, err) ||
           error_wrap(err, "cannot read the package indexes");
}

static bool pin_indexes(struct apt *s, struct resolution *r, struct error **err)
{
    static const char *const argv[] = {"apt-get",        "indextargets",         "--format",
                                       APT_INDEX_FORMAT, "Created-By: Packages", NULL};
    autoresult struct process_result result = {0};
    autofree char *lists = path_join(s->state, "lists");
    if (!run_apt(s, argv, INSTALL_SECONDS, ERROR_HOST, &result, err) ||
        !apt_pin_indexes(s->arena, result.out.data ? result.out.data : "", lists, r, err))
        return false;
    if (r->index_count)
        return true;
    return error_set(err, s->request->offline ? ERROR_UNREACHABLE : ERROR_INPUT,
                     s->request->offline
                         ? "the package indexes are not in the cache, and this is offline"
                         : "the base has no package sources that can be used, and the recipe "
                           "names none");
}

/* --- what apt says
 * ---------------------------------------------------------------------------------- */

static bool is_wanted(const struct apt_request *r, const char *name)
{
    for (size_t i = 0; r->wanted[i]; i++) {
        size_t n = strcspn(r->wanted[i], "=:/");
        if (strlen(name) == n && strncmp(r->wanted[i], name, n) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *x, const void *y)
{
    const struct package *a = x, *b = y;
    int order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->architecture, b->architecture);
}

/* Essential and required packages of the suite itself, as mmdebstrap(1) selects them; the version
 * is then apt's candidate, which may be the security archive's. */
static const char *base_pattern(struct apt *s, const char *suite)
{
    return arena_printf(s->arena,
                        "?narrow(?or(?archive(^%1$s$),?codename(^%1$s$)),?architecture(%2$s),"
                        "?or(?essential,?priority(required)))",
                        suite, s->request->architecture);
}

static bool read_uris(struct apt *s, char *text, struct resolution *out, struct error **err)
{
    struct package *all = NULL;
    char *save = NULL;
    for (char *l = text ? strtok_r(text, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
        struct package p;
        if (!apt_parse_uri(s->arena, l, &p, err))
            return false;
        p.automatic = !is_wanted(s->request, p.name);
        arena_append(s->arena, all, out->count, p);
    }
    if (out->count)
        qsort(all, out->count, sizeof *all, by_name);
    out->packages = all;
    return true;
}

/* Debian policy 5.6.7, and `=version` or `:architecture` behind it. A trailing minus would remove.
 */
static bool check_wanted(const struct apt_request *r, size_t *count, struct error **err)
{
    for (*count = 0; r->wanted[*count]; ++*count) {
        const char *w = r->wanted[*count];
        size_t n = strcspn(w, "=:");
        bool ok = n > 1 && isalnum((unsigned char)*w) && w[strlen(w) - 1] != '-';
        for (const char *c = w; *c && ok; c++)
            ok = isalnum((unsigned char)*c) || strchr("+-.", *c) ||
                 ((size_t)(c - w) >= n && strchr("=:~", *c));
        if (!ok)
            return error_set(err, ERROR_INPUT, "'%.80s' is no name of a package", w);
    }
    return true;
}

static bool list_uris(struct apt *s, size_t count, struct resolution *out, struct error **err)
{
    static const char *const fixed[] = {"apt-get",      "-qq",         "-y",
                                        "--print-uris", "--no-remove", "install"};
    const char *suite = s->request->bootstrap_suite;
    const char **argv = arena_alloc(s->arena, (COUNT(fixed) + count + 3) * sizeof *argv);
    memcpy(argv, fixed, sizeof fixed);
    memcpy(argv + COUNT(fixed), s->request->wanted, count * sizeof *argv);
    if (suite) {
        argv[COUNT(fixed) + count] = "apt";
        argv[COUNT(fixed) + count + 1] = base_pattern(s, suite);
    }
    autoresult struct process_result result = {0};
    return run_apt(s, argv, INSTALL_SECONDS, ERROR_INPUT, &result, err) &&
           read_uris(s, result.out.data, out, err);
}

/* What the pattern alone names was asked for too: `download` goes no further than that. */
static bool mark_base(struct apt *s, struct resolution *made, struct error **err)
{
    const char *const argv[] = {
        "apt-get", "-qq", "--print-uris", "download", base_pattern(s, s->request->bootstrap_suite),
        NULL};
    autoresult struct process_result result = {0};
    struct resolution named = {0};
    if (!run_apt(s, argv, INSTALL_SECONDS, ERROR_INPUT, &result, err) ||
        !read_uris(s, result.out.data, &named, err))
        return false;
    struct package *all = arena_memdup(s->arena, made->packages, made->count * sizeof *all);
    for (size_t i = 0; i < made->count; i++) {
        all[i].automatic = all[i].automatic && strcmp(all[i].name, "apt") != 0;
        for (size_t k = 0; k < named.count && all[i].automatic; k++)
            all[i].automatic = strcmp(all[i].name, named.packages[k].name) != 0;
    }
    made->packages = all;
    return true;
}

/* With packages locked: could it be done without the lock? */
static bool explain_locked(struct apt *s, size_t count, struct error **err)
{
    struct resolution unlocked = {0};
    autoerror struct error *ignored = NULL;
    s->unlocked = true;
    if (!write_configuration(s, &ignored) || !list_uris(s, count, &unlocked, &ignored))
        return false;
    autoerror struct error *why = take_ptr(*err);
    return error_set(
        err, ERROR_CHANGED,
        "the packages that are wanted contradict the locked versions of others (`ingot "
        "lock --update` resolves all of them anew): %s",
        error_text(why));
}

static bool list_packages(struct apt *s, size_t count, struct resolution *out, struct error **err)
{
    if (!list_uris(s, count, out, err)) {
        if (s->request->locked_count && *err && error_kind(*err) == ERROR_INPUT)
            return explain_locked(s, count, err);
        return false;
    }
    return !s->request->bootstrap_suite || mark_base(s, out, err);
}

bool apt_resolve(struct arena *a, const struct apt_request *r, const struct resolution **out,
                 struct error **err)
{
    autofree char *program = process_find("apt-get");
    if (!program)
        return error_set(err, ERROR_HOST,
                         "apt-get is not installed, and packages for this base are resolved with "
                         "it: install the package apt");
    struct resolution *made = arena_new_of(a, struct resolution);
    size_t count = 0;
    if (!check_wanted(r, &count, err))
        return false;
    *out = made;
    if (!count && !r->bootstrap_suite)
        return true;
    autofree char *root = path_absolute(".", r->guest);
    struct apt s = {.arena = a,
                    .request = r,
                    .sources = {.arena = a, .local = r->bootstrap_suite != NULL},
                    .root = root};
    autoclose int lock = -1;
    ask_proxies(&s);
    return read_guest_sources(&s, err) && make_state(&s, &lock, err) &&
           write_configuration(&s, err) && (r->offline || update(&s, err)) &&
           pin_indexes(&s, made, err) && list_packages(&s, count, made, err);
}
