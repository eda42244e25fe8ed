/* What a build comes to, as a lock: put together, compared with the one that was there, written and
 * said. */
#include "ingot/pins.h"

#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/text.h"
#include "ingot/pipeline.h"

#include <string.h>
#include <unistd.h>

#define MANY 20 /* changes of one kind that are said one by one */

/* --- what it comes to ---------------------------------------------------------------------------
 */

static int compare_source(const void *x, const void *y)
{
    const struct lock_source *a = x, *b = y;
    return strcmp(a->url, b->url);
}

static const struct lock_source *find(const struct lock_source *list, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].url, key) == 0)
            return &list[i];
    return NULL;
}

/* Once for each URL that is asked for: as it was fetched now, else as it was locked. */
static void collect(struct pipeline *p, const char *url, const struct lock_source *fetched,
                    size_t fetched_count, const struct lock_source *locked,
                    const struct lock_source **list, size_t *count)
{
    const char *key = lock_key(p->arena, url);
    const struct lock_source *s = find(fetched, fetched_count, key);
    if (!s)
        s = locked;
    if (s && !find(*list, *count, key))
        *list = arena_append_(p->arena, (void *)(uintptr_t)*list, count, sizeof *s, s);
}

static void sort(const struct lock_source *list, size_t count)
{
    if (count)
        qsort((void *)(uintptr_t)list, count, sizeof *list, compare_source);
}

static void put_sources(struct pipeline *p, struct lock_arch *next)
{
    const struct pins *k = &p->pins;
    for (size_t i = 0; i < p->plan->fetch_count; i++) {
        const struct plan_fetch *f = &p->plan->fetches[i];
        if (f->verify != &p->recipe->base.verify)
            collect(p, f->url, k->sources, k->source_count, lock_find_source(&k->now, f->url),
                    &next->sources, &next->source_count);
    }
    for (size_t i = 0; i < p->recipe->repository_count; i++) {
        const char *key = p->recipe->repositories[i].key.text;
        if (key && key[0] != '/')
            collect(p, key, k->keys, k->key_count, lock_find_key(&k->now, key), &next->keys,
                    &next->key_count);
    }
    sort(next->sources, next->source_count);
    sort(next->keys, next->key_count);
}

