/* From the initrd to a running root. */
#ifndef COWSHED_BOOT_H
#define COWSHED_BOOT_H

#include <stdbool.h>

#include "cmdline.h"

/*
 * Everything that PID 1 of the initrd does before somebody else takes over: returns in the process that is to be the agent (PID 1
 * itself when the image has no init, else a child beside it) with the root in place. A failure ends the machine.
 */
void boot(struct cmdline *cmdline);

/* Whether the host is still to say that the system may begin: with cowshed.wait=1, until boot_begin(). */
bool boot_is_waiting(void);

/* Lets the image's init begin, if there is one; returns once that is sure. */
void boot_begin(void);

#endif
