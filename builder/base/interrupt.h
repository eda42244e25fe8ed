/* SIGINT, SIGTERM and SIGHUP ask the program to stop: long loops and child processes look here, and
 * the call chain unwinds so that every temporary file goes. */
#ifndef INGOT_BASE_INTERRUPT_H
#define INGOT_BASE_INTERRUPT_H

#include "base/error.h"

/* Installs the handlers (SIGPIPE is ignored). A second signal ends the process at once. */
void interrupt_install(void);
/* The signal that came, or 0. */
int interrupted(void);
/* Sets ERROR_INTERRUPTED or ERROR_TERMINATED; false. */
bool interrupt_error(struct error **err);

#endif
