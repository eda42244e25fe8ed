/* The keys of a recipe. */
#include "recipe/bind.h"
#include "recipe/check.h"
#include "recipe/keys.h"

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
#define AT(field) offsetof(struct draft, field)
#define BASE(field) offsetof(struct base_draft, field)
#define NOT_YET(key, what)                                                                         \
    {                                                                                              \
        .name = key, .help = what, .not_yet = what                                                 \
    }

/* --- base ----------------------------------------------------------------------------------------
 */

static const struct type type_bootstrap_os = {.label = "system",
                                              .shapes = SHAPE_SCALAR,
                                              .read = read_text_at,
                                              .choices = CHOICES("debian"),
                                              .choices_not_yet = CHOICES("ubuntu", "alpine")};
static const struct key bootstrap_keys[] = {
    {"os", &type_bootstrap_os, BASE(bootstrap_os), .help = "which distribution", .required = true},
    {"suite", &type_suite, BASE(suite), .help = "which release of it, such as bookworm",
     .required = true},
    {"packages", &type_packages, BASE(packages), .help = "packages that belong to the base"},
    {"mirror", &type_http_url, BASE(mirror), .help = "where its packages are",
     .otherwise = "the host's own apt sources"},
    END};

static void finish_bootstrap(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)path;
    struct base_draft *base = out;
    base->bootstrap = true;
    base->bootstrap_place = n->place;
}

const struct type type_bootstrap = {
    .label = "map", .shapes = SHAPE_MAP, .keys = bootstrap_keys, .finish = finish_bootstrap};

static const struct key base_keys[] = {
    {"name", &type_name, BASE(name), .help = "a profile in recipes/bases/"},
    {"image", &type_url_or_path, BASE(image),
     .help = "a disk image; `@{arch}` (amd64), `@{gnu_arch}` (x86_64) and `@{firmware}` are filled "
             "in"},
    {"verify", &type_base_verify, BASE(verify),
     .help = "how the image is verified: nothing is used "
             "unverified"},
    {"format", &type_format, BASE(format), .help = "the image's format",
     .otherwise = "seen from its first bytes"},
    {"firmware", &type_firmware, BASE(firmware),
     .help = "what boots it, where the base leaves the choice",
     .otherwise = "as the profile says, else bios; for arm64 uefi"},
    {"seed", &type_seed, BASE(seed), .help = "what reads the cidata ISO at first boot",
     .otherwise = "as the profile says, else cloud-init"},
    {"user", &type_user, BASE(user), .help = "the login name that the image is made for",
     .otherwise = "as the profile says"},
    {"os", &type_os, BASE(os), .help = "the system in it, where a distribution differs by it",
     .otherwise = "as the profile says"},
    {"init", &type_init, BASE(init), .help = "the init system in it",
     .otherwise = "openrc for alpine, else systemd"},
    {"bootstrap", &type_bootstrap, 0,
     .help = "no image: the base is made from the system's packages"},
    END};
static const struct type type_base = {.label = "name of a profile, or map",
                                      .example = "alpine-3.24",
                                      .shapes = SHAPE_SCALAR | SHAPE_MAP,
                                      .keys = base_keys,
                                      .scalar_key = "name",
                                      .whole = CHOICES("name", "image", "bootstrap")};

/* --- distribution --------------------------------------------------------------------------------
 */

static const struct key distribution_keys[] = {
    {"name", &type_name, AT(recipe.distribution.name),
     .help = "a profile in recipes/distributions/"},
    {"version", &type_version, AT(distribution_version), .help = "its version",
     .otherwise = "the profile's"},
    {"config", &type_any_map, AT(distribution_config),
     .help = "the distribution's own configuration, passed through"},
    NOT_YET("role", "whether it is a server or an agent, or that this is said at boot"),
    NOT_YET("clusters", "which clusters k3d and kind create at boot"),
    END};
static const struct type type_distribution = {.label = "name of a profile, or map",
                                              .example =
                                                  "{name: k3s, config: {disable: [traefik]}}",
                                              .shapes = SHAPE_SCALAR | SHAPE_MAP,
                                              .keys = distribution_keys,
                                              .scalar_key = "name",
                                              .whole = CHOICES("name")};

