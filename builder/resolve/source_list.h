/* apt's sources, sources.list(5), taken apart: lines (*.list) and deb822 stanzas (*.sources). What
 * the values mean is for those who ask: the host's own sources (bake/apt_sources.h), a guest's
 * (resolve/guest_sources.h).
 */
#ifndef INGOT_RESOLVE_SOURCE_LIST_H
#define INGOT_RESOLVE_SOURCE_LIST_H

#include "base/arena.h"
#include "base/error.h"

/* The fields and options that matter to anyone here. */
enum source_field {
    SOURCE_TYPES,
    SOURCE_URIS,
    SOURCE_SUITES,
    SOURCE_COMPONENTS,
    SOURCE_SIGNED_BY,
    SOURCE_ARCHITECTURES,
    SOURCE_ENABLED,
    SOURCE_TRUSTED,
    SOURCE_ALLOW_INSECURE,
    SOURCE_ALLOW_WEAK,
    SOURCE_FIELDS
};

/* One line or stanza of binary packages that is not disabled. */
struct source_entry {
    struct place place;
    const char
        *values[SOURCE_FIELDS]; /* as they stand, continuation lines joined by newlines; NULL:
                                   not given. URIs and Suites are, and name something */
};

struct source_text {
    const char *name; /* of the file, for places */
    const char *text;
    bool deb822;          /* stanzas, not lines */
    enum error_kind kind; /* of what apt would refuse too, with its place */
};

/* Appends the entries to *entries of *count, in the arena. */
bool source_list_read(struct arena *a, const struct source_text *t, struct source_entry **entries,
                      size_t *count, struct error **err) must_check;

/* The words of a value, separated by white space or one of `also`: joined by single spaces. */
char *source_words(struct arena *a, const char *value, const char *also);
/* True if `word` is among words that are joined by spaces. */
bool source_has_word(const char *words, const char *word);
/* The next of such words, and *words behind it; NULL at the end. */
const char *source_next_word(struct arena *a, const char **words);
/* A value that apt takes for "yes". */
bool source_is_yes(const char *value);

#endif
