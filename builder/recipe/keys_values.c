/* Types of single values, and of lists of them. */
#include "recipe/bind.h"
#include "recipe/check.h"
#include "recipe/keys.h"

#include <string.h>

#define LIST_OF_TEXT(what, of)                                                                     \
    {                                                                                              \
        .label = what, .shapes = SHAPE_LIST, .item = of, .item_size = sizeof(struct text_at)       \
    }
#define CHOICES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

const struct type type_name = {.label = "name",
                               .pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                               .shapes = SHAPE_SCALAR,
                               .check = check_plain_name,
                               .read = read_text_at};
const struct type type_version = {.label = "version",
                                  .shapes = SHAPE_SCALAR,
                                  .scalars = SCALARS_NUMBERS,
                                  .check = check_version,
                                  .read = read_text_at};
const struct type type_line = {
    .label = "text in one line", .shapes = SHAPE_SCALAR, .check = check_line, .read = read_text_at};
const struct type type_plain_text = {.label = "text",
                                     .shapes = SHAPE_SCALAR,
                                     .scalars = SCALARS_NUMBERS,
                                     .check = check_line,
                                     .read = read_text_at};
const struct type type_content = {.label = "text", .shapes = SHAPE_SCALAR, .read = read_text_at};
const struct type type_guest_path = {.label = "path in the guest",
                                     .pattern = "^/[^/]",
                                     .shapes = SHAPE_SCALAR,
                                     .check = check_guest_path,
                                     .read = read_text_at};
const struct type type_host_path = {
    .label = "path", .shapes = SHAPE_SCALAR, .check = check_host_path, .read = read_host_path};
const struct type type_url_or_path = {.label = "URL or path",
                                      .shapes = SHAPE_SCALAR,
                                      .check = check_url_template,
                                      .read = read_host_path};
const struct type type_http_url = {.label = "URL (http, https)",
                                   .pattern = "^https?://",
                                   .shapes = SHAPE_SCALAR,
                                   .check = check_http_url,
                                   .read = read_text_at};
const struct type type_size = {.label = "size",
                               .example = "8GiB",
                               .pattern = "^[0-9]+(\\.[0-9]+)? *(B|KiB|MiB|GiB|TiB|PiB)?$",
                               .shapes = SHAPE_SCALAR,
                               .scalars = SCALARS_NUMBERS,
                               .read = read_size};
const struct type type_bool = {
    .label = "true or false", .shapes = SHAPE_SCALAR, .scalars = SCALARS_BOOL, .read = read_bool};
const struct type type_mode = {.label = "octal mode in quotes",
                               .example = "\"0644\"",
                               .pattern = "^[0-7]{3,4}$",
                               .shapes = SHAPE_SCALAR,
                               .scalars = SCALARS_QUOTED,
                               .read = read_mode};
const struct type type_owner = {.label = "owner",
                                .example = "\"1000:1000\"",
                                .shapes = SHAPE_SCALAR,
                                .scalars = SCALARS_NUMBERS,
                                .check = check_owner,
                                .read = read_text};
const struct type type_hostname = {.label = "host name",
                                   .pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
                                   .shapes = SHAPE_SCALAR,
                                   .check = check_hostname,
                                   .read = read_text_at};
const struct type type_user = {.label = "user name",
                               .pattern = "^[a-z_][a-z0-9_-]*$",
                               .shapes = SHAPE_SCALAR,
                               .check = check_user,
                               .read = read_text_at};
const struct type type_ipv4 = {.label = "IPv4 address",
                               .shapes = SHAPE_SCALAR,
                               .scalars = SCALARS_NUMBERS,
                               .check = check_ipv4,
                               .read = read_text_at};
const struct type type_ipv4_prefix = {.label = "IPv4 address with prefix length",
                                      .example = "10.0.0.50/24",
                                      .pattern = "^[0-9.]+/[0-9]+$",
                                      .shapes = SHAPE_SCALAR,
                                      .check = check_ipv4_prefix,
                                      .read = read_text_at};
const struct type type_count = {.label = "number",
                                .shapes = SHAPE_SCALAR,
                                .scalars = SCALARS_INTEGER,
                                .minimum = 1,
                                .maximum = 512,
                                .read = read_unsigned};
const struct type type_port_number = {.label = "port",
                                      .shapes = SHAPE_SCALAR,
                                      .scalars = SCALARS_INTEGER,
                                      .minimum = 1,
                                      .maximum = 65535,
                                      .read = read_unsigned};
const struct type type_suite = {
    .label = "name of a suite", .shapes = SHAPE_SCALAR, .check = check_suite, .read = read_text_at};
