/* OpenSSH signatures (PROTOCOL.sshsig), by ssh-keygen -Y sign and -Y verify, with the namespace
 * "ingot-bundle".
 */
#ifndef INGOT_SIGNATURE_SSHSIG_H
#define INGOT_SIGNATURE_SSHSIG_H

#include "base/error.h"

#define SSHSIG_NAMESPACE "ingot-bundle"

/* Signs `data` with the private key file `key` (or a public key whose private one an agent holds)
 * into `signature` (new file). ERROR_HOST without ssh-keygen, ERROR_INPUT for what is no key. */
bool sshsig_sign(const char *data, const char *key, const char *signature, struct error **err)
    must_check;
/* True only if `signature` over `data` was made by the public key in the file `key` (one line of
 * OpenSSH's public key format, or an allowed_signers file). ERROR_TRUST says what is wrong. */
bool sshsig_verify(const char *data, const char *key, const char *signature, struct error **err)
    must_check;

#endif
