/* The agent's event loop: one thread that never waits for anything but poll(). */
#ifndef COWSHED_AGENT_H
#define COWSHED_AGENT_H

#include "link.h"

extern const struct link_events agent_events;

/* Serves hosts over the link, which is open, until the machine ends. */
_Noreturn void agent_run(void);

#endif
