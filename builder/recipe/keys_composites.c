/* Types of values with parts that recipes and profiles share: verification, sources, files … */
#include "base/text.h"
#include "recipe/bind.h"
#include "recipe/check.h"
#include "recipe/keys.h"
#include "signature/openpgp.h"

#include <ctype.h>
#include <string.h>

#define CHOICES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* --- verify -------------------------------------------------------------------------------------
 */

static void set_kind(struct binder *b, const struct node *n, const char *path, struct verify *v,
                     enum verify_kind kind)
{
    if (v->kind != VERIFY_NONE)
        bind_error(b, n->place, path, "one way to verify is enough: sha256, sha512 or checksums");
    v->kind = kind;
    v->place = n->place;
}

static void read_digest(struct binder *b, const struct node *n, const char *path, struct verify *v,
                        enum digest_kind kind)
{
    set_kind(b, n, path, v, VERIFY_DIGEST);
    v->digest_kind = kind;
    char *lower = arena_strdup(b->arena, n->text);
    for (char *p = lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    v->digest = lower;
}

static void read_sha256(struct binder *b, const struct node *n, const char *path, void *out)
{
    read_digest(b, n, path, out, DIGEST_SHA256);
}

static void read_sha512(struct binder *b, const struct node *n, const char *path, void *out)
{
    read_digest(b, n, path, out, DIGEST_SHA512);
}

static void read_checksums(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct verify *v = out;
    struct text_at text;
    set_kind(b, n, path, v, VERIFY_CHECKSUMS);
    read_host_path(b, n, path, &text);
    v->checksums = text.text;
}

static void read_signer(struct binder *b, const struct node *n, const char *path, void *out)
{
    char fingerprint[OPENPGP_FINGERPRINT_MAX];
    (void)path;
    if (openpgp_fingerprint(n->text, fingerprint))
        *(const char **)out = arena_strdup(b->arena, fingerprint);
}

static const struct type type_sha256 = {.label = "64 hexadecimal digits",
                                        .pattern = "^[0-9a-fA-F]{64}$",
                                        .shapes = SHAPE_SCALAR,
                                        .scalars = SCALARS_NUMBERS,
                                        .check = check_sha256,
                                        .read = read_sha256};
static const struct type type_sha512 = {.label = "128 hexadecimal digits",
                                        .pattern = "^[0-9a-fA-F]{128}$",
                                        .shapes = SHAPE_SCALAR,
                                        .scalars = SCALARS_NUMBERS,
                                        .check = check_sha512,
                                        .read = read_sha512};
static const struct type type_checksums = {.label = "URL or path",
                                           .shapes = SHAPE_SCALAR,
                                           .check = check_url_template,
                                           .read = read_checksums};
static const struct type type_signer = {.label = "full fingerprint",
                                        .shapes = SHAPE_SCALAR,
                                        .scalars = SCALARS_NUMBERS,
                                        .check = check_signer,
                                        .read = read_signer};
static const struct key openpgp_keys[] = {
    {"fingerprint", &type_signer, offsetof(struct openpgp, fingerprint),
     .help = "of the primary key that must have signed, in full",
     .otherwise = "must be said, here or in the base's profile"},
    {"signature", &type_url_or_path, offsetof(struct openpgp, signature),
     .help = "the detached signature", .otherwise = "must be said, here or in the base's profile"},
    {"key", &type_url_or_path, offsetof(struct openpgp, key),
     .help = "the file that holds the public key; a path that is not there does no harm",
     .otherwise = "`keys/FINGERPRINT.asc` or `.gpg` beside the recipe and in the folders in which "
                  "names are looked up"},
    END};
static const struct type type_openpgp_map = {
    .label = "map", .shapes = SHAPE_MAP, .keys = openpgp_keys};

static void read_openpgp(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct openpgp *o = arena_new_of(b->arena, struct openpgp);
    bind_node(b, &type_openpgp_map, n, path, o);
    o->place = n->place;
    ((struct verify *)out)->openpgp = o;
}

static const struct type type_openpgp = {
    .label = "map", .shapes = SHAPE_MAP, .keys = openpgp_keys, .read = read_openpgp};
static const struct key verify_keys[] = {
    {"sha256", &type_sha256, 0, .help = "the SHA-256 digest that it must have"},
    {"sha512", &type_sha512, 0, .help = "the SHA-512 digest that it must have"},
    {"checksums", &type_checksums, 0,
     .help =
         "a file in the format of sha256sum or sha512sum, or with a bare digest, that lists it"},
    {"openpgp", &type_openpgp, 0,
     .help = "which OpenPGP key must have signed: with `checksums` that file, else the thing "
             "itself"},
    END};
static const struct type type_verify_map = {
    .label = "map", .shapes = SHAPE_MAP, .keys = verify_keys};

static void read_verify(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct verify *v = out;
    if (n->kind == NODE_MAP)
        bind_node(b, &type_verify_map, n, path, v);
    else
        set_kind(b, n, path, v, VERIFY_LOCK);
    if (!v->openpgp)
        return;
    if (v->kind == VERIFY_NONE)
        v->kind = VERIFY_OPENPGP;
    else if (v->kind == VERIFY_DIGEST && !b->partial)
        bind_error(b, v->openpgp->place, path,
                   "one way to verify is enough: openpgp is for checksums, or alone");
    v->place = v->openpgp->place;
}

static void check_verify(struct binder *b, const struct node *n, const char *path, void *out)
{
    const struct verify *v = out;
    const struct node *checksums = n->kind == NODE_MAP ? node_get(n, "checksums") : NULL;
    if (v->kind == VERIFY_NONE)
        bind_error(b, n->place, path, "says nothing: give sha256, sha512, checksums or openpgp");
    else if (checksums && !v->openpgp && text_starts_with(checksums->text, "http://"))
        diagnostics_warning(b->found, checksums->place,
                            arena_printf(b->arena, "%s.checksums", path),
                            "plain http proves nothing: who stands between can change the file and "
                            "its checksums; use https, or sha256");
}

bool verify_complete(const struct verify *v, struct diagnostics *found, const char *path)
{
    const struct openpgp *o = v->openpgp;
    if (!o || (o->fingerprint && o->signature.text))
        return true;
    diagnostics_error(found, o->place, arena_printf(found->arena, "%s.openpgp", path),
                      "'%s' is missing: %s", o->fingerprint ? "signature" : "fingerprint",
                      o->fingerprint ? "the URL or path of the detached signature"
                                     : "the full one of the primary key that must have signed");
    return false;
}

static void finish_verify(struct binder *b, const struct node *n, const char *path, void *out)
{
    check_verify(b, n, path, out);
    if (!verify_complete(out, b->found, path))
        b->errors++;
}

#define VERIFY(last)                                                                               \
    {                                                                                              \
        .label = "map with one way to verify, or the word", .shapes = SHAPE_SCALAR | SHAPE_MAP,    \
        .choices = CHOICES("lock"), .keys = verify_keys, .read = read_verify, .finish = last,      \
        .whole = CHOICES("sha256", "sha512"), .whole_if_new = CHOICES("checksums")                 \
    }
const struct type type_verify = VERIFY(finish_verify);
const struct type type_base_verify = VERIFY(check_verify);

/* --- sources ------------------------------------------------------------------------------------
 */

static const struct type type_unpack_format = {.label = "archive format",
                                               .shapes = SHAPE_SCALAR,
                                               .choices = CHOICES("tar", "zip"),
                                               .read = read_text};
static const struct key unpack_keys[] = {
    {"format", &type_unpack_format, offsetof(struct source_draft, source.unpack),
     .help = "what it is: a tar archive (compressed or not) or a zip archive", .required = true},
    {"members", &type_members, offsetof(struct source_draft, source.members),
     .help = "only these members", .otherwise = "all"},
    END};
static const struct type type_unpack = {.label = "archive format, or map",
                                        .example = "tar",
                                        .shapes = SHAPE_SCALAR | SHAPE_MAP,
                                        .keys = unpack_keys,
                                        .scalar_key = "format"};

static void read_source_url(struct binder *b, const struct node *n, const char *path, void *out)
{
    read_host_path(b, n, path, &((struct source_draft *)out)->source.url);
}

static const struct type type_source_url = {.label = "URL or path",
                                            .shapes = SHAPE_SCALAR,
                                            .check = check_url_template,
                                            .read = read_source_url};
static const struct key source_keys[] = {
    {"url", &type_source_url, 0,
     .help = "where it is; `@{arch}` (amd64) and `@{gnu_arch}` (x86_64) are filled in, and in a "
             "distribution's profile `@{version}`",
     .required = true},
    {"verify", &type_verify, offsetof(struct source_draft, source.verify),
     .help = "how it is verified: nothing is used unverified", .required = true},
    {"unpack", &type_unpack, 0, .help = "it is an archive whose members go below `to`",
     .otherwise = "it is one file"},
    {"to", &type_guest_path, offsetof(struct source_draft, source.to),
     .help = "the file in the guest, or with `unpack` the folder", .required = true},
    {"mode", &type_mode, offsetof(struct source_draft, source.mode), .help = "the file's mode",
     .otherwise = "\"0644\"; with `unpack` as in the archive"},
    END};

static void finish_source(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct source *s = &((struct source_draft *)out)->source;
    const struct node *mode = node_get(n, "mode");
    if (mode && s->unpack)
        bind_error(b, mode->place, path,
                   "'mode' is for a single file; with 'unpack' modes are as "
                   "in the archive");
    else if (!mode && !s->unpack)
        s->mode = 0644;
}

static const struct type type_source = {
    .label = "map", .shapes = SHAPE_MAP, .keys = source_keys, .finish = finish_source};
const struct type type_sources = {.label = "list of maps",
                                  .shapes = SHAPE_LIST,
                                  .item = &type_source,
                                  .item_size = sizeof(struct source_draft)};

/* --- sysctls, services ---------------------------------------------------------------------------
 */

static void read_sysctl_value(struct binder *b, const struct node *n, const char *path, void *out)
{
    read_text_at(b, n, path, &((struct sysctl *)out)->value);
}

static const struct type type_sysctl_name = {
    .label = "sysctl", .shapes = SHAPE_SCALAR, .check = check_sysctl, .read = read_text_at};
static const struct type type_sysctl_value = {.label = "value",
                                              .shapes = SHAPE_SCALAR,
                                              .scalars = SCALARS_NUMBERS,
                                              .check = check_line,
                                              .read = read_sysctl_value};
const struct type type_sysctls = {.label = "map of names and values",
                                  .example = "{net.ipv4.ip_forward: 1}",
                                  .shapes = SHAPE_MAP,
                                  .name = &type_sysctl_name,
                                  .item = &type_sysctl_value,
                                  .item_size = sizeof(struct sysctl)};

/* --- package repositories ------------------------------------------------------------------------
 */

static void read_repository_url(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    ((struct repository *)out)->url = n->text;
}

static void read_repository_suite(struct binder *b, const struct node *n, const char *path,
                                  void *out)
{
    (void)b;
    (void)path;
    ((struct repository *)out)->suite = n->text;
}

static const struct type type_repository_url = {
    .label = "URL", .shapes = SHAPE_SCALAR, .check = check_url, .read = read_repository_url};
static const struct type type_repository_suite = {.label = "name of a suite",
                                                  .shapes = SHAPE_SCALAR,
                                                  .check = check_suite,
                                                  .read = read_repository_suite};
static const struct key apt_keys[] = {
    {"url", &type_repository_url, 0, .help = "the repository", .required = true},
    {"suite", &type_repository_suite, 0, .help = "its suite; one that ends in `/` is flat",
     .required = true},
    {"components", &type_suites, offsetof(struct repository, components), .help = "its components",
     .otherwise = "none for a flat one, else they must be said"},
    {"key", &type_url_or_path, offsetof(struct repository, key),
     .help = "the public key that signs it", .required = true},
    {"fingerprint", &type_fingerprint, offsetof(struct repository, fingerprint),
     .help = "the full fingerprint that the key must have",
     .otherwise = "needed if the key is a URL"},
    END};

static void finish_apt(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct repository *r = out;
    r->kind = REPOSITORY_APT;
    r->place = n->place;
    bool flat = r->suite[strlen(r->suite) - 1] == '/';
    if (flat && r->components.count)
        bind_error(b, n->place, path,
                   "a flat repository (its suite ends in `/`) has no components");
    if (!flat && !r->components.count)
        bind_error(b, n->place, path, "'components' is missing, such as [main]");
    if (strstr(r->key.text, "://") && !r->fingerprint)
        bind_error(b, r->key.place, path, "a key that is fetched needs its 'fingerprint'");
}

static const struct type type_apt = {
    .label = "map", .shapes = SHAPE_MAP, .keys = apt_keys, .finish = finish_apt};
static const struct key apk_keys[] = {
    {"url", &type_repository_url, 0, .help = "the repository, without the architecture",
     .required = true},
    {"key", &type_url_or_path, offsetof(struct repository, key),
     .help = "the public key that signs its index; its file name is the key's name",
     .required = true},
    END};

static void finish_apk(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    ((struct repository *)out)->kind = REPOSITORY_APK;
    ((struct repository *)out)->place = n->place;
}

static const struct type type_apk = {
    .label = "map", .shapes = SHAPE_MAP, .keys = apk_keys, .finish = finish_apk};
static const struct key repository_keys[] = {
    {"apt", &type_apt, 0, .help = "a repository for apt (Debian, Ubuntu)"},
    {"apk", &type_apk, 0, .help = "a repository for apk (Alpine)"},
    END};

static void finish_repository(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)out;
    if (n->count != 1)
        bind_error(b, n->place, path, "must have either 'apt' or 'apk'");
}

