#include "channel-start.h"

#include <errno.h>
#include <stdio.h>

#include "error-text.h"
#include "exec.h"
#include "job.h"
#include "machine.h"
#include "power.h"
#include "requests.h"

static void start_job(struct channel *channel, struct reader request, int streams, void (*run)(struct job *))
{
	struct job_ends ends;
	bool is_terminal = streams & JOB_TTY;

	if (!job_start(channel->type, request.next, request.left, streams, run, &ends)) {
		message_hold_error(&channel->message, errno, "cannot start a process in the guest");
		return;
	}
	channel->pid = ends.pid;
	channel->status = ends.status;
	input_open(&channel->input, is_terminal ? ends.output : ends.input, is_terminal);
	output_open(&channel->outputs[0], STREAM_STDOUT, ends.output, is_terminal);
	output_open(&channel->outputs[1], STREAM_STDERR, ends.error, false);
}

static void start_exec(struct channel *channel, struct reader request)
{
	int streams;

	if (exec_streams(request, &streams))
		start_job(channel, request, streams, exec_run);
	else
		message_hold_error(&channel->message, EPROTO, "not a valid EXEC request");
}

static void start_poweroff(struct channel *channel, struct reader request)
{
	uint32_t grace_ms = read_u32(&request);
	const uint8_t ok = FRAME_OK;

	if (!machine_owned() || !read_to_end(&request)) {
		message_hold_error(&channel->message, EPERM, "this agent cannot power off this machine");
		return;
	}
	machine_host_gone();
	power_begin(POWER_OFF, grace_ms);
	message_hold(&channel->message, &ok, 1);
}

/* The agent does what it says before it sends this. */
static void start_begin(struct channel *channel)
{
	const uint8_t ok = FRAME_OK;

	message_hold(&channel->message, &ok, 1);
}

static void do_at_once(struct channel *channel, const struct request *request, struct reader frame)
{
	const uint8_t ok = FRAME_OK;
	const char *failed = request->at_once(&frame);
	int error = errno;
	char text[768];

	if (!failed) {
		message_hold(&channel->message, &ok, 1);
		return;
	}
	snprintf(text, sizeof text, "%s: %s", failed, error_text(error));
	message_hold_error(&channel->message, error, text);
}

static void start_request(struct channel *channel, struct reader frame)
{
	const struct request *request = request_find(channel->type);

	if (!request) {
		message_hold_error(&channel->message, ENOSYS, "no such request");
		return;
	}
	if (request->is_machine && !machine_owned()) {
		message_hold_error(&channel->message, EPERM, "this agent did not boot this machine");
		return;
	}
	if (request->writes && machine_frozen()) {
		message_hold_error(&channel->message, EBUSY, "the filesystem is frozen");
		return;
	}
	if (request->at_once && !(request->takes_long && request->takes_long())) {
		do_at_once(channel, request, frame);
		return;
	}
	start_job(channel, frame, request->streams, request->run);
	if (channel->type == FRAME_FREEZE && channel->pid)
		machine_freezing(channel->pid, read_u32(&frame));
	if (channel->type == FRAME_THAW)
		machine_thawing();
}

void channel_start(struct channel *channel, struct reader request)
{
	if (channel->type == FRAME_EXEC)
		start_exec(channel, request);
	else if (channel->type == FRAME_POWEROFF)
		start_poweroff(channel, request);
	else if (channel->type == FRAME_BEGIN)
		start_begin(channel);
	else
		start_request(channel, request);
}
