#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "protocol.h"

/* Credit is returned in portions. The rest of the window stays with the host, so it can always go on. */
#define CREDIT_PORTION (INPUT_WINDOW / 4)

void input_open(struct input *input, int fd, bool is_terminal)
{
	*input = (struct input){ .fd = fd, .is_terminal = is_terminal };
}

void input_close(struct input *input)
{
	if (input->fd >= 0 && !input->is_terminal)
		close(input->fd);
	input->fd = -1;
	input->credit_due += (uint32_t)input->length;
	input->length = 0;
	free(input->ring);
	input->ring = NULL;
}

static void keep(struct input *input, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t place = (input->start + input->length) % INPUT_WINDOW;
		size_t count = length < INPUT_WINDOW - place ? length : INPUT_WINDOW - place;
		memcpy(input->ring + place, bytes, count);
		input->length += count;
		bytes += count;
		length -= count;
	}
}

bool input_take(struct input *input, const uint8_t *bytes, size_t length)
{
	if (input->end_asked || length > INPUT_WINDOW - input->length - input->credit_due)
		return false;
	if (input->fd >= 0 && !input->ring && !(input->ring = malloc(INPUT_WINDOW)))
		input_close(input);
	if (input->fd < 0) {
		input->credit_due += (uint32_t)length;
		return true;
	}
	keep(input, bytes, length);
	input_drain(input);
	return true;
}

void input_drain(struct input *input)
{
	while (input->length > 0) {
		size_t to_end = INPUT_WINDOW - input->start;
		ssize_t count = write(input->fd, input->ring + input->start, input->length < to_end ? input->length : to_end);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0) {
			/* Nobody reads any more. The host may go on sending, into nothing. */
			input_close(input);
			return;
		}
		input->start = (input->start + (size_t)count) % INPUT_WINDOW;
		input->length -= (size_t)count;
		input->credit_due += (uint32_t)count;
	}
}

bool input_is_done(const struct input *input)
{
	return input->end_asked && input->length == 0 && input->fd >= 0;
}

/* A terminal has no end of input but the character that stands for it (termios(3), VEOF). */
static void type_end(int terminal)
{
	struct termios modes;
	cc_t character = 4;

	if (tcgetattr(terminal, &modes) == 0)
		character = modes.c_cc[VEOF];
	/* A terminal that takes nothing more has other worries than its end. */
	if (write(terminal, &character, 1) < 0)
		return;
}

void input_finish(struct input *input)
{
	if (input->is_terminal)
		type_end(input->fd);
	input_close(input);
}

uint32_t input_returned_credit(struct input *input)
{
	uint32_t credit = input->credit_due;

	if (credit < CREDIT_PORTION)
		return 0;
	input->credit_due = 0;
	return credit;
}
