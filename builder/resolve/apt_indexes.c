#include "resolve/apt_indexes.h"

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "resolve/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define RELEASE_MAX (8 << 20)

/* The Release file that an index belongs to: in apt's folder of lists their names begin alike,
 * ARCHIVE_dists_SUITE_. NULL: there is none. */
static const char *release_of(struct arena *a, const char *lists, const char *const *names,
                              const char *index)
{
    static const char *const kinds[] = {"InRelease", "Release"};
    const char *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; names[i]; i++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            size_t n = strlen(names[i]), stem = n - strlen(kinds[k]);
            if (!text_ends_with(names[i], kinds[k]) || stem <= longest ||
                names[i][stem - 1] != '_' || strncmp(names[i], index, stem) != 0)
                continue;
            longest = stem;
            best = names[i];
        }
    }
    return best ? arena_printf(a, "%s/%s", lists, best) : NULL;
}

static bool read_snapshot(struct arena *a, const char *release, const char **snapshot,
                          struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    *snapshot = NULL;
    if (!release)
        return true;
    if (!file_read(release, RELEASE_MAX, &text, &size, err))
        return false;
    *snapshot = snapshot_template(a, text);
    return true;
}

static int by_url(const void *x, const void *y)
{
    const struct index_pin *a = x, *b = y;
    return strcmp(a->url, b->url);
}

static bool read_names(struct arena *a, const char *folder, const char *const **out,
                       struct error **err)
{
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort);
    if (n < 0)
        return error_errno(err, ERROR_HOST, errno, "cannot read %s", folder);
    const char **names = arena_alloc(a, ((size_t)n + 1) * sizeof *names);
    for (int i = 0; i < n; i++) {
        names[i] = arena_strdup(a, found[i]->d_name);
        free(found[i]);
    }
    names[n] = NULL;
    free(found);
    *out = names;
    return true;
}

bool apt_pin_indexes(struct arena *a, const char *listing, const char *lists, struct resolution *r,
                     struct error **err)
{
    const char *const *names = NULL;
    struct index_pin *pins = NULL;
    if (!read_names(a, lists, &names, err))
        return false;
    autofree char *copy = strdup(listing);
    char *save = NULL;
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char *archive = strchr(l, ' '), *url = archive ? strchr(archive + 1, ' ') : NULL;
        if (!url)
            continue;
        *archive++ = '\0';
        *url++ = '\0';
        char hex[DIGEST_HEX_MAX];
        struct index_pin pin = {.url = arena_strdup(a, url), .path = arena_strdup(a, l)};
        const char *release = release_of(a, lists, names, path_basename(l));
        if (!digest_file(DIGEST_SHA256, l, hex, NULL, err) ||
            !read_snapshot(a, release, &pin.snapshot, err))
            return false;
        pin.digest = arena_strdup(a, hex);
        pin.archive = text_ends_with(archive, "/") ? arena_strdup(a, archive)
                                                   : arena_printf(a, "%s/", archive);
        arena_append(a, pins, r->index_count, pin);
    }
    if (r->index_count)
        qsort(pins, r->index_count, sizeof *pins, by_url);
    r->indexes = pins;
    return true;
}
