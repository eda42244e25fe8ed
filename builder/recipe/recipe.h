/* A recipe as a typed value: what recipes.md calls the recipe language, after includes, profiles,
 * overrides and defaults have been applied. Everything lives in one arena and is constant.
 *
 * Values that a message may have to name carry their place; `origin` says which file or option a
 * value came from (for `ingot plan --explain`).
 */
#ifndef INGOT_RECIPE_RECIPE_H
#define INGOT_RECIPE_RECIPE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>
#include <sys/types.h>

/* A string and where it was written. text is NULL where the key is absent. */
struct text_at {
    const char *text;
    struct place place;
};

struct text_list {
    const struct text_at *items;
    size_t count;
};

enum architecture { ARCH_AMD64, ARCH_ARM64 };
const char *architecture_name(enum architecture a); /* "amd64", as Debian and Go say */
const char *architecture_gnu(enum architecture a);  /* "x86_64", as the kernel and Alpine say */

/* Who must have signed something, by OpenPGP. */
struct openpgp {
    struct place place;
    const char *fingerprint;   /* full, upper case, without blanks */
    struct text_at key;        /* absolute host path or URL of the public key; text NULL: none was
                                  found under the names in `looked` */
    const char *const *looked; /* NULL at the end; NULL where a key was found */
    struct text_at signature;  /* absolute host path or URL of the detached signature */
};

/* How a fetched thing is verified. Exactly one kind. */
enum verify_kind {
    VERIFY_NONE,
    VERIFY_DIGEST,
    VERIFY_CHECKSUMS,
    VERIFY_OPENPGP,
    VERIFY_LOCK,
    VERIFY_APK /* no recipe says this: a package that a signed index of apk lists */
};
struct verify {
    enum verify_kind kind;
    enum digest_kind digest_kind;  /* VERIFY_DIGEST */
    const char *digest;            /* lower-case hexadecimal */
    const char *checksums;         /* VERIFY_CHECKSUMS: URL or path of a checksum file (sha256sum or
                                      sha512sum format, or a bare digest) */
    const struct openpgp *openpgp; /* VERIFY_CHECKSUMS: over the checksum file, or NULL;
                                      VERIFY_OPENPGP: over the thing itself */
    const char *apk_checksum;      /* VERIFY_APK: see resolve/apk_package.h */
    struct place place;
};

/* Where a profile's thing says that there is something newer (recipes/bases, distributions). */
enum update_kind {
    UPDATE_NONE,
    UPDATE_ALPINE,
    UPDATE_SIMPLESTREAMS,
    UPDATE_GITHUB,
    UPDATE_CHANNEL
};
struct update_source {
    enum update_kind kind;
    struct place place;
    const char *url;     /* releases.json, streams index, channels; github: the API's URL. These and
                            `folder` may be absolute host paths */
    const char *folder;  /* ALPINE: URL of the folder that lists the images */
    const char *product; /* SIMPLESTREAMS: product name; ALPINE: branch; CHANNEL: its id */
    const char *item;    /* SIMPLESTREAMS: file type, "disk1.img" */
};

enum base_kind { BASE_IMAGE, BASE_BOOTSTRAP };
enum firmware { FIRMWARE_BIOS, FIRMWARE_UEFI }; /* BIOS: bases that boot with both say BIOS */
struct base {
    enum base_kind kind;
    struct place place;
    const char *profile; /* its name, or NULL for one written in the recipe */
    /* BASE_IMAGE */
    struct text_at image; /* URL (http, https, file) or absolute path */
    struct verify verify;
    const char *format; /* "qcow2", "raw", or NULL: by its first bytes, and only those two */
    /* BASE_BOOTSTRAP */
    struct text_at suite; /* "bookworm" */
    struct text_list packages;
    struct text_at mirror; /* URL, or NULL: the host's own apt sources for that suite */
    /* both */
    struct text_at os; /* "debian", "alpine", "ubuntu"; NULL: an image of which nobody said it */
    const char *init;  /* "systemd", "openrc"; NULL: not known before the facts of the image */
    enum firmware firmware;
    const char *seed;             /* "cloud-init", "tiny-cloud" or "none" */
    const char *user;             /* login name that the image is made for, or NULL */
    struct update_source updates; /* of the profile, where its image is used; UPDATE_NONE: none */
};

