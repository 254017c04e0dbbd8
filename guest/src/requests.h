/* What each request of the host asks for. */
#ifndef COWSHED_REQUESTS_H
#define COWSHED_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct request {
	void (*run)(struct job *);
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
