/* Turning the machine off, politely or not. */
#ifndef COWSHED_POWER_H
#define COWSHED_POWER_H

#include <stdbool.h>
#include <stdint.h>

enum power_action { POWER_OFF, POWER_RESET };

/* Turns the machine off at once, without syncing anything. */
_Noreturn void power_off_now(void);

/*
 * Begins an orderly shutdown: the image's init is asked in its own language; without an init every process gets SIGTERM.
 * Call power_continue() from the event loop until the machine is off.
 */
void power_begin(enum power_action action, uint32_t grace_ms);

/* Whether a shutdown is under way. */
bool power_pending(void);

/* Milliseconds until power_continue() wants to be called, -1 when no shutdown is under way. */
int power_timeout(void);

/* Forces the end once the grace is over, or, as PID 1, as soon as no process is left. */
void power_continue(void);

#endif
