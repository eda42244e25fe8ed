/* The keys of base profiles (recipes/bases/) and distribution profiles (recipes/distributions/). */
#include "recipe/bind.h"
#include "recipe/check.h"
#include "recipe/keys.h"

#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define AT(field) offsetof(struct base_profile, field)
#define UPDATE(field) offsetof(struct update_source, field)

/* --- where both say that there is something newer
 * -------------------------------------------------
 */

static void read_update_url(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct text_at url;
    read_host_path(b, n, path, &url);
    *(const char **)out = url.text;
}

static const struct type type_update_url = {.label = "URL or path",
                                            .shapes = SHAPE_SCALAR,
                                            .check = check_url_template,
                                            .read = read_update_url};
static const struct type type_update_word = {.label = "name",
                                             .shapes = SHAPE_SCALAR,
                                             .scalars = SCALARS_NUMBERS,
                                             .check = check_line,
                                             .read = read_text};

static void set_update_kind(struct binder *b, const struct node *n, const char *path,
                            struct update_source *u, enum update_kind kind)
{
    if (u->kind != UPDATE_NONE)
        bind_error(b, n->place, path,
                   "one service is enough: alpine, simplestreams, github or channels");
    u->kind = kind;
    u->place = n->place;
}

#define UPDATE_FINISH(name, kind)                                                                  \
    static void name(struct binder *b, const struct node *n, const char *path, void *out)          \
    {                                                                                              \
        set_update_kind(b, n, path, out, kind);                                                    \
    }
UPDATE_FINISH(finish_update_alpine, UPDATE_ALPINE)
UPDATE_FINISH(finish_update_streams, UPDATE_SIMPLESTREAMS)
UPDATE_FINISH(finish_update_channels, UPDATE_CHANNEL)

static void read_update_github(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct update_source *u = out;
    read_update_url(b, n, path, &u->url);
    set_update_kind(b, n, path, u, UPDATE_GITHUB);
}

static const struct key update_alpine_keys[] = {
    {"releases", &type_update_url, UPDATE(url), .help = "its releases.json", .required = true},
    {"branch", &type_update_word, UPDATE(product),
     .help = "the branch that the base is of: \"3.24\"", .required = true},
    {"images", &type_update_url, UPDATE(folder), .help = "the folder that lists the images",
     .required = true},
    END};
static const struct key update_streams_keys[] = {
    {"index", &type_update_url, UPDATE(url), .help = "the index of its streams (index.json)",
     .required = true},
    {"product", &type_update_word, UPDATE(product),
     .help = "the product; `@{arch}` (amd64) is filled in", .required = true},
    {"item", &type_update_word, UPDATE(item), .help = "which file of it, such as disk1.img",
     .required = true},
    END};
static const struct key update_channels_keys[] = {
    {"url", &type_update_url, UPDATE(url), .help = "where its channels are said", .required = true},
    {"channel", &type_update_word, UPDATE(product),
     .help = "the channel that counts, such as stable", .required = true},
    END};
static const struct type type_update_alpine = {.label = "map",
                                               .shapes = SHAPE_MAP,
                                               .keys = update_alpine_keys,
                                               .finish = finish_update_alpine};
static const struct type type_update_streams = {.label = "map",
                                                .shapes = SHAPE_MAP,
                                                .keys = update_streams_keys,
                                                .finish = finish_update_streams};
static const struct type type_update_channels = {.label = "map",
                                                 .shapes = SHAPE_MAP,
                                                 .keys = update_channels_keys,
                                                 .finish = finish_update_channels};
static const struct type type_update_github = {.label = "URL or path",
                                               .shapes = SHAPE_SCALAR,
                                               .check = check_url_template,
                                               .read = read_update_github};
static const struct key updates_keys[] = {
    {"alpine", &type_update_alpine, 0, .help = "Alpine's releases and the folder of its images"},
    {"simplestreams", &type_update_streams, 0, .help = "a simplestreams index, as Ubuntu has it"},
    {"github", &type_update_github, 0,
     .help = "GitHub's answer about the latest release of a repository, or about all of them"},
    {"channels", &type_update_channels, 0, .help = "release channels, as k3s has them"},
    END};

