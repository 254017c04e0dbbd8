#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "exec.h"
#include "files.h"
#include "link.h"
#include "machine-jobs.h"
#include "machine.h"
#include "power.h"
#include "protocol.h"
#include "ticks.h"

/* Not worth a frame: an output waits until the queue has at least this much room. */
#define OUTPUT_ROOM 4096
#define OUTPUT_CHUNK 32768
/* Input credit is returned in portions. The rest of the window stays with the host, so it can always go on. */
#define CREDIT_PORTION (INPUT_WINDOW / 4)
/* What every output leaves free in the queue, so that the frame that ends it has room. */
#define END_ROOM 64
/* How long a terminal may take to say that it is done after its program has ended. */
#define TERMINAL_GRACE_MS 1000

struct output {
	int fd;
	uint8_t stream;
	bool ended;
	uint32_t credit;
	/* What is left to read once the program has ended; somebody else may hold the pipe open for ever. */
	bool is_last;
	size_t last_bytes;
	/* Its place among what was polled, counted from one; 0: it was not. */
	size_t polled;
};

struct input {
	int fd;
	bool end_asked;
	uint8_t *ring;
	size_t start, length;
	uint32_t credit_due;
	size_t polled;
};

struct channel {
	/* 0: not in use */
	uint32_t id;
	uint8_t type;
	pid_t pid;
	bool is_exec, is_tty;

	int status;
	size_t status_polled;
	bool started, ended;
	int wait_status;
	int64_t terminal_deadline;

	/* A message of the job that is not sent yet: its frame type and payload. */
	uint8_t *message;
	size_t message_length;

	struct output outputs[2];
	struct input input;
};

static struct channel channels[MAX_CHANNELS];
static uint32_t last_id;
static size_t first_turn;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A terminal's one descriptor is both its input and its output. */
static void close_input(struct channel *channel)
{
	if (channel->is_tty)
		channel->input.fd = -1;
	close_fd(&channel->input.fd);
	free(channel->input.ring);
	channel->input.ring = NULL;
	channel->input.length = 0;
}

static void forget(struct channel *channel)
{
	close_input(channel);
	close_fd(&channel->status);
	close_fd(&channel->outputs[0].fd);
	close_fd(&channel->outputs[1].fd);
	free(channel->message);
	memset(channel, 0, sizeof *channel);
}

static struct channel *find(uint32_t id)
{
	for (size_t i = 0; id != 0 && i < MAX_CHANNELS; i++)
		if (channels[i].id == id)
			return &channels[i];
	return NULL;
}

/* Opening */

static void make_empty(struct channel *channel, uint8_t type, uint32_t id)
{
	*channel = (struct channel){ .id = id, .type = type, .status = -1, .input = { .fd = -1 } };
	channel->outputs[0] = (struct output){ .fd = -1, .stream = STREAM_STDOUT, .ended = true };
	channel->outputs[1] = (struct output){ .fd = -1, .stream = STREAM_STDERR, .ended = true };
}

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

static void hold_message(struct channel *channel, const void *message, size_t length)
{
	channel->message = malloc(length);
	channel->message_length = channel->message ? length : 0;
	if (channel->message)
		memcpy(channel->message, message, length);
}

static void hold_error(struct channel *channel, int error, const char *what)
{
	uint8_t message[600];
	struct writer writer = { .bytes = message, .size = sizeof message };

	write_u8(&writer, FRAME_ERROR);
	write_u16(&writer, (uint16_t)error);
	write_string(&writer, what);
	hold_message(channel, message, writer.length);
}

static void open_output(struct output *output, int fd)
{
	output->fd = fd;
	output->ended = fd < 0;
	output->credit = OUTPUT_WINDOW;
}

static void start(struct channel *channel, const uint8_t *payload, size_t length, int streams,
		  void (*run)(struct job *))
{
	struct job_ends ends;

	if (!job_start(channel->type, payload, length, streams, run, &ends)) {
		hold_error(channel, errno, "cannot start a process in the guest");
		return;
	}
	channel->pid = ends.pid;
	channel->status = ends.status;
	channel->is_tty = streams & JOB_TTY;
	channel->input.fd = channel->is_tty ? ends.output : ends.input;
	open_output(&channel->outputs[0], ends.output);
	open_output(&channel->outputs[1], ends.error);
}

