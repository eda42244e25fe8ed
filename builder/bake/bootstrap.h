/* A base image made from a distribution's packages: mmdebstrap makes the tree (in its unshare mode
 * for an ordinary user), and a GPT disk is laid out around it as Ubuntu's cloud image is. No
 * appliance, no root, no loop device. The disk boots with BIOS (pc, q35) and UEFI, and takes its
 * user, network and the rest from cloud-init's NoCloud seed.
 *
 * An ordinary user needs ranges in /etc/subuid and /etc/subgid, and newuidmap (package uidmap).
 */
#ifndef INGOT_BAKE_BOOTSTRAP_H
#define INGOT_BAKE_BOOTSTRAP_H

#include "base/digest.h"
#include "base/error.h"

#include <stdint.h>

struct bootstrap {
    const char *os, *suite, *architecture; /* "debian", "bookworm", "amd64" */
    const char *const *packages;           /* beside the built-in list; NULL-terminated; or NULL */
    const char *mirror;  /* URL, or NULL: the host's own apt sources for that suite (ERROR_INPUT
                            where  it has none) */
    int64_t epoch;       /* every time that is written */
    const char *scratch; /* folder for temporary files */
};

/* SHA-256 over canonical JSON of all inputs: format version, os, suite, architecture, packages,
 * the built-in list, what is put into the guest, apt sources, epoch. What the mirror holds is not
 * among them: the key stands for "this suite as it was when the base was made". ERROR_INPUT for
 * names that are none, ERROR_UNSUPPORTED for another os or architecture. */
bool bootstrap_key(const struct bootstrap *b, char key[SHA256_HEX], struct error **err) must_check;

/* Makes the raw disk at `raw` (sparse, 0600; the caller renames it). About a minute, from the
 * network or the mirror. On failure nothing is left behind. ERROR_HOST names the missing package,
 * ERROR_UNREACHABLE is a mirror that does not answer or lacks a package. */
bool bootstrap_make(const struct bootstrap *b, const char *raw, struct error **err) must_check;

#endif
