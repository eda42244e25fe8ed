/* The files of apk-tools 2 (apk-v2(5)): packages and indexes, read without believing them.
 *
 * Both are gzip members one behind the other: signatures, if any (a tar of .SIGN.* files), then the
 * control of a package (.PKGINFO and scripts) or an index's texts, then a package's data.
 *
 * An index names each package by `C:Q1`, which is base64 of the SHA-1 of the compressed control
 * member. `datahash` in the control's .PKGINFO is the SHA-256 of the compressed data. So whoever
 * believes the index can tell of all but the signatures, which say nothing beside it, whether they
 * are what it means.
 *
 * SHA-1 is what apk itself relies on: there is no other digest in these indexes. To stand in for a
 * package that is listed, a control with the same SHA-1 would have to be found for one that is
 * given (a second preimage), which nobody can; the data are under SHA-256.
 */
#ifndef INGOT_RESOLVE_APK_PACKAGE_H
#define INGOT_RESOLVE_APK_PACKAGE_H

#include "base/error.h"

#include <stddef.h>

/* Whether a package can be compared with this checksum of an index. apk 3 writes `Q2`, and `Q1`
 * with more behind it, for packages of its own format, which are not read here. */
bool apk_package_comparable(const char *checksum);

/* That the package in `file` is the one that an index lists with this checksum. what: its name and
 * URL, for messages. ERROR_TRUST where it is another, cut off, longer, or no package; ERROR_INPUT
 * where it cannot be read. Large data are read once, not kept. */
bool apk_package_check(const char *file, const char *checksum, const char *what, struct error **err)
    must_check;

/* The text of an index's APKINDEX; free it. Signatures are not looked at, but nothing is taken from
 * the member that has them. ERROR_INPUT. */
bool apk_package_index(const char *file, char **text, struct error **err) must_check;

/* The value of datahash in a control member's tar, into hex of 65 bytes; ERROR_TRUST where there is
 * none. For tests. */
bool apk_package_datahash(const void *tar, size_t size, char *hex, const char *what,
                          struct error **err) must_check;

#endif
