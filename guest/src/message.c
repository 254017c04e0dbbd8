#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "link.h"
#include "protocol.h"

void message_hold(struct message *message, const void *bytes, size_t length)
{
	message->bytes = length <= SHORT_MESSAGE ? message->short_bytes : malloc(length);
	if (!message->bytes) {
		message_hold_error(message, ENOMEM, "the agent has no memory left");
		return;
	}
	message->length = length;
	memcpy(message->bytes, bytes, length);
}

void message_hold_error(struct message *message, int error, const char *text)
{
	uint8_t bytes[SHORT_MESSAGE];
	struct writer writer = { .bytes = bytes, .size = sizeof bytes };

	write_u8(&writer, FRAME_ERROR);
	write_u16(&writer, (uint16_t)error);
	write_string(&writer, text);
	message_hold(message, bytes, writer.length);
}

void message_drop(struct message *message)
{
	if (message->bytes != message->short_bytes)
		free(message->bytes);
	message->bytes = NULL;
}

bool message_is_final(const struct message *message)
{
	return message->bytes && message->bytes[0] != FRAME_STARTED;
}

bool message_send(struct message *message, uint32_t channel)
{
	if (link_room() < message->length)
		return false;
	link_send(message->bytes[0], channel, message->bytes + 1, message->length - 1);
	message_drop(message);
	return true;
}
