/* What a base is made of: the packages that are wanted, the sources, and what apt makes of both. */
#include "bake/bootstrap_files.h"
#include "bake/bootstrap_internal.h"
#include "base/file.h"
#include "base/path.h"
#include "base/progress.h"
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

/* The mirror alone, or the host's sources for the suite, or Debian's servers. */
static bool collect_sources(const struct bootstrap *b, struct bootstrap_inputs *in,
                            struct error **err)
{
    struct apt_sources all = {0}, used = {0};
    const struct apt_selection selection = {.suite = b->suite,
                                            .architecture = b->architecture,
                                            .keyring = bootstrap_keyring,
                                            .lists = "/var/lib/apt/lists"};
    if (b->mirror) {
        const char *why = apt_uri_refused(b->mirror);
        if (why)
            return error_set(err, ERROR_INPUT, "the mirror's URL cannot be used: %s", why);
        const struct apt_source one = {.uri = b->mirror,
                                       .suite = b->suite,
                                       .components = "main",
                                       .signed_by = bootstrap_keyring};
        arena_append(in->arena, used.items, used.count, one);
    } else {
        if (!apt_sources_read(in->arena, "/etc/apt", &all, err))
            return error_wrap(err, "cannot read the host's apt sources");
        apt_sources_select(in->arena, &all, &selection, &used);
    }
    if (!used.count)
        return error_set(err, ERROR_INPUT,
                         "this host has no apt source of %s %s: name one in the recipe, "
                         "bootstrap: {mirror: URL}",
                         b->os, b->suite);
    in->sources = apt_sources_deb822(in->arena, &used);
    in->used = used;
    return true;
}

bool bootstrap_collect(const struct bootstrap *b, struct bootstrap_inputs *in, struct error **err)
{
    if (strcmp(b->os, "debian") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a base of \"%s\" cannot be made from packages: only debian can", b->os);
    if (strcmp(b->architecture, "amd64") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a base for %s cannot be made from packages: only for amd64",
                         b->architecture);
    if (!is_suite(b->suite))
        return error_set(err, ERROR_INPUT, "\"%s\" is not the name of a suite, such as bookworm",
                         b->suite);
    return collect_packages(b, in, err) && collect_sources(b, in, err);
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
    if (!bootstrap_collect(b, &in, err) || !file_temp_dir(b->scratch, "apt-", &guest, err) ||
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
