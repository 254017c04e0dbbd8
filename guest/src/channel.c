#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel-start.h"
#include "link.h"
#include "requests.h"

static struct channel channels[MAX_CHANNELS];
static uint32_t last_id;
static size_t first_turn;

static void make_empty(struct channel *channel, uint8_t type, uint32_t id)
{
	*channel = (struct channel){ .id = id, .type = type, .status = -1 };
	input_open(&channel->input, -1, false);
	output_open(&channel->outputs[0], STREAM_STDOUT, -1, false);
	output_open(&channel->outputs[1], STREAM_STDERR, -1, false);
}

static void close_status(struct channel *channel)
{
	if (channel->status >= 0)
		close(channel->status);
	channel->status = -1;
}

static void forget(struct channel *channel)
{
	input_close(&channel->input);
	output_close(&channel->outputs[0]);
	output_close(&channel->outputs[1]);
	close_status(channel);
	message_drop(&channel->message);
	make_empty(channel, 0, 0);
}

static struct channel *find(uint32_t id)
{
	for (size_t i = 0; id != 0 && i < MAX_CHANNELS; i++)
		if (channels[i].id == id)
			return &channels[i];
	return NULL;
}

/* Opening */

static struct channel *claim(uint8_t type, uint32_t id)
{
	if (id <= last_id)
		return NULL;
	for (size_t i = 0; i < MAX_CHANNELS; i++) {
		if (channels[i].id != 0)
			continue;
		last_id = id;
		make_empty(&channels[i], type, id);
		return &channels[i];
	}
	return NULL;
}

bool channel_open(uint8_t type, uint32_t id, const uint8_t *payload, size_t length)
{
	struct channel *channel = claim(type, id);

	if (channel)
		channel_start(channel, (struct reader){ .next = payload, .left = length });
	return channel != NULL;
}

/* Frames on an open channel */

static bool take_credit(struct channel *channel, struct reader frame)
{
	uint8_t stream = read_u8(&frame);
	uint32_t bytes = read_u32(&frame);

	if (!read_to_end(&frame) || stream < STREAM_STDOUT || stream > STREAM_STDERR)
		return false;
	return output_add_credit(&channel->outputs[stream - STREAM_STDOUT], bytes);
}

static bool resize(struct channel *channel, struct reader frame)
{
	struct winsize size = { .ws_row = read_u16(&frame), .ws_col = read_u16(&frame) };
	const struct output *terminal = &channel->outputs[0];

	if (terminal->is_terminal && terminal->fd >= 0)
		ioctl(terminal->fd, TIOCSWINSZ, &size);
	return read_to_end(&frame);
}

static void signal_group(const struct channel *channel, int number)
{
	/* Before the program has become the leader of its own group there is only itself. */
	if (kill(-channel->pid, number) != 0)
		kill(channel->pid, number);
}

static bool send_signal(struct channel *channel, struct reader frame)
{
	uint8_t number = read_u8(&frame);

	if (!read_to_end(&frame) || number == 0 || number > 64)
		return false;
	if (is_exec(channel) && channel->pid && !channel->ended)
		signal_group(channel, number);
	return true;
}

/* What has been started is let go of. A WRITE that sees the end of its pipe without the word that it is complete undoes itself. */
static void let_go(struct channel *channel)
{
	const struct request *request = request_find(channel->type);

	if (!channel->pid || channel->ended)
		return;
	if (is_exec(channel)) {
		signal_group(channel, SIGHUP);
		signal_group(channel, SIGCONT);
	} else if (request && request->is_harmless) {
		kill(channel->pid, SIGKILL);
	}
}

static void cancel(struct channel *channel)
{
	uint32_t id = channel->id;
	uint8_t type = channel->type;

	let_go(channel);
	forget(channel);
	make_empty(channel, type, id);
	message_hold_error(&channel->message, ECANCELED, "cancelled by the host");
}

bool channel_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length)
{
	struct channel *channel = find(id);
	struct reader frame = { .next = payload, .left = length };

	if (!channel)
		return id != 0 && id <= last_id;
	switch (type) {
	case FRAME_INPUT:
		return input_take(&channel->input, payload, length);
	case FRAME_INPUT_END:
		channel->input.end_asked = true;
		return true;
	case FRAME_OUTPUT_CREDIT:
		return take_credit(channel, frame);
	case FRAME_RESIZE:
		return resize(channel, frame);
	case FRAME_SIGNAL:
		return send_signal(channel, frame);
	case FRAME_CANCEL:
		cancel(channel);
		return true;
	default:
		return false;
	}
}

void channels_hang_up(void)
{
	for (size_t i = 0; i < MAX_CHANNELS; i++)
		if (channels[i].id != 0 && channels[i].outputs[0].is_terminal)
			let_go(&channels[i]);
}

void channels_drop(void)
{
	for (size_t i = 0; i < MAX_CHANNELS; i++) {
		if (channels[i].id == 0)
			continue;
		let_go(&channels[i]);
		forget(&channels[i]);
	}
	last_id = 0;
}

/* Moving things along */

