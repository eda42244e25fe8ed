/* The key table: every key of recipes and profiles, with its type, help and default, and where its
 * value goes. The parser, the schema and the reference are all made from it.
 */
#ifndef INGOT_RECIPE_KEYS_H
#define INGOT_RECIPE_KEYS_H

#include "recipe/diagnostics.h"
#include "recipe/node.h"

struct binder;
struct key;

enum shape { SHAPE_SCALAR = 1, SHAPE_LIST = 2, SHAPE_MAP = 4 };

/* Which plain scalars are taken. Quoted ones are text and taken by all but SCALARS_INTEGER and
 * SCALARS_BOOL. */
enum scalars {
    SCALARS_TEXT,    /* numbers, true and false must be quoted to be text */
    SCALARS_NUMBERS, /* text that may look like a number: versions, sizes, sysctls */
    SCALARS_QUOTED,  /* must be quoted: octal modes */
    SCALARS_INTEGER,
    SCALARS_BOOL,
};

struct type {
    const char *label;   /* for the reference: "size", "list of packages" */
    const char *example; /* for the reference, or NULL */
    unsigned shapes;     /* enum shape */

    enum scalars scalars;
    bool (*check)(const char *text, const char **why); /* of a scalar; NULL: any */
    const char *const *choices;                        /* of a scalar; ends in NULL */
    const char *const *choices_not_yet;                /* known, and refused with "not yet" */
    unsigned minimum, maximum;                         /* SCALARS_INTEGER */
    const char *pattern; /* of a scalar, for the schema: what editors can check */

    const struct key *keys;   /* SHAPE_MAP: a record; ends in a NULL name */
    const char *scalar_key;   /* a scalar means a record with this key */
    const char *const *whole; /* a record that has one of these replaces an included one whole */
    const char *const *whole_if_new; /* the same, where the included one has it not */

    const struct type *item; /* SHAPE_LIST, or SHAPE_MAP without `keys`: of the values */
    const struct type *name; /* SHAPE_MAP without `keys`: of the names */
    size_t item_size;        /* at the key's offset stand a pointer to items and their count;
                                in a map the item starts with the name, a struct text_at */
    bool one_is_list;        /* a single scalar is a list of one */
    bool any;                /* whatever YAML there is, kept as a node */

    /* Stores the value (of the shapes allowed, checked) at `out`. NULL: by shape. */
    void (*read)(struct binder *b, const struct node *n, const char *path, void *out);
    /* After a record or list has been stored: checks across its keys. */
    void (*finish)(struct binder *b, const struct node *n, const char *path, void *out);
};

struct key {
    const char *name;
    const struct type *type;
    size_t offset;         /* into the structure of the record that the key stands in */
    const char *help;      /* one line */
    const char *fallback;  /* YAML of the default, stored where the key is absent; or NULL */
    const char *otherwise; /* words about the default where it is no constant */
    const char *not_yet;   /* the key is known, and refused: what it will say one day */
    bool required;
};

/* --- what recipes are bound to before they become struct recipe ----------------------------------
 */

struct node_at { /* a value of any shape */
    const struct node *node;
};

struct source_draft {
    struct source source; /* url as written */
    const char *dir;      /* where a relative url starts */
};

/* What a distribution profile, or one of its sections, adds. */
struct additions {
    struct text_list packages, overlays, modules, services_enable, services_disable;
    const struct sysctl *sysctls;
    size_t sysctl_count;
    const struct source_draft *sources;
    size_t source_count;
};

struct base_draft {
    struct text_at name; /* of a profile */
    struct text_at image;
    struct verify verify;
    struct text_at format, firmware, seed, user, os, init;
    bool bootstrap; /* the map is there */
    struct place bootstrap_place;
    struct text_at bootstrap_os, suite, mirror;
    struct text_list packages;
    struct update_source updates;
};

struct image_draft { /* of a base profile, for one architecture */
    struct text_at arch;
    struct text_at image;
    struct verify verify;
    struct text_at format;
    struct text_list firmware; /* the first unless a recipe says another */
};

struct base_profile {
    struct text_at summary;
    struct base_draft base;
    const struct image_draft *images;
    size_t image_count;
};

enum distribution_section {
    SECTION_SYSTEMD,
    SECTION_OPENRC,
    SECTION_ALPINE,
    SECTION_DEBIAN,
    SECTION_UBUNTU,
    SECTION_AMD64,
    SECTION_ARM64,
    SECTIONS
};
extern const char *const section_names[SECTIONS];

struct distribution_profile {
    struct text_at summary, version, registries, config_path, unit, kubeconfig;
    struct node_at config;
    unsigned api_port;
    struct text_list never_baked;
    uint64_t memory_minimum, memory_recommended;
    struct additions always, sections[SECTIONS];
    struct update_source updates;
};

struct draft {
    struct recipe recipe; /* what can be stored at once */
    unsigned language;
    struct text_at version, compression;
    struct text_list arch, outputs, overlays, ssh_keys;
    struct base_draft base;
    struct text_at distribution_version;
    struct node_at distribution_config;
    const struct source_draft *sources;
    size_t source_count;
    struct place memory_place;
};

extern const struct type recipe_type, base_profile_type, distribution_profile_type;

/* --- types shared by the tables (values.c) -------------------------------------------------------
 */

extern const struct type type_name, type_version, type_line, type_summary, type_guest_path,
    type_host_path, type_url_or_path, type_http_url, type_size, type_bool, type_mode, type_owner,
    type_hostname, type_user, type_ipv4, type_ipv4_prefix, type_count, type_port_number,
    type_percent, type_suite, type_fingerprint, type_content, type_any, type_any_map, type_os,
    type_init, type_format, type_firmware, type_seed, type_architecture, type_registries_format,
    type_plain_text;
extern const struct type type_packages, type_overlays, type_modules, type_service_names,
    type_nameservers, type_suites, type_guest_paths, type_members;
/* Composite values that recipes and profiles share (composites.c). */
extern const struct type type_verify, type_base_verify, type_sources, type_sysctls, type_services,
    type_repositories, type_files, type_directories, type_registries, type_commands, type_ports,
    type_bootstrap;

/* False, with an error, if openpgp lacks what it cannot be without. For type_base_verify, which a
 * profile may complete. */
bool verify_complete(const struct verify *v, struct diagnostics *found, const char *path)
    must_check;

/* The key of that name, or NULL. */
const struct key *keys_find(const struct key *keys, const char *name, size_t length);
bool key_is_list(const struct key *k);

#endif
