/* One channel, and how its work begins. Only channel.c has any. */
#ifndef COWSHED_CHANNEL_START_H
#define COWSHED_CHANNEL_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"
#include "input.h"
#include "message.h"
#include "output.h"
#include "protocol.h"

struct channel {
	/* 0: not in use */
	uint32_t id;
	uint8_t type;
	/* 0: no child works for it. */
	pid_t pid;
	bool started, ended;
	int wait_status;

	int status;
	size_t status_polled;
	struct message message;

	struct input input;
	struct output outputs[2];
};

static inline bool is_exec(const struct channel *channel)
{
	return channel->type == FRAME_EXEC;
}

/* Starts what the channel's type asks for, or holds the ERROR that says why not. The channel is empty but for its id and type. */
void channel_start(struct channel *channel, struct reader request);

#endif
