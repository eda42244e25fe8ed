/* The QEMU guest agent: its commands as C. Format: "QEMU Guest Agent Protocol Reference". What a
 * guest says is not believed: sizes are limited, types are checked.
 */
#ifndef INGOT_BOOT_AGENT_H
#define INGOT_BOOT_AGENT_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "boot/virt.h"

/* One command and its `return` value. arguments may be NULL; the reference is taken over. */
bool agent_call(struct domain *d, const char *command, json_t *arguments, int seconds, json_t **out,
                struct error **err) must_check;
bool agent_ping(struct domain *d, int seconds, struct error **err) must_check;

/* A small command whose output is small; true if it exited with 0. *out (may be NULL) gets its
 * stdout. A failure of any kind is false. */
bool agent_try(struct domain *d, const char *const *argv, char **out);

struct agent_exec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in the guest's PATH if it has
                                no slash */
    const void *input;       /* its stdin, or NULL: nothing; at most AGENT_INPUT_MAX bytes */
    size_t input_size;
    unsigned timeout_seconds; /* 0: none; then the command is killed in the guest */
    /* What it writes, as it comes; stream is 1 (stdout) or 2 (stderr). False ends the wait, with
     * the error that it sets. */
    bool (*on_output)(int stream, const void *bytes, size_t size, void *data, struct error **err);
    void *data;
};

#define AGENT_INPUT_MAX ((size_t)64 << 20)

/* Runs a command of any length and output. The output goes to files in the guest, which are read
 * piece by piece and removed: libvirt closes the agent's channel for good when one answer exceeds
 * 10 MB, and carries none above 4 MB, so that output cannot come back with the exit code. Needs
 * /bin/sh there. *code is its exit code, or 128 + signal. */
bool agent_exec(struct domain *d, const struct agent_exec *e, int *code, struct error **err)
    must_check;

/* RFC 4648, section 4. Free the result of encode. Decode refuses what is no base 64. */
char *base64_encode(const void *bytes, size_t size);
bool base64_decode(const char *text, struct buffer *out) must_check;

#endif
