/* What the profile of the distribution brings, and what the recipe says beside it. */
#include "recipe/finish.h"

#include "recipe/check.h"
#include "recipe/find.h"
#include "recipe/merge.h"
#include "recipe/yaml.h"

#include <string.h>

static bool contains(const struct text_at *items, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].text, text) == 0)
            return true;
    return false;
}

/* Adds those of `more` that are not in the list yet and not in `except`. */
static void add_texts(struct arena *a, struct text_list *list, const struct text_list *more,
                      const struct text_list *except)
{
    struct text_at *items = NULL;
    size_t count = 0;
    const struct text_list *both[] = {list, more};
    for (size_t k = 0; k < COUNT(both); k++)
        for (size_t i = 0; i < both[k]->count; i++) {
            const struct text_at *t = &both[k]->items[i];
            bool not_wanted = k == 1 && except && contains(except->items, except->count, t->text);
            if (!not_wanted && !contains(items, count, t->text))
                arena_append(a, items, count, *t);
        }
    *list = (struct text_list){items, count};
}

static void add_sysctls(struct arena *a, struct recipe *r, const struct additions *more)
{
    struct sysctl *items = NULL;
    size_t count = 0;
    for (size_t i = 0; i < r->sysctl_count; i++)
        arena_append(a, items, count, r->sysctls[i]);
    for (size_t i = 0; i < more->sysctl_count; i++) {
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(items[k].name.text, more->sysctls[i].name.text) == 0;
        if (!known)
            arena_append(a, items, count, more->sysctls[i]);
    }
    r->sysctls = items;
    r->sysctl_count = count;
}

static void add_sources(struct finish *f, const struct source_draft *drafts, size_t draft_count,
                        const char *version)
{
    struct recipe *r = &f->draft->recipe;
    struct source *items = NULL;
    size_t count = 0;
    for (size_t i = 0; i < r->source_count; i++)
        arena_append(f->binder->arena, items, count, r->sources[i]);
    for (size_t i = 0; i < draft_count; i++) {
        struct source s = drafts[i].source;
        if (!s.url.text)
            continue; /* reported */
        s.url.text = finish_fill(f, s.url, "sources", version);
        finish_verify(f, &s.verify, s.url.text, "sources", version);
        arena_append(f->binder->arena, items, count, s);
    }
    r->sources = items;
    r->source_count = count;
}

/* What has been collected from the profile, in its order, before the recipe's own is added. */
static void collect(struct arena *a, struct additions *all, const struct additions *more)
{
    add_texts(a, &all->packages, &more->packages, NULL);
    add_texts(a, &all->overlays, &more->overlays, NULL);
    add_texts(a, &all->modules, &more->modules, NULL);
    add_texts(a, &all->services_enable, &more->services_enable, NULL);
    add_texts(a, &all->services_disable, &more->services_disable, NULL);
    struct sysctl *sysctls = NULL;
    size_t count = 0;
    for (size_t i = 0; i < more->sysctl_count; i++)
        arena_append(a, sysctls, count, more->sysctls[i]); /* the more special first */
    for (size_t i = 0; i < all->sysctl_count; i++)
        arena_append(a, sysctls, count, all->sysctls[i]);
    all->sysctls = sysctls;
    all->sysctl_count = count;
    struct source_draft *sources = NULL;
    count = 0;
    for (size_t i = 0; i < all->source_count; i++)
        arena_append(a, sources, count, all->sources[i]);
    for (size_t i = 0; i < more->source_count; i++)
        arena_append(a, sources, count, more->sources[i]);
    all->sources = sources;
    all->source_count = count;
}

static bool is_empty(const struct additions *x)
{
    return !x->packages.count && !x->overlays.count && !x->modules.count &&
           !x->services_enable.count && !x->services_disable.count && !x->sysctl_count &&
           !x->source_count;
}

/* The sections of the profile that this recipe's base and architecture have. */
static void collect_sections(struct finish *f, const struct distribution_profile *p,
                             struct additions *all)
{
    const struct recipe *r = &f->draft->recipe;
    const char *arch = architecture_name(r->arch);
    for (size_t i = 0; i < SECTIONS; i++) {
        bool by_init = i == SECTION_SYSTEMD || i == SECTION_OPENRC;
        bool by_arch = i == SECTION_AMD64 || i == SECTION_ARM64;
        const char *mine = by_init ? r->base.init : by_arch ? arch : r->base.os.text;
        if (is_empty(&p->sections[i]))
            continue;
        if (!mine)
            finish_error(f, r->base.place, "base", "say '%s': the distribution '%s' differs by it",
                         by_init ? "init" : "os", r->distribution.name.text);
        else if (strcmp(mine, section_names[i]) == 0)
            collect(f->binder->arena, all, &p->sections[i]);
    }
}

