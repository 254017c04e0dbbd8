/* What each request of the host asks for. */
#ifndef COWSHED_REQUESTS_H
#define COWSHED_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct request {
	/* NULL: it never takes a process. */
	void (*run)(struct job *);
	/*
	 * Does it in the agent itself, and says what has failed, with errno; NULL: nothing. A process costs a guest that has just gone on from a memory, to whose
	 * VMM all of its code is new, more than what is done this way.
	 */
	const char *(*at_once)(struct reader *);
	/* Whether it may take long this time, so that it takes a process; NULL: never. */
	bool (*takes_long)(void);
	/* Which streams its job has: enum job_streams. */
	int streams;
	/* Touches the machine as a whole: only for an agent that booted it. */
	bool is_machine;
	/* Writes to the upper, and would wait until that is thawed. */
	bool writes;
	/* Nothing is half done when its job is killed. */
	bool is_harmless;
};

/* The request of a frame type other than EXEC and POWEROFF, which are no such jobs; NULL: there is none. */
const struct request *request_find(uint8_t type);

#endif
