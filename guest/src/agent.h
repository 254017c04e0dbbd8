/* The agent's event loop: one thread that never waits for anything but poll(). */
#ifndef COWSHED_AGENT_H
#define COWSHED_AGENT_H

#include "link.h"

extern const struct link_events agent_events;

/* Takes over the signals. Before the link is opened: it may send SIGIO at once, which would be the agent's end. */
void agent_prepare(void);

/* Serves hosts over the link, which is open, until the machine ends. */
_Noreturn void agent_run(void);

#endif
