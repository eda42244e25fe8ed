/* apt's sources (sources.list(5)): both formats in, one safe form out.
 *
 * What a guest's sources say is taken over only as far as it says where packages are and who signs
 * them. trusted, allow-insecure, check-valid-until and the like are dropped: apt then refuses what
 * it cannot verify.
 */
#ifndef INGOT_RESOLVE_GUEST_SOURCES_H
#define INGOT_RESOLVE_GUEST_SOURCES_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* One stanza. Lists are separated by single spaces. */
struct guest_source {
    const char *uris; /* http and https only; file where the recipe says so */
    const char *suites;
    const char *components; /* "" for a flat repository */
    const char *signed_by;  /* absolute paths and fingerprints, or a key (begins with "-----BEGIN",
                               lines joined by newlines, as deb822 has them); or NULL */
    const char *architectures; /* or NULL */
};

struct guest_sources {
    struct arena *arena;
    struct guest_source *items;
    size_t count;
    bool local; /* the sources are the host's own: file: and copy: count too, both as file: */
};

/* Adds what a file of the guest says. name is for messages; with deb822 the text is a .sources
 * file, else a .list file. root is the host folder with the guest's files: `mirror+file:` lists are
 * read there. Sources that only the guest can see (file, cdrom, …) are passed over with a message.
 * ERROR_INPUT: the text is not what it should be. */
bool guest_sources_parse(struct guest_sources *s, const char *name, const char *text, bool deb822,
                         const char *root, struct error **err) must_check;

/* The stanzas as a .sources file. Each absolute path in Signed-By gets root in front ("" for none),
 * which must be free of white space. */
void guest_sources_write(const struct guest_sources *s, const char *root, struct buffer *out);
/* One stanza, as it stands. */
void guest_source_write(const struct guest_source *s, const char *root, struct buffer *out);

#endif