static const struct type type_repository = {
    .label = "map", .shapes = SHAPE_MAP, .keys = repository_keys, .finish = finish_repository};
const struct type type_repositories = {.label = "list of maps",
                                       .shapes = SHAPE_LIST,
                                       .item = &type_repository,
                                       .item_size = sizeof(struct repository)};

/* --- files, directories
 * ---------------------------------------------------------------------------- */

static const struct key file_keys[] = {
    {"path", &type_guest_path, offsetof(struct inline_file, path), .help = "where, in the guest",
     .required = true},
    {"content", &type_content, offsetof(struct inline_file, content), .help = "its text"},
    {"source", &type_host_path, offsetof(struct inline_file, source),
     .help = "the file that it is a copy of, instead of `content`"},
    {"mode", &type_mode, offsetof(struct inline_file, mode), .help = "its mode",
     .fallback = "\"0644\""},
    {"owner", &type_owner, offsetof(struct inline_file, owner), .help = "its owner",
     .fallback = "root"},
    END};

static void finish_file(struct binder *b, const struct node *n, const char *path, void *out)
{
    const struct inline_file *f = out;
    if (!f->content.text == !f->source.text)
        bind_error(b, n->place, path, "must have either 'content' or 'source'");
}

static const struct type type_file = {
    .label = "map", .shapes = SHAPE_MAP, .keys = file_keys, .finish = finish_file};
