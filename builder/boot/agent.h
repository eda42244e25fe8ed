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

struct agent_exec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in the guest's PATH if it has
                                no slash */
    const void *input;       /* its stdin, or NULL: nothing */
    size_t input_size;
    unsigned timeout_seconds; /* 0: none; then the command is killed in the guest */
};

struct agent_result {
    int code;   /* exit code, or 128 + signal */
    int signal; /* or 0 */
    struct buffer out, err;
};

/* The outcome of guest-exec that is no failure of ours: the exit codes 126 (not executable) and 127
 * (not found) with the agent's message in err. Output that is larger than the channel carries
 * (about 3 MB) is ERROR_GUEST. */
bool agent_run(struct domain *d, const struct agent_exec *e, struct agent_result *result,
               struct error **err) must_check;
void agent_result_free(struct agent_result *r);
#define autoagent cleanup(agent_result_free)

/* agent_run of a small command; true if it exited with 0. *out (may be NULL) gets its stdout. A
 * failure of any kind is false. */
bool agent_try(struct domain *d, const char *const *argv, char **out);

/* RFC 4648, section 4. Free the result of encode. Decode refuses what is no base 64. */
char *base64_encode(const void *bytes, size_t size);
bool base64_decode(const char *text, struct buffer *out) must_check;

#endif