static const struct request {
	void (*run)(struct job *);
	int streams;
	/* Only for an agent that booted this machine. */
	bool is_machine;
	/* Would wait until the upper is thawed. */
	bool writes;
} requests[] = {
	[FRAME_STAT] = { .run = files_stat },
	[FRAME_LIST] = { .run = files_list, .streams = JOB_OUTPUT },
	[FRAME_READ] = { .run = files_read, .streams = JOB_OUTPUT },
	[FRAME_WRITE] = { .run = files_write, .streams = JOB_INPUT, .writes = true },
	[FRAME_MKDIR] = { .run = files_make_directory, .writes = true },
	[FRAME_REMOVE] = { .run = files_remove, .writes = true },
	[FRAME_SYMLINK] = { .run = files_symlink, .writes = true },
	[FRAME_READLINK] = { .run = files_readlink },
	[FRAME_SYNC] = { .run = machine_sync, .is_machine = true },
	[FRAME_FREEZE] = { .run = machine_freeze, .is_machine = true, .writes = true },
	[FRAME_THAW] = { .run = machine_thaw, .is_machine = true },
	[FRAME_TRIM] = { .run = machine_trim, .is_machine = true, .writes = true },
	[FRAME_CLOCK] = { .run = machine_set_clock, .is_machine = true },
	[FRAME_IDENTITY] = { .run = machine_set_identity, .is_machine = true, .writes = true },
};

static void start_request(struct channel *channel, const uint8_t *payload, size_t length)
{
	const struct request *request = &requests[channel->type];

	if (request->is_machine && !machine_owned()) {
		hold_error(channel, EPERM, "this agent did not boot this machine");
		return;
	}
	if (request->writes && machine_frozen()) {
		hold_error(channel, EBUSY, "the filesystem is frozen");
		return;
	}
	start(channel, payload, length, request->streams, request->run);
	if (channel->type == FRAME_FREEZE && channel->pid)
		machine_freezing(channel->pid);
	if (channel->type == FRAME_THAW)
		machine_thawing();
}

static void start_exec(struct channel *channel, const uint8_t *payload, size_t length)
{
	int streams;

	channel->is_exec = true;
	if (exec_streams((struct reader){ .next = payload, .left = length }, &streams))
		start(channel, payload, length, streams, exec_run);
	else
		hold_error(channel, EPROTO, "not a valid EXEC request");
}

static void start_poweroff(struct channel *channel, const uint8_t *payload, size_t length)
{
	struct reader request = { .next = payload, .left = length };
	uint32_t grace_ms = read_u32(&request);
	const uint8_t ok = FRAME_OK;

	if (!machine_owned() || !read_to_end(&request)) {
		hold_error(channel, EPERM, "this agent cannot power off this machine");
		return;
	}
	machine_host_gone();
	power_begin(POWER_OFF, grace_ms);
	hold_message(channel, &ok, 1);
}

bool channel_open(uint8_t type, uint32_t id, const uint8_t *payload, size_t length)
{
	struct channel *channel = claim(type, id);

	if (!channel)
		return false;
	if (type == FRAME_EXEC)
		start_exec(channel, payload, length);
	else if (type == FRAME_POWEROFF)
		start_poweroff(channel, payload, length);
	else
		start_request(channel, payload, length);
	return true;
}

/* Frames on an open channel */

static void drain_input(struct channel *channel)
{
	struct input *input = &channel->input;

	while (input->length > 0 && input->fd >= 0) {
		size_t to_end = INPUT_WINDOW - input->start;
		ssize_t count = write(input->fd, input->ring + input->start, input->length < to_end ? input->length : to_end);
		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			/* Nobody reads any more. The host may go on sending, into nothing. */
			input->credit_due += (uint32_t)input->length;
			close_input(channel);
			return;
		}
		input->start = (input->start + (size_t)count) % INPUT_WINDOW;
		input->length -= (size_t)count;
		input->credit_due += (uint32_t)count;
	}
}

/* A terminal has no end of input but the character that stands for it (termios(3), VEOF). */
static void end_terminal_input(int terminal)
{
	struct termios modes;
	cc_t character = 4;

	if (tcgetattr(terminal, &modes) == 0)
		character = modes.c_cc[VEOF];
	if (write(terminal, &character, 1) < 0)
		return;
}