const struct type type_fingerprint = {.label = "fingerprint",
                                      .shapes = SHAPE_SCALAR,
                                      .scalars = SCALARS_NUMBERS,
                                      .check = check_fingerprint,
                                      .read = read_text};

static void read_percent(struct binder *b, const struct node *n, const char *path, void *out)
{
    read_unsigned(b, n, path, out); /* stops at the sign */
}

const struct type type_percent = {.label = "percentage",
                                  .example = "50%",
                                  .pattern = "^[0-9]+%$",
                                  .shapes = SHAPE_SCALAR,
                                  .check = check_percent,
                                  .read = read_percent};

const struct type type_os = {.label = "system",
                             .shapes = SHAPE_SCALAR,
                             .read = read_text_at,
                             .choices = CHOICES("alpine", "debian", "ubuntu")};
const struct type type_init = {.label = "init system",
                               .shapes = SHAPE_SCALAR,
                               .read = read_text_at,
                               .choices = CHOICES("systemd", "openrc")};
const struct type type_format = {.label = "disk format",
                                 .shapes = SHAPE_SCALAR,
                                 .read = read_text_at,
                                 .choices = CHOICES("qcow2", "raw")};
const struct type type_firmware = {.label = "firmware",
                                   .shapes = SHAPE_SCALAR,
                                   .read = read_text_at,
                                   .choices = CHOICES("bios", "uefi")};
const struct type type_seed = {.label = "first-boot program",
                               .shapes = SHAPE_SCALAR,
                               .read = read_text_at,
                               .choices = CHOICES("cloud-init", "tiny-cloud", "none")};
const struct type type_architecture = {.label = "architecture",
                                       .shapes = SHAPE_SCALAR,
                                       .read = read_text_at,
                                       .choices = CHOICES("amd64", "arm64")};
const struct type type_registries_format = {.label = "registries format",
                                            .shapes = SHAPE_SCALAR,
                                            .read = read_text_at,
                                            .choices = CHOICES("containers", "k3s")};

const struct type type_any_map = {
    .label = "the distribution's own keys", .shapes = SHAPE_MAP, .any = true, .read = read_any};

static const struct type type_package = {.label = "package",
                                         .pattern = "^[A-Za-z0-9][A-Za-z0-9+._-]*$",
                                         .shapes = SHAPE_SCALAR,
                                         .check = check_package,
                                         .read = read_text_at};
const struct type type_packages = LIST_OF_TEXT("list of packages", &type_package);

/* A name that is looked up, or a path: which of the two is seen when it is looked for. */
static void read_overlay(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)path;
    bool is_path = strchr(n->text, '/') || n->text[0] == '~';
    *(struct text_at *)out =
        (struct text_at){is_path ? host_path(b->arena, n, n->text) : n->text, n->place};
}

static bool check_overlay(const char *s, const char **why)
{
    return strchr(s, '/') || s[0] == '~' ? check_host_path(s, why) : check_plain_name(s, why);
}

static const struct type type_overlay = {.label = "name or path of a folder",
                                         .shapes = SHAPE_SCALAR,
                                         .check = check_overlay,
                                         .read = read_overlay};
const struct type type_overlays = LIST_OF_TEXT("list of names or paths of folders", &type_overlay);

static const struct type type_module = {
    .label = "kernel module", .shapes = SHAPE_SCALAR, .check = check_module, .read = read_text_at};
const struct type type_modules = LIST_OF_TEXT("list of kernel modules", &type_module);

static const struct type type_service = {
    .label = "service", .shapes = SHAPE_SCALAR, .check = check_service, .read = read_text_at};
const struct type type_service_names = LIST_OF_TEXT("list of services", &type_service);

static const struct type type_nameserver = {.label = "address",
                                            .shapes = SHAPE_SCALAR,
                                            .scalars = SCALARS_NUMBERS,
                                            .check = check_ip,
                                            .read = read_text_at};
const struct type type_nameservers = LIST_OF_TEXT("list of addresses", &type_nameserver);
const struct type type_suites = LIST_OF_TEXT("list of names", &type_suite);
const struct type type_guest_paths = LIST_OF_TEXT("list of paths in the guest", &type_guest_path);

static const struct type type_member = {.label = "name in the archive",
                                        .shapes = SHAPE_SCALAR,
                                        .check = check_archive_member,
                                        .read = read_text_at};
const struct type type_members = LIST_OF_TEXT("list of names in the archive", &type_member);

const struct key *keys_find(const struct key *keys, const char *name, size_t length)
{
    for (const struct key *k = keys; k->name; k++)
        if (strlen(k->name) == length && strncmp(k->name, name, length) == 0)
            return k;
    return NULL;
}

bool key_is_list(const struct key *k)
{
    return k->type && k->type->shapes & SHAPE_LIST && k->type->item;
}
