/*
 * What the agent may do to the machine as a whole. In a machine that it booted: all of it. When it serves a test on
 * somebody's own host (--listen): nothing of it.
 */
#ifndef COWSHED_MACHINE_H
#define COWSHED_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
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

/* A freeze of at most so long has begun in this child, a thaw has been asked for, a child has ended. */
void machine_freezing(pid_t worker, uint32_t longest_ms);
void machine_thawing(void);
void machine_child_ended(pid_t child, bool succeeded);

/* The host is gone: whatever it had frozen is thawed, a freeze that is still under way as soon as it is done. */
void machine_host_gone(void);

/* How long until a freeze has lasted too long, in milliseconds; -1: there is none. Then it ends, as if the host were gone. */
int machine_timeout(void);
void machine_continue(void);

/* Thaws in this process, for the end of a shutdown. */
void machine_thaw_now(void);

#endif