/* A file fetched for the guest. */
struct source {
    struct text_at url; /* URL or absolute path, `@{version}` and `@{arch}` already filled in */
    struct verify verify;
    const char *unpack;       /* NULL, or "tar", "zip": the archive's members go below `to` */
    struct text_list members; /* only these members; empty: all */
    struct text_at to;        /* absolute guest path (a file, or with unpack a folder) */
    mode_t mode;              /* of the file (0644 unless said); with unpack 0: as in the archive */
};

struct registry {
    struct text_at name;      /* "docker.io", "host:5000" */
    struct text_list mirrors; /* URLs, http:// or https:// */
    bool insecure, blocked;
};

struct inline_file {
    struct text_at path;    /* absolute guest path */
    struct text_at content; /* text, or NULL with source */
    struct text_at source;  /* absolute host path, or NULL with content */
    mode_t mode;            /* 0644 unless said */
    const char *owner;      /* "root", "user:group", "1000:1000" */
};

struct directory {
    struct text_at path;
    mode_t mode; /* 0755 unless said */
    const char *owner;
};

struct command_line { /* `run:`; a scalar is {"/bin/sh", "-c", scalar} */
    struct place place;
    const char *const *argv; /* NULL-terminated */
};

enum repository_kind { REPOSITORY_APT, REPOSITORY_APK };
struct repository {
    enum repository_kind kind;
    struct place place;
    const char *url;             /* http, https or file */
    const char *suite;           /* apt; ends in "/" for a flat one */
    struct text_list components; /* apt */
    struct text_at key;          /* absolute host path or URL of the public key */
    const char *fingerprint;     /* apt: full fingerprint that the key must have, or NULL */
};

struct sysctl {
    struct text_at name, value;
};

struct port_forward { /* host:guest as Compose writes it; ranges have count > 1 */
    struct place place;
    const char *address; /* listen address on the host; "127.0.0.1" unless said */
    unsigned host, guest, count;
    bool udp;
};

struct boot {
    uint64_t memory;       /* bytes; 0: the contract's recommended */
    unsigned memory_share; /* percent of the host's, 0: none; then min and max hold */
    uint64_t memory_min, memory_max;
    unsigned cpus; /* 0: default */
    struct text_at user;
    struct text_at hostname;
    struct text_list ssh_keys;         /* public keys, literal (paths are read by inputs) */
    struct text_list ssh_key_files;    /* absolute host paths */
    struct text_at password_hash_file; /* absolute host path of a crypt(5) hash */
    const struct port_forward *ports;
    size_t port_count;
    struct text_at address, gateway; /* static IPv4: "10.0.0.50/24", "10.0.0.1" */
    struct text_list nameservers;
};

/* Settings of the distribution that the profile gives; see recipes/distributions/. */
struct distribution {
    struct text_at name;    /* "none" unless said */
    const char *version;    /* or NULL */
    const char *registries; /* "containers" (registries.conf v2), "k3s" (registries.yaml) or NULL */
    const char *unit, *kubeconfig;
    unsigned api_port;
    const char *const *never_baked; /* guest paths that must not exist in an image; ends in NULL */
    uint64_t memory_minimum, memory_recommended;
    const char *config_path;      /* where `config:` is written, or NULL */
    const char *config_text;      /* that file (YAML), or NULL */
    struct update_source updates; /* UPDATE_NONE: nobody says what its newest version is */
};

enum output { OUTPUT_QCOW2 = 1, OUTPUT_CIDATA = 2, OUTPUT_RAW = 4, OUTPUT_VMDK = 8 };

