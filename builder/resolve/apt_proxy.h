/* The proxy that the host's apt goes through. */
#ifndef INGOT_RESOLVE_APT_PROXY_H
#define INGOT_RESOLVE_APT_PROXY_H

#include "base/attributes.h"

/* Acquire::SCHEME::Proxy of the host's apt ("http" or "https"), where the environment says nothing
 * of its own (SCHEME_proxy); NULL: there is none. It may hold a password. Free it. */
char *apt_host_proxy(const char *scheme);

#endif
