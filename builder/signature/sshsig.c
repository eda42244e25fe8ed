#include "signature/sshsig.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define KEY_MAX ((size_t)1 << 20)
#define SIGNATURE_MAX ((size_t)1 << 20)
#define PRINCIPAL "ingot"
#define ARMOUR "-----BEGIN SSH SIGNATURE-----"

static const char *temp_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp == '/' ? tmp : "/tmp";
}

static bool link_to(const char *path, const char *dir, const char *name, char **out,
                    struct error **err)
{
    autofree char *absolute = path_absolute(NULL, path);
    *out = path_join(dir, name);
    return symlink(absolute, *out) == 0 ||
           error_errno(err, ERROR_HOST, errno, "cannot make the link '%s'", *out);
}

/* --- signing -------------------------------------------------------------------------------------
 */

static bool check_signing_key(const char *key, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (!file_read(key, KEY_MAX, &text, &size, err))
        return false;
    if (strstr(text, "PRIVATE KEY-----") || strstr(text, "ssh-") || strstr(text, "ecdsa-"))
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s: is no OpenSSH key: give the private key that ssh-keygen made, or the "
                     "public one if an agent holds the other",
                     key);
}

/* ssh-keygen lays NAME.sig beside NAME: so it signs a link in a folder of its own. It stays in the
 * foreground, where it may ask for a passphrase. */
bool sshsig_sign(const char *data, const char *key, const char *signature, struct error **err)
{
    autotempdir char *dir = NULL;
    autofree char *link = NULL, *made = NULL, *text = NULL;
    size_t size;
    if (access(data, R_OK) < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", data);
    if (!check_signing_key(key, err) || !file_temp_dir(temp_folder(), "ingot-ssh-", &dir, err) ||
        !link_to(data, dir, "data", &link, err))
        return false;
    const char *const argv[] = {"ssh-keygen",     "-q", "-Y", "sign", "-f", key, "-n",
                                SSHSIG_NAMESPACE, link, NULL};
    struct process p = {.argv = argv, .foreground = true};
    autoresult struct process_result result = {0};
    if (!process_check(&p, ERROR_INPUT, &result, err))
        return error_wrap(err, "cannot sign with the key '%s'", key);
    made = path_join(dir, "data.sig");
    return file_read(made, SIGNATURE_MAX, &text, &size, err) &&
           file_write(signature, text, size, 0644, err);
}

/* --- verifying -----------------------------------------------------------------------------------
 */

/* True if the first word is a type of public key: then the line has no principals. */
static bool is_key_type(const char *line)
{
    static const char *const types[] = {"ssh-ed25519",
                                        "ssh-rsa",
                                        "ecdsa-sha2-nistp256",
                                        "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521",
                                        "sk-ssh-ed25519@openssh.com",
                                        "sk-ecdsa-sha2-nistp256@openssh.com"};
    size_t n = strcspn(line, " \t");
    for (size_t i = 0; i < COUNT(types); i++)
        if (strlen(types[i]) == n && strncmp(line, types[i], n) == 0)
            return true;
    return false;
}

/* The end of the first field of an allowed_signers line; blanks may stand in double quotes. */
static const char *behind_principals(const char *line)
{
    bool quoted = false;
    while (*line && (quoted || !isspace((unsigned char)*line)))
        quoted ^= *line++ == '"';
    return line;
}

/* Any key of the file will do: all are signers of one name. What else a line says (namespaces,
 * valid-after, valid-before) stays; a certificate authority signs no bundle itself. */
static bool allowed_signers(const char *key, char *text, struct buffer *out, struct error **err)
{
    char *save = NULL;
    size_t count = 0;
    if (strstr(text, "PRIVATE KEY-----"))
        return error_set(err, ERROR_INPUT, "%s: is a private key: give the public one ('%s.pub')",
                         key, key);
    for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        while (isspace((unsigned char)*line))
            line++;
        if (!*line || *line == '#')
            continue;
        const char *rest = is_key_type(line) ? line : behind_principals(line);
        while (isspace((unsigned char)*rest))
            rest++;
        if (!*rest || strstr(rest, "cert-authority"))
            return error_set(err, ERROR_INPUT,
                             "%s: has a line that is no OpenSSH public key: TYPE BASE64, as in a "
                             ".pub file, or SIGNER TYPE BASE64",
                             key);
        buffer_printf(out, "%s %s\n", PRINCIPAL, rest);
        count++;
    }
    return count > 0 || error_set(err, ERROR_INPUT, "%s: holds no OpenSSH public key", key);
}

static bool check_armour(const char *signature, struct error **err)
{
    autofree char *text = NULL;
    size_t size;
    if (!file_read(signature, SIGNATURE_MAX, &text, &size, err))
        return false;
    return text_starts_with(text, ARMOUR) ||
           error_set(err, ERROR_TRUST, "%s: is no OpenSSH signature", signature);
}

/* ssh-keygen does not say why it refuses. Whether the signature is good by itself, and whose it is,
 * can be asked apart. */
static bool refuse(const char *data, int fd, const char *key, const char *signature,
                   struct error **err)
{
    const char *const argv[] = {"ssh-keygen",     "-Y", "check-novalidate", "-n",
                                SSHSIG_NAMESPACE, "-s", signature,          NULL};
    struct process p = {.argv = argv, .stdin_fd = fd};
    autoresult struct process_result result = {0};
    if (lseek(fd, 0, SEEK_SET) < 0 || !process_run(&p, &result, err))
        return error_set(err, ERROR_TRUST, "%s: its signature %s cannot be verified", data,
                         signature);
    buffer_puts(&result.out, "");
    buffer_puts(&result.err, "");
    if (result.status == 0)
        return error_set(err, ERROR_TRUST,
                         "%s: the key in %s did not sign it, or may not: %s; if that is a signer "
                         "whom you trust, name that one's public key",
                         data, key, process_last_lines(result.out.data, 1));
    return error_set(err, ERROR_TRUST,
                     "%s: its signature %s is bad: the file is not what was signed, or it was "
                     "signed for something else than '%s' (ssh-keygen says: %s)",
                     data, signature, SSHSIG_NAMESPACE, process_last_lines(result.err.data, 2));
}

bool sshsig_verify(const char *data, const char *key, const char *signature, struct error **err)
{
    autofree char *text = NULL, *signers = NULL;
    autotempdir char *dir = NULL;
    autobuffer struct buffer lines = {0};
    size_t size;
    autoclose int fd = open(data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_INPUT, errno, "%s", data);
    if (!check_armour(signature, err) || !file_read(key, KEY_MAX, &text, &size, err) ||
        !allowed_signers(key, text, &lines, err) ||
        !file_temp_dir(temp_folder(), "ingot-ssh-", &dir, err))
        return false;
    signers = path_join(dir, "signers");
    if (!file_write(signers, lines.data, lines.size, 0600, err))
        return false;
    const char *const argv[] = {"ssh-keygen", "-Y", "verify",         "-f", signers,   "-I",
                                PRINCIPAL,    "-n", SSHSIG_NAMESPACE, "-s", signature, NULL};
    struct process p = {.argv = argv, .stdin_fd = fd};
    autoresult struct process_result result = {0};
    if (!process_run(&p, &result, err))
        return false;
    return result.status == 0 || refuse(data, fd, key, signature, err);
}
