/* The keys of base profiles (recipes/bases/) and distribution profiles (recipes/distributions/). */
#include "recipe/bind.h"
#include "recipe/keys.h"

#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define AT(field) offsetof(struct base_profile, field)

/* --- bases ---------------------------------------------------------------------------------------
 */

static const struct key image_keys[] = {
    {"image", &type_url_or_path, offsetof(struct image_draft, image),
     .help = "the disk image; `@{arch}` (amd64) and `@{gnu_arch}` (x86_64) are filled in",
     .required = true},
    {"verify", &type_verify, offsetof(struct image_draft, verify), .help = "how it is verified",
     .required = true},
    {"format", &type_format, offsetof(struct image_draft, format), .help = "its format",
     .otherwise = "seen from its first bytes"},
    {"firmware", &type_firmware, offsetof(struct image_draft, firmware),
     .help = "what boots it; one that boots with both says bios", .fallback = "bios"},
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
    END};

static void finish_base_profile(struct binder *b, const struct node *n, const char *path, void *out)
{
    const struct base_profile *p = out;
    if (p->base.bootstrap == (p->image_count > 0))
        bind_error(b, n->place, *path ? path : "images",
                   "must have either 'images' or 'bootstrap'");
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