/* --- boot ----------------------------------------------------------------------------------------
 */

static void note_memory(struct binder *b, const struct node *n, const char *path, void *out)
{
    struct draft *d = out;
    const struct boot *boot = &d->recipe.boot;
    d->memory_place = n->place;
    if (boot->memory && boot->memory_share)
        bind_error(b, n->place, path, "must have either 'size' or 'share'");
    if ((boot->memory_min || boot->memory_max) && !boot->memory_share)
        bind_error(b, n->place, path, "'min' and 'max' go with 'share'");
    if (boot->memory_max && boot->memory_min > boot->memory_max)
        bind_error(b, n->place, path, "'min' is more than 'max'");
    const struct {
        const char *name;
        uint64_t bytes;
    } sizes[] = {{"size", boot->memory}, {"min", boot->memory_min}, {"max", boot->memory_max}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const struct node *given = node_get(n, sizes[i].name);
        if (given && sizes[i].bytes < (uint64_t)64 << 20)
            bind_error(b, given->place, path, "'%s' is too little memory: at least 64MiB",
                       given->text);
    }
}

static const struct key memory_keys[] = {
    {"size", &type_size, AT(recipe.boot.memory), .help = "as much as this"},
    {"share", &type_percent, AT(recipe.boot.memory_share), .help = "this part of the host's"},
    {"min", &type_size, AT(recipe.boot.memory_min), .help = "with `share`: at least this"},
    {"max", &type_size, AT(recipe.boot.memory_max), .help = "with `share`: at most this"},
    END};
static const struct type type_memory = {.label = "size, or map",
                                        .example = "{share: 50%, min: 4GiB, max: 8GiB}",
                                        .shapes = SHAPE_SCALAR | SHAPE_MAP,
                                        .keys = memory_keys,
                                        .scalar_key = "size",
                                        .whole = CHOICES("size", "share"),
                                        .finish = note_memory};

static bool check_key_or_path(const char *s, const char **why)
{
    return looks_like_ssh_key(s) ? check_ssh_key(s, why) : check_host_path(s, why);
}

static void read_ssh_key(struct binder *b, const struct node *n, const char *path, void *out)
{
    if (looks_like_ssh_key(n->text))
        read_text_at(b, n, path, out);
    else
        read_host_path(b, n, path, out);
}

static const struct type type_ssh_key = {.label = "public key, or path",
                                         .shapes = SHAPE_SCALAR,
                                         .check = check_key_or_path,
                                         .read = read_ssh_key};
static const struct type type_ssh_keys = {.label =
                                              "list of public keys, or paths of files with them",
                                          .example = "[~/.ssh/id_ed25519.pub]",
                                          .shapes = SHAPE_LIST,
                                          .item = &type_ssh_key,
                                          .item_size = sizeof(struct text_at)};

static const struct key password_keys[] = {
    {"file", &type_host_path, AT(recipe.boot.password_hash_file),
     .help = "a file with the hash (crypt(5), as `mkpasswd` prints it)", .required = true},
    NOT_YET("env", "an environment variable with the hash; now use 'file'"),
    END};
static const struct type type_password = {
    .label = "map", .example = "{file: password.hash}", .shapes = SHAPE_MAP, .keys = password_keys};

static const struct key network_keys[] = {
    {"address", &type_ipv4_prefix, AT(recipe.boot.address), .help = "a static address",
     .otherwise = "DHCP"},
    {"gateway", &type_ipv4, AT(recipe.boot.gateway), .help = "with `address`: the gateway"},
    {"nameservers", &type_nameservers, AT(recipe.boot.nameservers), .help = "DNS servers"},
    END};

static void finish_network(struct binder *b, const struct node *n, const char *path, void *out)
{
    const struct boot *boot = &((struct draft *)out)->recipe.boot;
    if (boot->gateway.text && !boot->address.text)
        bind_error(b, n->place, path, "'gateway' goes with 'address'");
}

static const struct type type_network = {
    .label = "map", .shapes = SHAPE_MAP, .keys = network_keys, .finish = finish_network};