static void finish_updates(struct binder *b, const struct node *n, const char *path, void *out)
{
    if (n->count == 0 && ((const struct update_source *)out)->kind == UPDATE_NONE)
        bind_error(b, n->place, path,
                   "says nothing: give alpine, simplestreams, github or channels");
}

static const struct type type_updates = {.label = "map: one service",
                                         .shapes = SHAPE_MAP,
                                         .keys = updates_keys,
                                         .finish = finish_updates};

/* --- bases ---------------------------------------------------------------------------------------
 */

static const struct type type_firmwares = {.label = "firmware, or list of them",
                                           .example = "[bios, uefi]",
                                           .shapes = SHAPE_SCALAR | SHAPE_LIST,
                                           .item = &type_firmware,
                                           .item_size = sizeof(struct text_at),
                                           .one_is_list = true};
static const struct key image_keys[] = {
    {"image", &type_url_or_path, offsetof(struct image_draft, image),
     .help = "the disk image; `@{arch}` (amd64), `@{gnu_arch}` (x86_64) and `@{firmware}` are "
             "filled in",
     .required = true},
    {"verify", &type_verify, offsetof(struct image_draft, verify), .help = "how it is verified",
     .required = true},
    {"format", &type_format, offsetof(struct image_draft, format), .help = "its format",
     .otherwise = "seen from its first bytes"},
    {"firmware", &type_firmwares, offsetof(struct image_draft, firmware),
     .help = "what boots it: the first, unless a recipe's `base.firmware` says another of them",
     .fallback = "bios"},
    END};
static const struct type type_image = {.label = "map", .shapes = SHAPE_MAP, .keys = image_keys};
static const struct type type_images = {.label = "map of architectures",
                                        .shapes = SHAPE_MAP,
                                        .name = &type_architecture,
                                        .item = &type_image,
                                        .item_size = sizeof(struct image_draft)};
static const struct key base_profile_keys[] = {
    {"summary", &type_line, AT(summary), .help = "what it is, in one line", .required = true},
    {"os", &type_os, AT(base.os), .help = "the system in it", .required = true},
    {"init", &type_init, AT(base.init), .help = "its init system",
     .otherwise = "openrc for alpine, else systemd"},
    {"seed", &type_seed, AT(base.seed), .help = "what reads the cidata ISO at first boot",
     .otherwise = "cloud-init"},
    {"user", &type_user, AT(base.user), .help = "the login name that it is made for"},
    {"images", &type_images, AT(images), .help = "its image for each architecture"},
    {"bootstrap", &type_bootstrap, AT(base),
     .help = "no image: the base is made from the system's packages"},
    {"updates", &type_updates, AT(base.updates),
     .help = "where it is said that there is a newer image",
     .otherwise = "nowhere: `ingot updates` compares the checksums alone"},
    END};

static void finish_base_profile(struct binder *b, const struct node *n, const char *path, void *out)
{
    const struct base_profile *p = out;
    if (p->base.bootstrap == (p->image_count > 0))
        bind_error(b, n->place, *path ? path : "images",
                   "must have either 'images' or 'bootstrap'");
    if (p->base.bootstrap && p->base.updates.kind != UPDATE_NONE)
        bind_error(b, p->base.updates.place, "updates",
                   "goes with 'images'; newer packages are found by their archive's indexes");
}

const struct type base_profile_type = {.label = "base profile",
                                       .shapes = SHAPE_MAP,
                                       .keys = base_profile_keys,
                                       .finish = finish_base_profile};

/* --- distributions -------------------------------------------------------------------------------
 */

#undef AT
#define AT(field) offsetof(struct distribution_profile, field)
#define ADD(field) offsetof(struct additions, field)

static const struct key services_keys[] = {
    {"enable", &type_service_names, ADD(services_enable), .help = "services that start at boot"},
    {"disable", &type_service_names, ADD(services_disable),
     .help = "services of the base that do not"},
    END};
