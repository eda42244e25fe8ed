/* What a base is made of: the packages that are wanted, the sources, and what apt makes of both. */
#include "bake/bootstrap_files.h"
#include "bake/bootstrap_internal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "resolve/apt.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { MAX_KEYRING = 1 << 20 };

const char bootstrap_keyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";

static int compare_names(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Debian policy 5.6.7 */
static bool is_package_name(const char *s)
{
    if (!isalnum((unsigned char)s[0]) || !s[1])
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr("+-.", *s))
            return false;
    return true;
}

static bool is_suite(const char *s)
{
    if (!islower((unsigned char)s[0]))
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr("-.", *s))
            return false;
    return true;
}

static bool collect_packages(const struct bootstrap *b, struct bootstrap_inputs *in,
                             struct error **err)
{
    if (!bootstrap_platform_find(b->architecture, &in->platform, err))
        return false;
    arena_append(in->arena, in->packages, in->count, in->platform->kernel);
    for (const char *const *p = bootstrap_packages; *p; p++)
        arena_append(in->arena, in->packages, in->count, *p);
    for (const char *const *p = b->packages; p && *p; p++) {
        if (!is_package_name(*p))
            return error_set(err, ERROR_INPUT, "\"%s\" is not the name of a Debian package", *p);
        arena_append(in->arena, in->packages, in->count, *p);
    }
    qsort(in->packages, in->count, sizeof *in->packages, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++)
        if (!kept || strcmp(in->packages[kept - 1], in->packages[i]) != 0)
            in->packages[kept++] = in->packages[i];
    in->count = kept;
    const char *end = NULL;
    arena_append(in->arena, in->packages, kept, end);
    return true;
}

/* The host's sources of the suite, its updates and its security archive. */
static bool host_sources(const struct bootstrap *b, struct arena *a, struct apt_sources *used,
                         struct error **err)
{
    struct apt_sources all = {0};
    const struct apt_selection selection = {.suite = b->suite,
                                            .architecture = b->architecture,
                                            .keyring = bootstrap_keyring,
                                            .lists = "/var/lib/apt/lists"};
    if (!apt_sources_read(a, "/etc/apt", &all, err))
        return error_wrap(err, "cannot read the host's apt sources");
    apt_sources_select(a, &all, &selection, used);
    return true;
}

/* What apt is to read: the mirror alone, or the host's sources. */
static bool collect_sources(const struct bootstrap *b, struct bootstrap_inputs *in,
                            struct error **err)
{
    if (b->mirror) {
        const struct apt_source one = {.uri = b->mirror,
                                       .suite = b->suite,
                                       .components = "main",
                                       .signed_by = bootstrap_keyring};
        arena_append(in->arena, in->used.items, in->used.count, one);
    } else if (!host_sources(b, in->arena, &in->used, err)) {
        return false;
    }
    if (!in->used.count)
        return error_set(err, ERROR_INPUT,
                         "this host has no apt source of %s %s: name one in the recipe, "
                         "bootstrap: {mirror: URL}",
                         b->os, b->suite);
    in->sources = apt_sources_deb822(in->arena, &in->used);
    return true;
}

/* --- the sources that the guest keeps -----------------------------------------------------------
 */

/* 0 for the suite, 1 for its updates, 2 for its security archive: their order in the guest. */
static int rank(const struct bootstrap *b, const char *suite)
{
    static const char *const tails[] = {"", "-updates", "-security"};
    size_t n = strlen(b->suite);
    for (size_t i = 0; strncmp(suite, b->suite, n) == 0 && i < COUNT(tails); i++)
        if (strcmp(suite + n, tails[i]) == 0)
            return (int)i;
    return -1;
}

