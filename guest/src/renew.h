/* What a disk keeps of the machine that had it before: a shed that was made from another's disk must not pass for it. */
#ifndef COWSHED_RENEW_H
#define COWSHED_RENEW_H

#include <stdbool.h>

/* Whether the root was another machine's than the one with this machine-id. One that was nobody's yet was not. */
bool was_of_another(const char *machine_id);

/*
 * Makes ssh's host keys anew, of the kinds that there are, and removes the seed that systemd keeps; the host name is the new one already. Keys that cannot be made are removed all
 * the same. False: something of the other machine may be left.
 */
bool renew_secrets(void);

/* Whether any such key is there: its successor is made by a program, which takes its time. */
bool renew_takes_long(void);

/* Has an sshd that runs with the keys of the other machine read the new ones. Connections that are open stay. */
void renew_sshd(void);

#endif
