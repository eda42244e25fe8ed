/* Snapshot services: archives as they were at a time, with the files that have left them since.
 *
 * An archive is known by what its signed Release file says, not by a host's name: its field
 * Snapshots, or Origin and Label as apt itself knows them (sources.list(5) and apt.conf(5) of apt
 * 2.7.13 and later: Acquire::Snapshots::URI). A URL below the archive then becomes the same path
 * below the service.
 */
#ifndef INGOT_RESOLVE_SNAPSHOT_H
#define INGOT_RESOLVE_SNAPSHOT_H

#include "resolve/resolution.h"

#include <time.h>

/* The service's URL with @SNAPSHOTID@ in it and a slash at the end, from the text of a Release or
 * InRelease file; NULL where there is none. In the arena. */
const char *snapshot_template(struct arena *a, const char *release);

/* True for such a URL. */
bool snapshot_is_template(const char *url);

/* The stamp of a time, "20261121T000000Z". */
enum { SNAPSHOT_STAMP = 17 };
void snapshot_stamp(time_t t, char stamp[SNAPSHOT_STAMP]);

/* Where else the file at `url` may be had, in the order to try: at the service of the archive (one
 * of r's indexes) that it is below. A service takes an archive in some hours after it has changed,
 * so that the day after the stamp is asked too. NULL-terminated, in the arena; NULL where there is
 * no service, or `stamp` is none. */
const char *const *snapshot_urls(struct arena *a, const struct resolution *r, const char *url,
                                 const char *stamp);

#endif
