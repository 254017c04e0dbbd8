/* Time that never jumps. */
#ifndef COWSHED_TICKS_H
#define COWSHED_TICKS_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since the machine booted, suspended time included. */
static inline int64_t ticks_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_ms(long milliseconds)
{
	struct timespec time = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };
	nanosleep(&time, NULL);
}

#endif