static const struct key boot_keys[] = {
    {"memory", &type_memory, 0, .help = "memory of an instance",
     .otherwise = "the distribution's recommended"},
    {"cpus", &type_count, AT(recipe.boot.cpus), .help = "its processors",
     .otherwise = "ingot-boot's default"},
    {"user", &type_user, AT(recipe.boot.user), .help = "the user that is made at first boot",
     .otherwise = "the base's"},
    {"hostname", &type_hostname, AT(recipe.boot.hostname), .help = "its host name",
     .otherwise = "the recipe's name"},
    {"ssh_keys", &type_ssh_keys, AT(ssh_keys), .help = "who may log in as the user"},
    {"password", &type_password, 0, .help = "the user's password, as a hash in a file",
     .otherwise = "none: no login by password"},
    {"ports", &type_ports, AT(recipe.boot.ports),
     .help = "ports of the host that lead into the guest, in Compose's order; ranges are allowed"},
    {"network", &type_network, 0, .help = "addresses", .otherwise = "DHCP"},
    NOT_YET("token", "the cluster's token, by file or environment variable"),
    NOT_YET("disks", "more disks, made at the first boot and mounted"),
    NOT_YET("mounts", "folders of the host that are mounted in the guest"),
    END};
static const struct type type_boot = {.label = "map", .shapes = SHAPE_MAP, .keys = boot_keys};

/* --- the top level -------------------------------------------------------------------------------
 */

static const struct type type_language = {.label = "1",
                                          .shapes = SHAPE_SCALAR,
                                          .scalars = SCALARS_INTEGER,
                                          .minimum = 1,
                                          .maximum = 1,
                                          .read = read_unsigned};

static bool check_requires(const char *s, const char **why)
{
    bool wellformed;
    *why = "a condition is a sign and a version, such as \">=1.2\"; several with commas";
    version_satisfies(INGOT_VERSION, s, &wellformed);
    return wellformed;
}

static void ignore(struct binder *b, const struct node *n, const char *path, void *out)
{
    (void)b;
    (void)n;
    (void)path;
    (void)out;
}

static const struct type type_requires = {.label = "versions of ingot",
                                          .example = "\">=1.2\"",
                                          .shapes = SHAPE_SCALAR,
                                          .scalars = SCALARS_NUMBERS,
                                          .check = check_requires,
                                          .read = ignore};
static const struct type type_include_one = {.label = "path or name of a recipe",
                                             .shapes = SHAPE_SCALAR,
                                             .check = check_host_path,
                                             .read = read_text_at};
static const struct type type_include = {.label = "recipe, or list of recipes",
                                         .example = "kubesolo.yaml",
                                         .shapes = SHAPE_SCALAR | SHAPE_LIST,
                                         .item = &type_include_one,
                                         .check = check_host_path,
                                         .read = ignore};
static const struct type type_arch = {.label = "architecture, or list of one",
                                      .shapes = SHAPE_SCALAR | SHAPE_LIST,
                                      .item = &type_architecture,
                                      .item_size = sizeof(struct text_at),
                                      .one_is_list = true};
static const struct type type_output = {.label = "output",
                                        .shapes = SHAPE_SCALAR,
                                        .read = read_text_at,
                                        .choices = CHOICES("qcow2", "cidata", "raw", "vmdk"),
                                        .choices_not_yet =
                                            CHOICES("lima", "wsl", "bundle", "raw.zst")};
static const struct type type_outputs = {.label = "list of outputs",
                                         .shapes = SHAPE_LIST,
                                         .item = &type_output,
                                         .item_size = sizeof(struct text_at)};
static const struct type type_compression = {.label = "compression",
                                             .shapes = SHAPE_SCALAR,
                                             .choices = CHOICES("zstd", "zlib", "none"),
                                             .read = read_text_at};
static const struct key services_keys[] = {
    {"enable", &type_service_names, AT(recipe.services_enable),
     .help = "services that start at boot"},
    {"disable", &type_service_names, AT(recipe.services_disable),
     .help = "services of the base that do not"},
    END};
