#include "output.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "link.h"
#include "protocol.h"
#include "ticks.h"

/* Less is not worth a frame: an output waits until the queue has at least this much room. */
#define ENOUGH_ROOM 4096
#define CHUNK 32768
/* What every output leaves free in the queue, so that the frame that ends it has room. */
#define END_ROOM 64
/* How long a terminal may take to say that it is done after its program has ended. */
#define TERMINAL_GRACE_MS 1000
/* How long a terminal that no program has open is left alone before it is looked at again. */
#define TERMINAL_REST_MS 50

void output_open(struct output *output, uint8_t stream, int fd, bool is_terminal)
{
	*output = (struct output){
		.fd = fd, .stream = stream, .is_terminal = is_terminal, .ended = fd < 0, .credit = OUTPUT_WINDOW
	};
}

void output_close(struct output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
	output->ended = true;
}

bool output_add_credit(struct output *output, uint32_t bytes)
{
	if (output->ended)
		return true;
	if (bytes > OUTPUT_WINDOW - output->credit)
		return false;
	output->credit += bytes;
	return true;
}

void output_expect_last(struct output *output)
{
	int left = 0;

	if (output->ended)
		return;
	if (ioctl(output->fd, FIONREAD, &left) != 0)
		left = 0;
	output->is_last = true;
	output->last_bytes = (size_t)left;
	output->last_moment = ticks_ms() + TERMINAL_GRACE_MS;
	output->rest_until = 0;
}

/* Whether there will be nothing more, although the stream itself may never say so. */
static bool is_over(const struct output *output)
{
	if (!output->is_last)
		return false;
	return output->is_terminal ? ticks_ms() >= output->last_moment : output->last_bytes == 0;
}

bool output_is_wanted(const struct output *output)
{
	return !output->ended && output->credit > 0 && link_room() >= ENOUGH_ROOM && ticks_ms() >= output->rest_until;
}

int output_timeout(const struct output *output)
{
	if (!output->is_terminal || output->ended)
		return -1;
	int64_t left = (output->is_last ? output->last_moment : output->rest_until) - ticks_ms();
	return left < 0 ? -1 : (int)left;
}

static void end(struct output *output, uint32_t channel)
{
	output_close(output);
	link_send(FRAME_OUTPUT_END, channel, &output->stream, 1);
}

/*
 * A terminal that no program has open says EIO. That is its end only when its program has ended too: until then the program may open
 * /dev/tty again, and one that closes its descriptors just before it exits would be ended by SIGHUP if the terminal went away under it.
 */
static void stop_reading(struct output *output, uint32_t channel)
{
	if (output->is_terminal && !output->is_last)
		output->rest_until = ticks_ms() + TERMINAL_REST_MS;
	else
		end(output, channel);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void read_chunk(struct output *output, uint32_t channel)
{
	size_t want = smaller(smaller(output->credit, CHUNK), link_room() - END_ROOM);
	uint8_t *place = link_begin();

	if (output->is_last && !output->is_terminal)
		want = smaller(want, output->last_bytes);
	ssize_t count = read(output->fd, place + 1, want);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		stop_reading(output, channel);
		return;
	}
	place[0] = output->stream;
	link_end(FRAME_OUTPUT, channel, (size_t)count + 1);
	output->credit -= (uint32_t)count;
	output->last_bytes -= smaller(output->last_bytes, (size_t)count);
}

void output_move(struct output *output, uint32_t channel, bool is_ready)
{
	if (output->ended || link_room() < ENOUGH_ROOM)
		return;
	if (is_ready && output->credit > 0 && !is_over(output))
		read_chunk(output, channel);
	if (!output->ended && is_over(output))
		end(output, channel);
}
