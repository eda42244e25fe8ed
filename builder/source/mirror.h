/* Mirrors: URL prefixes written anew, as git's url.X.insteadOf does. What a mirror gives is
 * verified like anything.
 *
 * Text form (INGOT_MIRROR, the setting `mirror`, --mirror): `PREFIX=REPLACEMENT`, several with
 * blanks between. A URL that begins with PREFIX (at a `/`, or at the end of PREFIX if that ends in
 * `/`) is asked for at REPLACEMENT plus its rest; a longer PREFIX is tried before a shorter one,
 * equal ones in the order given; the URL itself comes last, unless the REPLACEMENT begins with `!`
 * (then it and what follows are not asked). PREFIX `sha256:` maps a digest to REPLACEMENT plus its
 * 64 digits: a static copy of a cache's blobs/sha256/. REPLACEMENT is a http, https or file URL, or
 * an absolute path.
 */
#ifndef INGOT_SOURCE_MIRROR_H
#define INGOT_SOURCE_MIRROR_H

#include "base/arena.h"
#include "base/error.h"

struct mirror {
    const char *prefix, *replacement;
    bool only; /* the URL itself is not asked */
};
struct mirrors {
    const struct mirror *items;
    size_t count;
};

/* Adds what a text says to the list; ERROR_USAGE with `origin` ("--mirror", "INGOT_MIRROR"). */
bool mirrors_parse(struct arena *a, const char *text, const char *origin, struct mirrors *m,
                   struct error **err) must_check;
/* Where to ask for a URL, in order, ended by NULL: never empty. sha256: the digest that it must
 * have, or NULL. Lives in the arena. */
const char *const *mirrors_candidates(struct arena *a, const struct mirrors *m, const char *url,
                                      const char *sha256);

#endif