static const struct type type_recipe_services = {
    .label = "map", .example = "{enable: [chronyd]}", .shapes = SHAPE_MAP, .keys = services_keys};

static const struct key recipe_keys[] = {
    {"ingot", &type_language, AT(language), .help = "the version of the recipe language: 1",
     .required = true},
    {"requires", &type_requires, 0,
     .help = "the versions of ingot that can bake this; read before anything else",
     .otherwise = "any"},
    {"include", &type_include, 0,
     .help = "recipes that this one is laid over: maps are merged, scalars and lists replaced, "
             "`key+:` appends to a list"},
    {"name", &type_name, AT(recipe.name), .help = "the image's name", .required = true},
    {"version", &type_version, AT(version),
     .help = "the image's version: then the folder is out/NAME-VERSION"},
    {"arch", &type_arch, AT(arch), .help = "the architecture of the image", .fallback = "amd64"},
    {"base", &type_base, AT(base), .help = "what is baked upon", .required = true},
    {"distribution", &type_distribution, 0, .help = "which Kubernetes, or other engine, goes in",
     .otherwise = "none"},
    {"disk", &type_size, AT(recipe.disk), .help = "the size of the disk; the root grows into it",
     .otherwise = "the base's"},
    {"outputs", &type_outputs, AT(outputs), .help = "which files are made",
     .fallback = "[qcow2, cidata]"},
    {"compression", &type_compression, AT(compression),
     .help = "of the qcow2; zlib for QEMU before 5.1", .fallback = "zstd"},
    {"packages", &type_packages, AT(recipe.packages),
     .help = "packages installed, with all that they need"},
    {"recommends", &type_bool, AT(recipe.recommends),
     .help = "apt also installs what packages recommend", .fallback = "false"},
    {"package_repositories", &type_repositories, AT(recipe.repositories),
     .help = "repositories beside the base's own"},
    {"overlays", &type_overlays, AT(overlays),
     .help = "trees of files laid over the guest's root, in this order"},
    {"files", &type_files, AT(recipe.files), .help = "single files, written here"},
    {"directories", &type_directories, AT(recipe.directories), .help = "folders made in the guest"},
    {"registries", &type_registries, AT(recipe.registries),
     .help = "container registries, and where their images are asked for"},
    {"sources", &type_sources, AT(sources), .help = "files fetched, verified and put in"},
    {"run", &type_commands, AT(recipe.run),
     .help =
         "commands in the guest at bake, without network; a scalar is for /bin/sh -c, a list is "
         "a program and its arguments"},
    {"services", &type_recipe_services, 0, .help = "services of the guest's init system"},
    {"modules", &type_modules, AT(recipe.modules), .help = "kernel modules loaded at boot"},
    {"sysctls", &type_sysctls, AT(recipe.sysctls), .help = "kernel settings made at boot"},
    {"setuid", &type_guest_paths, AT(recipe.setuid),
     .help = "files that may come in with set-uid or set-gid; others are refused"},
    {"boot", &type_boot, 0, .help = "defaults for instances; they change no layer of the image"},
    NOT_YET("api", "the address and port of the Kubernetes API that callers see"),
    NOT_YET("images", "container images that are baked in"),
    NOT_YET("charts", "Helm charts that are applied"),
    NOT_YET("manifests", "Kubernetes manifests that are applied"),
    NOT_YET("workloads", "Compose files, Quadlets and other containers that are translated"),
    NOT_YET("hosts", "names and addresses in the guest's /etc/hosts"),
    NOT_YET("users", "users of the guest; now there is boot.user"),
    NOT_YET("ca_certs", "certificate authorities that the guest trusts"),
    NOT_YET("proxy", "the proxy that the guest uses"),
    NOT_YET("ntp", "the time servers that the guest uses"),
    NOT_YET("timezone", "the guest's time zone"),
    NOT_YET("locale", "the guest's language"),
    NOT_YET("checks", "what must hold before an instance counts as ready"),
    NOT_YET("load_balancer", "which load balancer the distribution uses"),
    END};
const struct type recipe_type = {.label = "recipe", .shapes = SHAPE_MAP, .keys = recipe_keys};
