/* The host's apt sources, sources.list(5): which of them serve a Debian suite.
 *
 * Both styles are read, one line a source (*.list) and deb822 stanzas (*.sources). A host may have
 * sources of third parties; those must not find their way into an image, so selection is strict:
 * the suite itself, SUITE-updates and SUITE-security, component main among the components, signed
 * by Debian's archive keyring, or by another keyring if the index that apt fetched from there says
 * `Origin: Debian` (a mirror that signs anew).
 */
#ifndef INGOT_BAKE_APT_SOURCES_H
#define INGOT_BAKE_APT_SOURCES_H

#include "base/arena.h"
#include "base/error.h"

/* One URI with one suite. Strings live in the arena. */
struct apt_source {
    struct place place;
    const char *uri, *suite;
    const char *components;    /* separated by one space; "" for a flat repository */
    const char *signed_by;     /* keyring path, or NULL */
    const char *key;           /* a key that stands in the source itself: deb822 lines, or NULL */
    const char *architectures; /* separated by one space, or NULL: all */
    bool unsafe;               /* trusted=yes, allow-insecure=yes: signatures would not count */
};

struct apt_sources {
    struct apt_source *items;
    size_t count;
};

/* Appends the binary sources (not deb-src, not disabled) of a text; `file` names it in errors.
 * deb822: stanzas, not lines. A text that apt would refuse is ERROR_HOST with its place. */
bool apt_sources_parse(struct arena *a, const char *text, const char *file, bool deb822,
                       struct apt_sources *out, struct error **err) must_check;

/* Reads `etc`/sources.list and `etc`/sources.list.d/ (*.list, *.sources), in apt's order. What is
 * absent is fine; etc is "/etc/apt" but in tests. */
bool apt_sources_read(struct arena *a, const char *etc, struct apt_sources *out, struct error **err)
    must_check;

struct apt_selection {
    const char *suite, *architecture;
    const char *keyring; /* Debian's archive keyring; put where a source names none */
    const char *lists;   /* "/var/lib/apt/lists" but in tests */
};
/* Appends those that serve. Nothing that serves the suite itself: *out stays empty. */
void apt_sources_select(struct arena *a, const struct apt_sources *all,
                        const struct apt_selection *s, struct apt_sources *out);

/* As deb822 text, a stanza each. */
char *apt_sources_deb822(struct arena *a, const struct apt_sources *s);

/* A URI that a source may have here: http, https, file or copy, without password and odd
 * characters. NULL, or what is wrong with it. */
const char *apt_uri_refused(const char *uri);

#endif
