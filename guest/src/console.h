/* Words for the people who read the serial console, and the end of a boot that failed. */
#ifndef COWSHED_CONSOLE_H
#define COWSHED_CONSOLE_H

#include "boot-failures.h"

/* Makes /dev/console the standard streams of this process. */
void console_open(void);

/* Prints "cowshed: …" as one line. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints "cowshed: boot failure N: what: why" and powers the machine off. `error` is an errno, or 0 when there is none. */
_Noreturn void boot_fail(enum boot_failure failure, int error);

#endif