struct recipe {
    struct arena *arena;
    const char *file; /* as the user named it, for messages */
    const char *dir;  /* absolute folder of the recipe */
    struct text_at name;
    const char *version; /* or NULL */
    const char *title;   /* NAME or NAME-VERSION: the folder below out/ */
    enum architecture arch;
    struct base base;
    struct distribution distribution;
    uint64_t disk; /* bytes; 0: as the base has it */
    struct place disk_place;
    unsigned outputs;        /* enum output */
    const char *compression; /* "zstd", "zlib", "none" */
    struct text_list packages;
    bool recommends; /* apt's Recommends, off unless asked */
    const struct repository *repositories;
    size_t repository_count;
    /* Absolute host folders, in the order in which they are laid. One with nothing but `common`,
     * `systemd` and `openrc` in it is laid as common and the init system's own, any other as it is.
     */
    struct text_list overlays;
    const struct inline_file *files;
    size_t file_count;
    const struct directory *directories;
    size_t directory_count;
    const struct registry *registries;
    size_t registry_count;
    const struct source *sources;
    size_t source_count;
    const struct command_line *run;
    size_t run_count;
    struct text_list services_enable, services_disable;
    struct text_list modules;
    const struct sysctl *sysctls;
    size_t sysctl_count;
    struct text_list setuid; /* guest paths that may be set-uid or set-gid */
    const struct template_value {
        const char *name, *value;
    } * template_values;
    size_t template_value_count; /* what @{name} may say in NAME.in files */
    struct boot boot;
    /* Every file read to make this value: recipe, includes, profiles. Absolute paths. */
    const char *const *read_files;
    size_t read_file_count;
    /* Key path ("boot.memory") to where its value came from, for --explain. */
    const struct provenance {
        const char *path, *value, *origin;
    } * provenance;
    size_t provenance_count;
};

/* `--set K=V`, or INGOT_SET_a__b=V for the key a.b. K is a dotted path of keys; one with dots in it
 * stands in double quotes, as in registries."docker.io".insecure; a `+` at the end appends to a
 * list. V is a YAML scalar or flow value. Relative paths in it start from the current folder. */
struct recipe_override {
    const char *path, *value;
    const char *origin; /* the place in messages: "--set disk=8GB", "INGOT_SET_disk" */
};

struct recipe_options {
    const struct recipe_override *overrides; /* in ascending precedence */
    size_t override_count;
    const char *const *search; /* folders in which names are looked up after the recipe's own; NULL
                                  at the end */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };
struct diagnostic {
    enum severity severity;
    struct place place;
    const char *key; /* "base.verify", or "" */
    const char *message;
};
struct diagnostics {
    struct arena *arena; /* messages live here; given by the caller */
    struct diagnostic *items;
    size_t count;
    size_t errors;
};

/* Reads a recipe with all that it includes. All errors and warnings of all files go to `found`;
 * *out is set only if there was no error. False without a diagnostic only where there is no
 * such file; with diagnostics, err holds the first error and how many more there are (ERROR_INPUT;
 * too new a recipe language is ERROR_UNSUPPORTED). Free with recipe_free. */
bool recipe_load(const char *path, const struct recipe_options *options, struct recipe **out,
                 struct diagnostics *found, struct error **err) must_check;
void recipe_free(struct recipe *r);

/* The file that RECIPE on a command line means: a path if it has a slash or ends in .yaml, else
 * NAME.yaml in the search folders. ERROR_INPUT names the folders searched and near misses. Free. */
bool recipe_find(const char *given, const char *const *search, char **path, struct error **err)
    must_check;

/* What can be looked up by name in a folder F: recipes are F/NAME.yaml, bases F/bases/NAME.yaml,
 * distributions F/distributions/NAME.yaml, overlays the folders F/overlays/NAME and, where F is
 * called `recipes`, F/../overlays/NAME. */
enum recipe_lookup { LOOKUP_RECIPE, LOOKUP_BASE, LOOKUP_DISTRIBUTION, LOOKUP_OVERLAY };
/* All names of a kind in the search folders, sorted; place.file is the file. Lives in the arena. */
struct text_list recipe_names(struct arena *a, const char *const *search, enum recipe_lookup kind);

/* Splits the text of --set. ERROR_USAGE if it has no `=` or no key. */
bool recipe_override_parse(struct arena *a, const char *text, struct recipe_override *out,
                           struct error **err) must_check;
/* The INGOT_SET_… variables of an environment (as in environ(7)), sorted by name. */
void recipe_overrides_from_environment(struct arena *a, char *const *environment,
                                       struct recipe_override **out, size_t *count);

/* JSON Schema (draft 2020-12) of the recipe language, made from the key table. Caller owns it. */
json_t *recipe_schema(void);
/* The same for profiles: LOOKUP_BASE, LOOKUP_DISTRIBUTION. */
json_t *recipe_profile_schema(enum recipe_lookup kind);
/* The reference of docs/recipe.md, made from the key table: Markdown. Free it. */
char *recipe_reference(void);

static inline void cleanup_recipe(struct recipe **r)
{
    recipe_free(*r);
}
#define autorecipe cleanup(cleanup_recipe)

#endif
