/*
 * What the agent may do to the machine as a whole. In a machine that it booted: all of it. When it serves a test on
 * somebody's own host (--listen): nothing of it.
 */
#ifndef COWSHED_MACHINE_H
#define COWSHED_MACHINE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Says that this machine is the agent's to freeze, trim, set and power off. `upper` is a directory of the
 * filesystem that the shed writes to: its upper's, or a root of its own.
 */
void machine_own(int upper);

bool machine_owned(void);

/* A descriptor on the upper's filesystem, or -1. */
int machine_upper(void);

/* Whether the upper is frozen, or about to be. */
bool machine_frozen(void);

/* A freeze has begun in this child, a thaw has been asked for, a child has ended. */
void machine_freezing(pid_t worker);
void machine_thawing(void);
void machine_child_ended(pid_t child, bool succeeded);

/* The host is gone: whatever it had frozen is thawed, a freeze that is still under way as soon as it is done. */
void machine_host_gone(void);

/* Thaws in this process, for the end of a shutdown. */
void machine_thaw_now(void);

#endif