static void end_input_when_drained(struct channel *channel)
{
	struct input *input = &channel->input;

	if (!input->end_asked || input->length > 0 || input->fd < 0)
		return;
	if (channel->is_tty)
		end_terminal_input(input->fd);
	else if (!channel->is_exec)
		/* Tells a WRITE that this end of its pipe is the end of the file. */
		send(channel->status, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close_input(channel);
}

static bool take_input(struct channel *channel, const uint8_t *bytes, size_t length)
{
	struct input *input = &channel->input;

	if (input->end_asked || length > INPUT_WINDOW - input->length - input->credit_due)
		return false;
	if (input->fd >= 0 && !input->ring && !(input->ring = malloc(INPUT_WINDOW)))
		close_input(channel);
	if (input->fd < 0) {
		input->credit_due += (uint32_t)length;
		return true;
	}
	for (size_t done = 0; done < length;) {
		size_t place = (input->start + input->length) % INPUT_WINDOW;
		size_t count = length - done < INPUT_WINDOW - place ? length - done : INPUT_WINDOW - place;
		memcpy(input->ring + place, bytes + done, count);
		input->length += count;
		done += count;
	}
	drain_input(channel);
	return true;
}

static bool take_credit(struct channel *channel, struct reader frame)
{
	uint8_t stream = read_u8(&frame);
	uint32_t bytes = read_u32(&frame);

	if (!read_to_end(&frame) || stream < STREAM_STDOUT || stream > STREAM_STDERR)
		return false;
	struct output *output = &channel->outputs[stream - STREAM_STDOUT];
	if (bytes > OUTPUT_WINDOW - output->credit)
		return output->ended;
	output->credit += bytes;
	return true;
}

static bool resize(struct channel *channel, struct reader frame)
{
	struct winsize size = { .ws_row = read_u16(&frame), .ws_col = read_u16(&frame) };

	if (channel->is_tty && channel->outputs[0].fd >= 0)
		ioctl(channel->outputs[0].fd, TIOCSWINSZ, &size);
	return read_to_end(&frame);
}

static void signal_group(const struct channel *channel, int number)
{
	/* Before the program has become the leader of its own group there is only itself. */
	if (!channel->ended && kill(-channel->pid, number) != 0)
		kill(channel->pid, number);
}

static bool send_signal(struct channel *channel, struct reader frame)
{
	uint8_t number = read_u8(&frame);

	if (!read_to_end(&frame) || number == 0 || number > 64)
		return false;
	if (channel->is_exec && channel->pid)
		signal_group(channel, number);
	return true;
}

/* What has been started is let go of. A WRITE that sees the end of its pipe without the word that it is complete undoes itself. */
static void let_go(struct channel *channel)
{
	if (!channel->pid || channel->ended)
		return;
	if (channel->is_exec) {
		signal_group(channel, SIGHUP);
		signal_group(channel, SIGCONT);
	} else if (!requests[channel->type].is_machine && channel->type != FRAME_WRITE) {
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
	hold_error(channel, ECANCELED, "cancelled by the host");
}

bool channel_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length)
{
	struct channel *channel = find(id);
	struct reader frame = { .next = payload, .left = length };

	if (!channel)
		return id != 0 && id <= last_id;
	switch (type) {
	case FRAME_INPUT:
		return take_input(channel, payload, length);
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

static bool was_ready(const struct pollfd *polls, size_t place)
{
	return polls && place > 0 && polls[place - 1].revents != 0;
}

static bool is_final(const struct channel *channel)
{
	return channel->message && channel->message[0] != FRAME_STARTED;
}

static bool send_message(struct channel *channel)
{
	if (link_room() < channel->message_length)
		return false;
	link_send(channel->message[0], channel->id, channel->message + 1, channel->message_length - 1);
	free(channel->message);
	channel->message = NULL;
	return true;
}

static void status_ended(struct channel *channel)
{
	uint8_t message[5];
	struct writer writer = { .bytes = message, .size = sizeof message };

	close_fd(&channel->status);
	if (!channel->is_exec) {
		hold_error(channel, EIO, "the agent's helper process died");
		return;
	}
	/* The socket closed itself when the program took over. */
	write_u8(&writer, FRAME_STARTED);
	write_u32(&writer, (uint32_t)channel->pid);
	hold_message(channel, message, writer.length);
}

static void read_status(struct channel *channel)
{
	uint8_t message[JOB_MESSAGE_MAX];

	ssize_t count = recv(channel->status, message, sizeof message, 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0)
		hold_message(channel, message, (size_t)count);
	else
		status_ended(channel);
	if (is_final(channel) && channel->is_exec)
		channel->outputs[0].ended = channel->outputs[1].ended = true;
}

static void end_output(struct channel *channel, struct output *output)
{
	if (output->fd == channel->input.fd)
		close_input(channel);
	close_fd(&output->fd);
	output->ended = true;
	link_send(FRAME_OUTPUT_END, channel->id, &output->stream, 1);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Whether there will be nothing more, although the stream itself may never say so. */
static bool is_over(const struct channel *channel, const struct output *output)
{
	if (!output->is_last)
		return false;
	return channel->is_tty ? ticks_ms() >= channel->terminal_deadline : output->last_bytes == 0;
}

static void read_output(struct channel *channel, struct output *output)
{
	size_t want = smaller(smaller(output->credit, OUTPUT_CHUNK), link_room() - END_ROOM);
	uint8_t *place = link_begin();

	if (output->is_last && !channel->is_tty)
		want = smaller(want, output->last_bytes);
	ssize_t count = read(output->fd, place + 1, want);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		end_output(channel, output);
		return;
	}
	place[0] = output->stream;
	link_end(FRAME_OUTPUT, channel->id, (size_t)count + 1);
	output->credit -= (uint32_t)count;
	output->last_bytes -= smaller(output->last_bytes, (size_t)count);
}

static void move_output(struct channel *channel, struct output *output, bool is_ready)
{
	if (output->ended || link_room() < OUTPUT_ROOM)
		return;
	if (is_ready && output->credit > 0 && !(output->is_last && !channel->is_tty && output->last_bytes == 0))
		read_output(channel, output);
	if (!output->ended && is_over(channel, output))
		end_output(channel, output);
}

static void return_credit(struct channel *channel)
{
	uint8_t payload[4];
	struct writer writer = { .bytes = payload, .size = sizeof payload };

	if (channel->input.credit_due < CREDIT_PORTION || link_room() < sizeof payload)
		return;
	write_u32(&writer, channel->input.credit_due);
	link_send(FRAME_INPUT_CREDIT, channel->id, payload, sizeof payload);
	channel->input.credit_due = 0;
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

static void finish_when_done(struct channel *channel)
{
	bool all_out = !channel->started || (channel->outputs[0].ended && channel->outputs[1].ended);

	if (is_final(channel) && all_out) {
		if (send_message(channel))
			forget(channel);
	} else if (channel->is_exec && channel->started && channel->ended && all_out) {
		send_exit(channel);
	}
}

static void turn(struct channel *channel, const struct pollfd *polls)
{
	if (was_ready(polls, channel->status_polled))
		read_status(channel);
	if (channel->message && !is_final(channel) && send_message(channel))
		channel->started = true;
	for (size_t i = 0; channel->started && i < 2; i++)
		move_output(channel, &channel->outputs[i], was_ready(polls, channel->outputs[i].polled));
	if (was_ready(polls, channel->input.polled))
		drain_input(channel);
	end_input_when_drained(channel);
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

static void lower_timeout(const struct channel *channel, int *timeout)
{
	if (!channel->is_tty || !channel->outputs[0].is_last || channel->outputs[0].ended)
		return;
	int64_t left = channel->terminal_deadline - ticks_ms();
	if (left >= 0 && (*timeout < 0 || left < *timeout))
		*timeout = (int)left;
}

/* Only what can be acted on is polled: a stream that has hung up would otherwise wake the agent again and again. */
size_t channels_poll(struct pollfd *polls, int *timeout)
{
	bool has_room = link_room() >= OUTPUT_ROOM;
	size_t count = 0;

	for (size_t i = 0; i < MAX_CHANNELS; i++) {
		struct channel *channel = &channels[i];
		if (channel->id == 0)
			continue;
		add_poll(polls, &count, &channel->status_polled, !channel->message, channel->status, POLLIN);
		for (struct output *output = channel->outputs; output < channel->outputs + 2; output++)
			add_poll(polls, &count, &output->polled,
				 channel->started && !output->ended && has_room && output->credit > 0, output->fd, POLLIN);
		add_poll(polls, &count, &channel->input.polled, channel->input.length > 0, channel->input.fd, POLLOUT);
		lower_timeout(channel, timeout);
	}
	return count;
}

static void expect_last_bytes(struct output *output)
{
	int left = 0;

	if (output->ended)
		return;
	if (ioctl(output->fd, FIONREAD, &left) != 0)
		left = 0;
	output->is_last = true;
	output->last_bytes = (size_t)left;
}

void channels_child_ended(pid_t child, int wait_status)
{
	for (struct channel *channel = channels; channel < channels + MAX_CHANNELS; channel++) {
		if (channel->id == 0 || channel->pid != child)
			continue;
		channel->ended = true;
		channel->wait_status = wait_status;
		channel->terminal_deadline = ticks_ms() + TERMINAL_GRACE_MS;
		if (!channel->is_exec)
			continue;
		expect_last_bytes(&channel->outputs[0]);
		expect_last_bytes(&channel->outputs[1]);
	}
}