const struct type type_files = {.label = "list of maps",
                                .shapes = SHAPE_LIST,
                                .item = &type_file,
                                .item_size = sizeof(struct inline_file)};

static const struct key directory_keys[] = {{"mode", &type_mode, offsetof(struct directory, mode),
                                             .help = "its mode", .fallback = "\"0755\""},
                                            {"owner", &type_owner,
                                             offsetof(struct directory, owner), .help = "its owner",
                                             .fallback = "root"},
                                            END};
static const struct type type_directory = {.label = "mode, or map",
                                           .shapes = SHAPE_SCALAR | SHAPE_MAP,
                                           .keys = directory_keys,
                                           .scalar_key = "mode"};
const struct type type_directories = {.label = "map of paths in the guest and modes",
                                      .example = "{/registry-data: \"0755\"}",
                                      .shapes = SHAPE_MAP,
                                      .name = &type_guest_path,
                                      .item = &type_directory,
                                      .item_size = sizeof(struct directory)};

/* --- registries
 * ------------------------------------------------------------------------------------ */

static const struct type type_mirrors = {.label = "list of URLs",
                                         .shapes = SHAPE_LIST,
                                         .item = &type_http_url,
                                         .item_size = sizeof(struct text_at)};
static const struct key registry_keys[] = {
    {"mirrors", &type_mirrors, offsetof(struct registry, mirrors),
     .help = "where its images are asked for first, in this order"},
    {"insecure", &type_bool, offsetof(struct registry, insecure),
     .help = "it may speak plain HTTP, or have a certificate that nobody knows",
     .fallback = "false"},
    {"blocked", &type_bool, offsetof(struct registry, blocked), .help = "it is never asked",
     .fallback = "false"},
    END};