const struct type type_services = {.label = "map", .shapes = SHAPE_MAP, .keys = services_keys};

/* The same keys at the top of a profile and in its sections, with the offset of the structure. */
#define ADDITIONS(where)                                                                           \
    {"packages", &type_packages, (where) + ADD(packages), .help = "packages that it needs"},       \
        {"overlays", &type_overlays, (where) + ADD(overlays),                                      \
         .help = "its trees of files, laid before the recipe's"},                                  \
        {"sources", &type_sources, (where) + ADD(sources), .help = "files that it consists of"},   \
        {"modules", &type_modules, (where) + ADD(modules),                                         \
         .help = "kernel modules that it needs"},                                                  \
        {"sysctls", &type_sysctls, (where) + ADD(sysctls),                                         \
         .help = "kernel settings that it needs"},                                                 \
    {                                                                                              \
        "services", &type_services, (where), .help = "services that it needs or replaces"          \
    }

static const struct key section_keys[] = {ADDITIONS(0), END};
static const struct type type_section = {.label = "map", .shapes = SHAPE_MAP, .keys = section_keys};
#define SECTION(key, which, what)                                                                  \
    {                                                                                              \
        key, &type_section, AT(sections[which]), .help = what                                      \
    }

static const struct key api_keys[] = {{"port", &type_port_number, AT(api_port),
                                       .help = "where the Kubernetes API listens",
                                       .required = true},
                                      END};
static const struct type type_api = {.label = "map", .shapes = SHAPE_MAP, .keys = api_keys};
static const struct key memory_keys[] = {{"minimum", &type_size, AT(memory_minimum),
                                          .help = "below this it does not run", .required = true},
                                         {"recommended", &type_size, AT(memory_recommended),
                                          .help = "with this it runs well", .required = true},
                                         END};
static const struct type type_memory = {.label = "map", .shapes = SHAPE_MAP, .keys = memory_keys};

static const struct key distribution_profile_keys[] = {
    {"summary", &type_line, AT(summary), .help = "what it is, in one line", .required = true},
    {"version", &type_version, AT(version), .help = "the version where a recipe says none"},
    {"registries", &type_registries_format, AT(registries),
     .help = "how it wants registries configured", .otherwise = "not at all"},
    {"config_path", &type_guest_path, AT(config_path),
     .help = "where a recipe's `distribution.config` is written, as YAML"},
    {"config", &type_any_map, AT(config), .help = "its own keys that are set unless a recipe does"},
    {"unit", &type_line, AT(unit), .help = "its service"},
    {"kubeconfig", &type_guest_path, AT(kubeconfig), .help = "where it writes the kubeconfig"},
    {"api", &type_api, 0, .help = "its Kubernetes API"},
    {"never_baked", &type_guest_paths, AT(never_baked),
     .help = "state that must not be in an image"},
    {"memory", &type_memory, 0, .help = "how much it needs"},
    {"updates", &type_updates, AT(updates),
     .help = "where it is said that there is a newer version", .otherwise = "nowhere"},
    ADDITIONS(AT(always)),
    SECTION("systemd", SECTION_SYSTEMD, "what is added where the init system is systemd"),
    SECTION("openrc", SECTION_OPENRC, "what is added where the init system is OpenRC"),
    SECTION("alpine", SECTION_ALPINE, "what is added on Alpine"),
    SECTION("debian", SECTION_DEBIAN, "what is added on Debian"),
    SECTION("ubuntu", SECTION_UBUNTU, "what is added on Ubuntu"),
    SECTION("amd64", SECTION_AMD64, "what is added on amd64"),
    SECTION("arm64", SECTION_ARM64, "what is added on arm64"),
    END};
const struct type distribution_profile_type = {
    .label = "distribution profile", .shapes = SHAPE_MAP, .keys = distribution_profile_keys};
const char *const section_names[SECTIONS] = {"systemd", "openrc", "alpine", "debian",
                                             "ubuntu",  "amd64",  "arm64"};