static void put_base(struct pipeline *p, struct lock_arch *next)
{
    const struct base *base = &p->recipe->base;
    if (base->kind == BASE_IMAGE)
        next->base = p->pins.base.url ? p->pins.base : p->pins.now.base;
    else if (p->bootstrap == pins_of_bootstrap(p))
        next->bootstrap = p->pins.now.bootstrap;
    else
        next->bootstrap = (struct lock_packages){
            .os = base->os.text,
            .suite = base->suite.text,
            .mirror = base->mirror.text,
            .wanted = p->bootstrap_wanted,
            .repositories = "",
            .snapshot = p->bootstrap_snapshot,
            .resolution = p->bootstrap,
        };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Packages that the recipe asks for and the base has. */
static const char *const *list_present(struct pipeline *p)
{
    const struct text_list *asked = &p->recipe->packages;
    const char **list = arena_alloc(p->arena, (asked->count + 1) * sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < asked->count; i++) {
        bool there = true;
        for (size_t k = 0; p->plan->packages_wanted[k] && there; k++)
            there = strcmp(p->plan->packages_wanted[k], asked->items[i].text) != 0;
        for (size_t k = 0; k < n && there; k++)
            there = strcmp(list[k], asked->items[i].text) != 0;
        if (there)
            list[n++] = asked->items[i].text;
    }
    qsort(list, n, sizeof *list, compare_names);
    return list;
}

static void put_packages(struct pipeline *p, struct lock_arch *next)
{
    static const struct resolution nothing = {0};
    const char *const *wanted = p->plan->packages_wanted;
    if (!wanted || (wanted[0] && !p->resolution)) { /* they cannot be resolved here */
        if (p->pins.packages_renewed || pins_packages(p) == NULL)
            return;
        next->packages = p->pins.now.packages;
        return;
    }
    if (!wanted[0] && !p->recipe->packages.count)
        return;
    if (p->packages_pinned) {
        next->packages = p->pins.now.packages;
        return;
    }
    const char *repositories = pins_repositories(p);
    next->packages = (struct lock_packages){
        .wanted = wanted,
        .present = list_present(p),
        .recommends = p->recipe->recommends,
        .base = arena_strdup(p->arena, p->base_digest),
        .repositories = repositories ? repositories : "",
        .snapshot = wanted[0] ? p->snapshot : NULL,
        .resolution = wanted[0] ? p->resolution : &nothing,
    };
}

/* --- the difference -----------------------------------------------------------------------------
 */

struct changes {
    struct pipeline *p;
    struct pin_change *list;
    size_t count;
};

static void change(struct changes *c, const char *what, const char *name, const char *from,
                   const char *to)
{
    const struct pin_change one = {what, arena_strdup(c->p->arena, name),
                                   arena_strdup(c->p->arena, from), arena_strdup(c->p->arena, to)};
    if (from && to && strcmp(from, to) == 0)
        return;
    arena_append(c->p->arena, c->list, c->count, one);
}

static void compare_lists(struct changes *c, const char *what, const struct lock_source *old,
                          size_t old_count, const struct lock_source *new, size_t new_count)
{
    for (size_t i = 0; i < old_count; i++) {
        const struct lock_source *s = find(new, new_count, old[i].url);
        autofree char *name = lock_name(c->p->recipe->dir, old[i].url);
        change(c, what, name, old[i].sha256, s ? s->sha256 : NULL);
    }
    for (size_t i = 0; i < new_count; i++) {
        autofree char *name = lock_name(c->p->recipe->dir, new[i].url);
        if (!find(old, old_count, new[i].url))
            change(c, what, name, NULL, new[i].sha256);
    }
}

static int compare_name(const void *name, const void *package)
{
    return strcmp(name, ((const struct package *)package)->name);
}

static const struct package *find_package(const struct resolution *r, const char *name)
{
    return r && r->count ? bsearch(name, r->packages, r->count, sizeof *r->packages, compare_name)
                         : NULL;
}

static void compare_packages(struct changes *c, const char *what, const struct resolution *old,
                             const struct resolution *new)
{
    for (size_t i = 0; old && i < old->count; i++) {
        const struct package *a = &old->packages[i], *b = find_package(new, a->name);
        if (b && strcmp(a->version, b->version) == 0)
            change(c, what, a->name, a->digest, b->digest);
        else
            change(c, what, a->name, a->version, b ? b->version : NULL);
    }
    for (size_t i = 0; new &&i < new->count; i++)
        if (!find_package(old, new->packages[i].name))
            change(c, what, new->packages[i].name, NULL, new->packages[i].version);
}

static void compare_bases(struct changes *c, const struct lock_arch *old,
                          const struct lock_arch *new)
{
    const struct lock_source *a = &old->base, *b = &new->base;
    compare_lists(c, "base", a, a->url != NULL, b, b->url != NULL);
    compare_packages(c, "base package", old->bootstrap.resolution, new->bootstrap.resolution);
}

static void compare(struct pipeline *p, const struct lock_arch *next)
{
    struct changes c = {.p = p};
    const struct lock_arch *old = &p->pins.was;
    compare_bases(&c, old, next);
    compare_lists(&c, "source", old->sources, old->source_count, next->sources, next->source_count);
    compare_lists(&c, "key", old->keys, old->key_count, next->keys, next->key_count);
    compare_packages(&c, "package", old->packages.resolution, next->packages.resolution);
    p->pins.changes = c.list;
    p->pins.change_count = c.count;
}

/* --- said and written ---------------------------------------------------------------------------
 */

static void say(const struct pin_change *c, const char *name)
{
    if (!c->from)
        log_info("added to %s: %s %s (%s)", name, c->what, c->name, c->to);
    else if (!c->to)
        log_info("no longer needed in %s: %s %s (%s)", name, c->what, c->name, c->from);
    else
        log_info("%s: %s %s: %s → %s", name, c->what, c->name, c->from, c->to);
}

/* Of many packages of one kind only how many. */
static void say_changes(const struct pipeline *p)
{
    const struct pins *k = &p->pins;
    const char *name = path_basename(k->path);
    for (size_t i = 0; i < k->change_count;) {
        size_t end = i;
        while (end < k->change_count && strcmp(k->changes[end].what, k->changes[i].what) == 0)
            end++;
        bool all_new = true;
        for (size_t n = i; n < end; n++)
            all_new = all_new && !k->changes[n].from;
        if (all_new && end - i > MANY)
            log_info("added to %s: %zu %ss", name, end - i, k->changes[i].what);
        else
            for (size_t n = i; n < end; n++)
                say(&k->changes[n], name);
        i = end;
    }
}

static void say_first_uses(const struct pipeline *p)
{
    const char *then = pins_forbidden(p) ? "no lock says what it must be next time"
                                         : "from now on it must be this";
    for (size_t i = 0; i < p->pins.first_use_count; i++)
        log_warning("first use: %s: nothing published vouches for it, and %s", p->pins.first_use[i],
                    then);
}

void pins_say_unpinned(const struct pipeline *p)
{
    for (size_t i = 0; i < p->plan->fetch_count; i++) {
        const struct plan_fetch *f = &p->plan->fetches[i];
        const struct lock_source *pin;
        if (f->verify->kind != VERIFY_LOCK || !pins_of(p, f->url, f->verify, &pin, NULL) || pin)
            continue;
        autofree char *name = lock_name(p->recipe->dir, f->url);
        log_warning("%s: nothing published vouches for it, and no lock says what it must be: %s",
                    name, pins_forbidden(p));
    }
}

const char *pins_forbidden(const struct pipeline *p)
{
    autofree char *folder = path_dirname(p->pins.path);
    if (p->session->overridden)
        return "the recipe is overridden by --set or INGOT_SET_…";
    if (access(folder, W_OK) != 0)
        return "its folder cannot be written";
    return NULL;
}

/* Held while the file is read again and written: what another ingot has locked meanwhile for
 * another architecture stays. */
static int hold(const struct pipeline *p, struct error **err)
{
    autofree char *name = NULL;
    if (asprintf(&name, "lock\n%s", p->pins.path) < 0)
        abort();
    return store_lock(p->session->store, name, NULL, err);
}

static bool write_lock(struct pipeline *p, const struct lock_arch *next, struct error **err)
{
    struct pins *k = &p->pins;
    const struct lock *there;
    autoclose int held = hold(p, err);
    if (held < 0 || !lock_read(p->arena, k->path, &there, err))
        return false;
    struct lock l = there ? *there : (struct lock){.epoch = p->epoch};
    autofree char *before = there ? lock_text(there, p->recipe->dir) : strdup("");
    l.arch[p->recipe->arch] = *next;
    autofree char *after = lock_text(&l, p->recipe->dir);
    if (strcmp(before, after) == 0)
        return true;
    const char *why = pins_forbidden(p);
    if (why) {
        log_warning("%s is not written: %s", k->path, why);
        return true;
    }
    autoerror struct error *failed = NULL;
    if (lock_write(&l, k->path, &k->written, &failed))
        return true;
    k->written = false;
    if (error_kind(failed) != ERROR_HOST)
        return error_set(err, error_kind(failed), "%s", error_text(failed));
    log_warning("%s is not written: %s", k->path, error_text(failed));
    return true;
}

bool pins_finish(struct pipeline *p, struct error **err)
{
    struct lock_arch next = {.present = true};
    put_base(p, &next);
    put_sources(p, &next);
    put_packages(p, &next);
    p->pins.next = next;
    if (p->options->locked)
        return pins_check(p, err);
    compare(p, &next);
    progress_done();
    if (!write_lock(p, &next, err))
        return false;
    if (p->pins.written && p->pins.read)
        say_changes(p);
    if (p->pins.written && !p->pins.read)
        log_info("wrote %s: every later build takes the same", p->pins.path);
    say_first_uses(p);
    if (p->pins.written)
        store_add_root(p->session->store, p->pins.path);
    return true;
}

/* --- as files -----------------------------------------------------------------------------------
 */

struct files {
    struct arena *arena;
    struct pin_file *list;
    size_t count;
};

static void add_file(struct files *f, const char *what, const char *url, const char *sha256,
                     uint64_t size)
{
    const struct pin_file one = {what, url, sha256, size};
    if (url && sha256)
        arena_append(f->arena, f->list, f->count, one);
}

static void add_sources(struct files *f, const char *what, const struct lock_source *list,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_file(f, what, list[i].url, list[i].sha256, list[i].size);
}

bool pins_is_apk_index(const struct index_pin *pin)
{
    return text_ends_with(pin->url, "/APKINDEX.tar.gz");
}

static void add_packages(struct files *f, const struct resolution *r)
{
    for (size_t i = 0; r && i < r->count; i++)
        if (r->packages[i].digest_kind == DIGEST_SHA256)
            add_file(f, "package", r->packages[i].url, r->packages[i].digest, r->packages[i].size);
    for (size_t i = 0; r && i < r->index_count; i++)
        if (pins_is_apk_index(&r->indexes[i]))
            add_file(f, "index", r->indexes[i].url, r->indexes[i].digest, 0);
}

struct pin_file *pins_files(struct arena *a, const struct lock_arch *l, size_t *count)
{
    struct files f = {.arena = a};
    add_sources(&f, "base", &l->base, l->base.url != NULL);
    add_packages(&f, l->bootstrap.resolution);
    add_sources(&f, "source", l->sources, l->source_count);
    add_sources(&f, "key", l->keys, l->key_count);
    add_packages(&f, l->packages.resolution);
    *count = f.count;
    return f.list;
}