static const struct type type_registry = {
    .label = "map", .shapes = SHAPE_MAP, .keys = registry_keys};
static const struct type type_registry_name = {
    .label = "registry", .shapes = SHAPE_SCALAR, .check = check_registry, .read = read_text_at};
const struct type type_registries = {.label = "map of registries",
                                     .example =
                                         "{docker.io: {mirrors: [\"http://localhost:5000\"]}}",
                                     .shapes = SHAPE_MAP,
                                     .name = &type_registry_name,
                                     .item = &type_registry,
                                     .item_size = sizeof(struct registry)};

/* --- run, ports
 * ------------------------------------------------------------------------------------ */

static const struct type type_argument = {
    .label = "argument", .shapes = SHAPE_SCALAR, .scalars = SCALARS_NUMBERS, .read = read_text_at};

static void read_command(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct command_line *c = out;
    c->place = n->place;
    if (n->kind == NODE_SCALAR) {
        const char **argv = arena_alloc(b->arena, 4 * sizeof *argv);
        argv[0] = "/bin/sh";
        argv[1] = "-c";
        argv[2] = n->text;
        c->argv = argv;
        return;
    }
    const char **argv = arena_alloc(b->arena, (n->count + 1) * sizeof *argv);
    for (size_t i = 0; i < n->count; i++) {
        struct text_at argument = {0};
        bind_node(b, &type_argument, n->items[i], arena_printf(b->arena, "%s[%zu]", path, i),
                  &argument);
        argv[i] = argument.text;
    }
    if (n->count == 0)
        bind_error(b, n->place, path, "an empty command");
    c->argv = argv;
}

static const struct type type_command = {.label =
                                             "shell command, or list: a program and its arguments",
                                         .shapes = SHAPE_SCALAR | SHAPE_LIST,
                                         .check = check_not_empty,
                                         .read = read_command};
const struct type type_commands = {.label = "list of commands",
                                   .example = "[\"update-ca-certificates\", [touch, /etc/x]]",
                                   .shapes = SHAPE_LIST,
                                   .item = &type_command,
                                   .item_size = sizeof(struct command_line)};

static void read_port(struct binder *b, const struct node *n, const char *path, void *out)
{
    const char *why;
    struct port_forward *p = out;
    p->place = n->place;
    if (!parse_port_forward(b->arena, n->text, p, &why))
        bind_error(b, n->place, path, "'%s': %s", n->text, why);
}

static const struct type type_port = {
    .label = "[ADDRESS:]HOST:GUEST[/udp]", .shapes = SHAPE_SCALAR, .read = read_port};
const struct type type_ports = {.label = "list of [ADDRESS:]HOST:GUEST[/udp]",
                                .example = "[\"8080:30080\"]",
                                .shapes = SHAPE_LIST,
                                .item = &type_port,
                                .item_size = sizeof(struct port_forward)};