/* ARCHIVE/dists/SUITE/COMPONENT/binary-ARCH/Packages taken apart. */
static bool source_of_pin(const struct bootstrap *b, struct arena *a, const struct index_pin *pin,
                          struct apt_source *s, struct error **err)
{
    static const char below[] = "dists/";
    size_t n = pin->archive ? strlen(pin->archive) : 0;
    const char *rest = n > 1 && strncmp(pin->url, pin->archive, n) == 0 ? pin->url + n : "";
    const char *suite = text_starts_with(rest, below) ? rest + strlen(below) : "";
    const char *component = strchr(suite, '/'), *end = strstr(suite, "/binary-");
    if (!component || !end || end <= component + 1)
        return error_set(err, ERROR_INPUT, "%s is no package index of a base", pin->url);
    *s = (struct apt_source){.uri = arena_strndup(a, pin->archive, n - 1),
                             .suite = arena_strndup(a, suite, (size_t)(component - suite)),
                             .components =
                                 arena_strndup(a, component + 1, (size_t)(end - component) - 1),
                             .signed_by = bootstrap_keyring};
    const char *why = apt_uri_refused(s->uri);
    if (why)
        return error_set(err, ERROR_INPUT, "the package index %s cannot be kept: %s", pin->url,
                         why);
    for (const char *c = s->components; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-/._", *c))
            return error_set(err, ERROR_INPUT, "%s is no package index of a base", pin->url);
    return rank(b, s->suite) >= 0 ||
           error_set(err, ERROR_INPUT, "the package index %s is of another suite than %s", pin->url,
                     b->suite);
}

/* A mirror that signs anew is known by the host's keyring. */
static void take_keyring(const struct apt_sources *host, struct apt_source *s)
{
    size_t n = strlen(s->uri);
    for (size_t i = 0; i < host->count; i++) {
        const struct apt_source *h = &host->items[i];
        if (strcmp(h->suite, s->suite) != 0 || strncmp(h->uri, s->uri, n) != 0 ||
            h->uri[n + strspn(h->uri + n, "/")])
            continue;
        s->signed_by = h->signed_by;
        s->key = h->key;
    }
}

/* The archives that the packages are of, whatever the host's sources are by now: the same lock
 * gives the same image on another host. */
bool bootstrap_pinned_sources(const struct bootstrap *b, struct bootstrap_inputs *in,
                              struct error **err)
{
    struct apt_sources host = {0}, found = {0};
    autoerror struct error *ignored = NULL;
    if (!b->mirror && !host_sources(b, in->arena, &host, &ignored))
        log_debug("%s", error_text(ignored));
    for (size_t i = 0; i < b->resolution->index_count; i++) {
        struct apt_source s;
        size_t k = 0;
        if (!source_of_pin(b, in->arena, &b->resolution->indexes[i], &s, err))
            return false;
        while (k < found.count && (strcmp(found.items[k].uri, s.uri) != 0 ||
                                   strcmp(found.items[k].suite, s.suite) != 0))
            k++;
        take_keyring(&host, &s);
        if (k == found.count)
            arena_append(in->arena, found.items, found.count, s);
        else
            found.items[k].components =
                arena_printf(in->arena, "%s %s", found.items[k].components, s.components);
    }
    for (int order = 0; order < 3; order++)
        for (size_t i = 0; i < found.count; i++)
            if (rank(b, found.items[i].suite) == order)
                arena_append(in->arena, in->used.items, in->used.count, found.items[i]);
    in->sources = apt_sources_deb822(in->arena, &in->used);
    return in->used.count || error_set(err, ERROR_INPUT, "no package index of the base is pinned");
}

bool bootstrap_collect(const struct bootstrap *b, struct bootstrap_inputs *in, struct error **err)
{
    if (strcmp(b->os, "debian") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a base of \"%s\" cannot be made from packages: only debian can", b->os);
    if (!is_suite(b->suite))
        return error_set(err, ERROR_INPUT, "\"%s\" is not the name of a suite, such as bookworm",
                         b->suite);
    const char *why = b->mirror ? apt_uri_refused(b->mirror) : NULL;
    if (why)
        return error_set(err, ERROR_INPUT, "the mirror's URL cannot be used: %s", why);
    return collect_packages(b, in, err);
}

bool bootstrap_wanted(const struct bootstrap *b, struct arena *a, const char *const **out,
                      struct error **err)
{
    struct bootstrap_inputs in = {.arena = a};
    if (!collect_packages(b, &in, err))
        return false;
    *out = in.packages;
    return true;
}

/* --- resolving ----------------------------------------------------------------------------------
 */

static bool put(const char *guest, const char *path, const char *bytes, size_t size,
                struct error **err)
{
    autofree char *file = path_join(guest, path), *folder = path_dirname(file);
    return file_make_dirs(folder, 0700, err) && file_write(file, bytes, size, 0600, err);
}

/* The host's keyrings, where apt will look for them: below the guest's folder. */
static bool put_keyrings(const struct bootstrap_inputs *in, const char *guest, struct error **err)
{
    for (size_t i = 0; i < in->used.count; i++) {
        const char *path = in->used.items[i].signed_by;
        autofree char *bytes = NULL;
        size_t size;
        if (!path)
            continue;
        if (!path_is_clean_absolute(path))
            return error_set(err, ERROR_HOST, "%s is no path of a keyring", path);
        if (access(path, R_OK) != 0 && strcmp(path, bootstrap_keyring) == 0)
            return error_set(err, ERROR_HOST,
                             "Debian's archive keys, %s, are not there: install the package "
                             "debian-archive-keyring",
                             path);
        if (!file_read(path, MAX_KEYRING, &bytes, &size, err))
            return error_wrap(err, "cannot read the keyring of an apt source");
        if (!put(guest, path + 1, bytes, size, err))
            return false;
    }
    return true;
}

bool bootstrap_resolve(const struct bootstrap *b, struct arena *a, const char *work, bool offline,
                       const struct resolution **out, struct error **err)
{
    struct bootstrap_inputs in = {.arena = a};
    autotempdir char *guest = NULL;
    if (!bootstrap_collect(b, &in, err) || !collect_sources(b, &in, err) ||
        !file_temp_dir(b->scratch, "apt-", &guest, err) ||
        !put(guest, "var/lib/dpkg/status", "", 0, err) ||
        !put(guest, "etc/apt/sources.list.d/base.sources", in.sources, strlen(in.sources), err) ||
        !put_keyrings(&in, guest, err))
        return false;
    const struct apt_request r = {
        .guest = guest,
        .work = work,
        .architecture = b->architecture,
        .wanted = in.packages,
        .offline = offline,
        .bootstrap_suite = b->suite,
    };
    return apt_resolve(a, &r, out, err) ||
           error_wrap(err, "cannot resolve the packages of a base of %s", b->suite);
}
