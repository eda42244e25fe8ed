/* A promise about a child process that the kernel keeps: no way to a network. */
#ifndef INGOT_BASE_NO_NETWORK_H
#define INGOT_BASE_NO_NETWORK_H

#include "base/attributes.h"

/* From here on this process and its children cannot make a socket of the families inet, inet6,
 * netlink and packet: socket(2) fails with EAFNOSUPPORT, as on a kernel without them (seccomp(2)).
 * False where the kernel refuses: only root may do this without giving up set-user-ID programs.
 * Async-signal-safe. */
bool no_network(void);

#endif
