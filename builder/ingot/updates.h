/* What `ingot updates` collects: a row for each thing that was asked about. */
#ifndef INGOT_INGOT_UPDATES_H
#define INGOT_INGOT_UPDATES_H

#include "ingot/session.h"
#include "resolve/lock.h"
#include "updates/updates.h"

struct updates_row {
    const char *recipe;
    struct update update;
    const char *error; /* why it could not be asked, or NULL */
    enum error_kind kind;
};

struct updates_report {
    struct session *session; /* its arena has the rows */
    const char *recipe;      /* the one that is asked about */
    struct updates_row *rows;
    size_t count;
};

/* Appends a row; *why (may be NULL) becomes its error and is taken away. An interruption is no row:
 * false, and *err is it. */
bool updates_add(struct updates_report *t, const struct update *u, struct error **why,
                 struct error **err) must_check;

/* Rows for the recipe's base image and distribution; locked: NULL without a lock. False only where
 * it makes no sense to go on. */
bool updates_of_base(struct updates_report *t, const struct recipe *r,
                     const struct lock_arch *locked, struct error **err) must_check;
bool updates_of_distribution(struct updates_report *t, const struct recipe *r, struct error **err)
    must_check;
/* Rows for every locked package that its indexes have in another version now, those of a base made
 * from packages first: apk's indexes are read here, apt's by apt, for which the base must be in the
 * cache. Starts no appliance. */
bool updates_of_packages(struct updates_report *t, const struct recipe *r,
                         const struct lock_arch *locked, struct error **err) must_check;

#endif
