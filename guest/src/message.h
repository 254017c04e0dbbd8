/* One message of a job that waits to be sent, with room of its own for all but the longest. */
#ifndef COWSHED_MESSAGE_H
#define COWSHED_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every error fits. */
#define SHORT_MESSAGE 1100

struct message {
	/* Its frame type and payload; NULL: there is none. */
	uint8_t *bytes;
	size_t length;
	uint8_t short_bytes[SHORT_MESSAGE];
};

/* Keeps a copy. There must be none yet. */
void message_hold(struct message *message, const void *bytes, size_t length);

/* Keeps an ERROR with an errno and a text of at most 1,000 bytes. */
void message_hold_error(struct message *message, int error, const char *text);

void message_drop(struct message *message);

/* Whether there is one after which nothing more is said on its channel. */
bool message_is_final(const struct message *message);

/* Sends it and drops it. False: there is no room in the queue yet. */
bool message_send(struct message *message, uint32_t channel);

#endif
