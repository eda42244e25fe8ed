/* NAME.lock in a build: what it binds, what is new beside it, and what it comes to.
 *
 * A build without a lock makes one. With one, everything in it is taken by its digest and nobody is
 * asked again; what the recipe newly asks for is added, what it no longer asks for is removed.
 */
#ifndef INGOT_INGOT_PINS_H
#define INGOT_INGOT_PINS_H

#include "base/cli.h"
#include "resolve/lock.h"
#include "source/fetch.h"

struct pipeline;

/* One line of the difference between two locks. from or to is NULL where there is none. */
struct pin_change {
    const char *what; /* "base", "source", "key", "package", "base package", "packages", "epoch" */
    const char *name;
    const char *from, *to;
};

struct pins {
    const char *path;        /* of NAME.lock */
    const struct lock *read; /* NULL: there was none */
    struct lock_arch was;    /* what it says of the recipe's architecture */
    struct lock_arch now;    /* the same without what --update renews */
    bool packages_renewed;   /* now.packages lacks some that --update renews */
    /* What this build has asked for: */
    struct lock_source base; /* url NULL: not yet */
    struct lock_source *sources, *keys;
    size_t source_count, key_count;
    const char **first_use; /* "URL sha256 …": nothing else vouches for them */
    size_t first_use_count;
    /* pins_finish: */
    struct lock_arch next; /* what this build comes to */
    const struct pin_change *changes;
    size_t change_count;
    bool written; /* NAME.lock is another now */
};

/* Reads the lock and sets p->epoch. --locked without a lock is ERROR_TRUST. */
bool pins_open(struct pipeline *p, struct error **err) must_check;

/* What binds a URL, or NULL in *pin where it is to be asked for: it is not locked, or the recipe
 * now wants it verified in a way that nobody has looked at. ERROR_TRUST where the recipe's digest
 * contradicts the lock. */
bool pins_of(const struct pipeline *p, const char *url, const struct verify *v,
             const struct lock_source **pin, struct error **err) must_check;
bool pins_of_base(const struct pipeline *p, const struct lock_source **pin, struct error **err)
    must_check;
/* The locked packages of a bootstrapped base, if they are what the recipe asks for; else NULL. */
const struct resolution *pins_of_bootstrap(struct pipeline *p);

/* What was fetched, to be locked. ERROR_TRUST where it is not what the lock says. */
bool pins_record(struct pipeline *p, const char *url, const struct verify *v,
                 const struct fetch_result *r, bool is_base, struct error **err) must_check;
/* Something that nothing vouches for: said at the end. */
void pins_first_use(struct pipeline *p, const char *url, const char *sha256);
void pins_record_key(struct pipeline *p, const char *url, const char *sha256, uint64_t size,
                     const char *fingerprint);

/* The locked packages, if they were resolved for this base and these repositories; else NULL. */
const struct lock_packages *pins_packages(struct pipeline *p);
/* True if they are all that is wanted, and nothing else. */
bool pins_packages_fit(struct pipeline *p);
/* A digest over the recipe's repositories and keys, "" for none, NULL where a key has not been
 * fetched yet. In the arena. */
const char *pins_repositories(struct pipeline *p);

/* All that the lock and the recipe differ in, for people; NULL at the end. Needs p->plan; what only
 * the facts of the base can say is looked at where they are there. */
const char *const *pins_drift(struct pipeline *p);
/* --locked: ERROR_TRUST that lists the drift. */
bool pins_check(struct pipeline *p, struct error **err) must_check;

/* Why the lock may not become another, or NULL where it may. */
const char *pins_forbidden(const struct pipeline *p);

/* Where pins_forbidden: says aloud what is used although only an earlier fetch speaks for it. */
void pins_say_unpinned(const struct pipeline *p);

/* Writes what the build comes to, where that is another lock and may be written, and says what is
 * new and what was trusted on first use. */
bool pins_finish(struct pipeline *p, struct error **err) must_check;

/* A file that a rebuild needs from the store. */
struct pin_file {
    const char *what; /* "base", "source", "key", "package", "index" */
    const char *url, *sha256;
    uint64_t size;
};
/* All that a lock names, sorted as in the lock; apt's indexes are not among them: what is installed
 * is installed without. Lives in the arena. */
bool pins_is_apk_index(const struct index_pin *pin);
struct pin_file *pins_files(struct arena *a, const struct lock_arch *l, size_t *count);

#endif