static void status_ended(struct channel *channel)
{
	uint8_t message[5];
	struct writer writer = { .bytes = message, .size = sizeof message };

	close_status(channel);
	if (!is_exec(channel)) {
		message_hold_error(&channel->message, EIO, "the agent's helper process died");
		return;
	}
	/* The socket closed itself when the program took over. */
	write_u8(&writer, FRAME_STARTED);
	write_u32(&writer, (uint32_t)channel->pid);
	message_hold(&channel->message, message, writer.length);
}

static void read_status(struct channel *channel)
{
	uint8_t message[JOB_MESSAGE_MAX];

	ssize_t count = recv(channel->status, message, sizeof message, 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0)
		message_hold(&channel->message, message, (size_t)count);
	else
		status_ended(channel);
}

static void finish_input(struct channel *channel)
{
	if (!input_is_done(&channel->input))
		return;
	/* Tells a WRITE that this end of its pipe is the end of the file. */
	if (channel->type == FRAME_WRITE)
		send(channel->status, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	input_finish(&channel->input);
}

static void return_credit(struct channel *channel)
{
	uint8_t payload[4];
	struct writer writer = { .bytes = payload, .size = sizeof payload };
	uint32_t credit = link_room() < sizeof payload ? 0 : input_returned_credit(&channel->input);

	if (credit == 0)
		return;
	write_u32(&writer, credit);
	link_send(FRAME_INPUT_CREDIT, channel->id, payload, sizeof payload);
}

static void send_exit(struct channel *channel)
{
	uint8_t payload[2];
	int status = channel->wait_status;
	struct writer writer = { .bytes = payload, .size = sizeof payload };

	if (link_room() < sizeof payload)
		return;
	write_u8(&writer, WIFEXITED(status) ? (uint8_t)WEXITSTATUS(status) : 0);
	write_u8(&writer, WIFSIGNALED(status) ? (uint8_t)WTERMSIG(status) : 0);
	link_send(FRAME_EXIT, channel->id, payload, sizeof payload);
	forget(channel);
}

/* What never started has no output either, whatever its job had opened for it. */
static bool is_all_out(const struct channel *channel)
{
	return !channel->started || (channel->outputs[0].ended && channel->outputs[1].ended);
}

static void finish_when_done(struct channel *channel)
{
	if (!is_all_out(channel))
		return;
	if (message_is_final(&channel->message)) {
		if (message_send(&channel->message, channel->id))
			forget(channel);
	} else if (is_exec(channel) && channel->started && channel->ended) {
		send_exit(channel);
	}
}

static bool was_ready(const struct pollfd *polls, size_t place)
{
	return polls && place > 0 && polls[place - 1].revents != 0;
}

static void turn(struct channel *channel, const struct pollfd *polls)
{
	if (was_ready(polls, channel->status_polled))
		read_status(channel);
	if (channel->message.bytes && !message_is_final(&channel->message) && message_send(&channel->message, channel->id))
		channel->started = true;
	for (struct output *output = channel->outputs; channel->started && output < channel->outputs + 2; output++)
		output_move(output, channel->id, was_ready(polls, output->polled));
	if (channel->outputs[0].is_terminal && channel->outputs[0].ended)
		input_close(&channel->input);
	if (was_ready(polls, channel->input.polled))
		input_drain(&channel->input);
	finish_input(channel);
	return_credit(channel);
	finish_when_done(channel);
}

void channels_turn(const struct pollfd *polls)
{
	/* Whoever was first this time is last the next time, so that all get their share of the queue. */
	for (size_t i = 0; i < MAX_CHANNELS; i++) {
		struct channel *channel = &channels[(first_turn + i) % MAX_CHANNELS];
		if (channel->id != 0)
			turn(channel, polls);
	}
	first_turn = (first_turn + 1) % MAX_CHANNELS;
}

static void add_poll(struct pollfd *polls, size_t *count, size_t *place, bool wanted, int fd, short events)
{
	*place = 0;
	if (!wanted || fd < 0)
		return;
	polls[*count] = (struct pollfd){ .fd = fd, .events = events };
	*place = ++*count;
}

/* Only what can be acted on is polled: a stream that has hung up would otherwise wake the agent again and again. */
size_t channels_poll(struct pollfd *polls, int *timeout)
{
	size_t count = 0;

	for (size_t i = 0; i < MAX_CHANNELS; i++) {
		struct channel *channel = &channels[i];
		if (channel->id == 0)
			continue;
		add_poll(polls, &count, &channel->status_polled, !channel->message.bytes, channel->status, POLLIN);
		for (struct output *output = channel->outputs; output < channel->outputs + 2; output++)
			add_poll(polls, &count, &output->polled, channel->started && output_is_wanted(output), output->fd, POLLIN);
		add_poll(polls, &count, &channel->input.polled, channel->input.length > 0, channel->input.fd, POLLOUT);
		int left = output_timeout(&channel->outputs[0]);
		if (left >= 0 && (*timeout < 0 || left < *timeout))
			*timeout = left;
	}
	return count;
}

void channels_child_ended(pid_t child, int wait_status)
{
	for (struct channel *channel = channels; channel < channels + MAX_CHANNELS; channel++) {
		if (channel->id == 0 || channel->pid != child)
			continue;
		channel->ended = true;
		channel->wait_status = wait_status;
		if (!is_exec(channel))
			continue;
		output_expect_last(&channel->outputs[0]);
		output_expect_last(&channel->outputs[1]);
	}
}