static void put_in_front(struct arena *a, struct text_list *list, const struct text_list *first,
                         const struct text_list *except)
{
    struct text_list both = {NULL, 0};
    add_texts(a, &both, first, except);
    add_texts(a, &both, list, NULL);
    *list = both;
}

static void add_to_recipe(struct finish *f, const struct additions *all, const char *version)
{
    struct arena *a = f->binder->arena;
    struct recipe *r = &f->draft->recipe;
    const struct text_list enable = r->services_enable, disable = r->services_disable;
    for (size_t i = 0; i < enable.count; i++)
        if (contains(disable.items, disable.count, enable.items[i].text))
            finish_error(f, enable.items[i].place, "services", "'%s' is to be enabled and disabled",
                         enable.items[i].text);
    put_in_front(a, &r->packages, &all->packages, NULL);
    put_in_front(a, &f->draft->overlays, &all->overlays, NULL);
    put_in_front(a, &r->modules, &all->modules, NULL);
    put_in_front(a, &r->services_enable, &all->services_enable, &disable);
    put_in_front(a, &r->services_disable, &all->services_disable, &enable);
    add_sysctls(a, r, all);
    add_sources(f, all->sources, all->source_count, version);
    add_sources(f, f->draft->sources, f->draft->source_count, NULL);
}

static void set_config(struct finish *f, const struct distribution_profile *p)
{
    struct arena *a = f->binder->arena;
    struct distribution *d = &f->draft->recipe.distribution;
    const struct node *own = f->draft->distribution_config.node;
    const struct node *config =
        own ? merge(a, NULL, p->config.node, own, f->binder->found) : p->config.node;
    d->config_path = p->config_path.text;
    if (own && own->count && !d->config_path)
        finish_error(f, own->place, "distribution.config", "the distribution '%s' reads none",
                     d->name.text);
    else if (config && config->count)
        d->config_text = document_write(a, config);
}

static void set_never_baked(struct arena *a, struct distribution *d, const struct text_list *paths)
{
    const char **items = arena_alloc(a, (paths->count + 1) * sizeof *items);
    for (size_t i = 0; i < paths->count; i++)
        items[i] = paths->items[i].text;
    d->never_baked = items;
}

void finish_distribution(struct finish *f)
{
    struct arena *a = f->binder->arena;
    struct distribution *d = &f->draft->recipe.distribution;
    struct distribution_profile p = {0};
    struct additions all = {0};
    if (!d->name.text)
        d->name = (struct text_at){"none", {f->draft->recipe.file, 0, 0}};
    bool none = strcmp(d->name.text, "none") == 0;
    if (!(none &&
          !find_named(a, f->draft->recipe.dir, f->options->search, LOOKUP_DISTRIBUTION, "none")) &&
        !finish_read_profile(f, LOOKUP_DISTRIBUTION, d->name, &distribution_profile_type, &p))
        return;
    struct text_at given = f->draft->distribution_version;
    if (given.text && !p.version.text)
        finish_error(f, given.place, "distribution.version",
                     "the distribution '%s' comes from the system's packages, in their version",
                     d->name.text);
    d->version = given.text ? given.text : p.version.text;
    d->registries = p.registries.text;
    d->unit = p.unit.text;
    d->kubeconfig = p.kubeconfig.text;
    d->api_port = p.api_port;
    d->memory_minimum = p.memory_minimum;
    d->memory_recommended = p.memory_recommended;
    d->updates = p.updates;
    finish_updates(f, &d->updates, "distribution.updates", d->version);
    set_never_baked(a, d, &p.never_baked);
    set_config(f, &p);
    collect(a, &all, &p.always);
    collect_sections(f, &p, &all);
    add_to_recipe(f, &all, d->version);
    const struct recipe *r = &f->draft->recipe;
    if (r->registry_count && !d->registries)
        finish_error(f, r->registries[0].name.place, "registries",
                     "the distribution '%s' reads no configuration of registries", d->name.text);
}
