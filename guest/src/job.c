#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error-text.h"
#include "kernel.h"
#include "machine.h"
#include "protocol.h"
#include "small-files.h"

struct pair {
	int agent;
	int child;
};

static const struct pair no_pair = { -1, -1 };

static void close_pair(struct pair *pair)
{
	if (pair->agent >= 0)
		close(pair->agent);
	if (pair->child >= 0 && pair->child != pair->agent)
		close(pair->child);
	*pair = no_pair;
}

static bool open_status(struct pair *pair)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	*pair = (struct pair){ .agent = ends[0], .child = ends[1] };
	return true;
}

static bool open_pipe(struct pair *pair, bool agent_reads)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	*pair = agent_reads ? (struct pair){ .agent = ends[0], .child = ends[1] }
			    : (struct pair){ .agent = ends[1], .child = ends[0] };
	return true;
}

static bool open_pty(struct pair *pair)
{
	int unlock = 0;

	pair->agent = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pair->agent < 0 || ioctl(pair->agent, TIOCSPTLCK, &unlock) != 0)
		return false;
	pair->child = ioctl(pair->agent, IOCTL_OPEN_PTY_PEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return pair->child >= 0;
}

struct pairs {
	struct pair status, input, output, error;
};

static bool open_pairs(struct pairs *pairs, int streams)
{
	*pairs = (struct pairs){ no_pair, no_pair, no_pair, no_pair };
	return open_status(&pairs->status) &&
	       (streams & JOB_TTY ? open_pty(&pairs->output)
				  : (!(streams & JOB_INPUT) || open_pipe(&pairs->input, false)) &&
					    (!(streams & JOB_OUTPUT) || open_pipe(&pairs->output, true)) &&
					    (!(streams & JOB_STDERR) || open_pipe(&pairs->error, true)));
}

static void close_pairs(struct pairs *pairs)
{
	close_pair(&pairs->status);
	close_pair(&pairs->input);
	close_pair(&pairs->output);
	close_pair(&pairs->error);
}

/* Everything above 2 that is not in the list: descriptors of other channels would keep their streams from ending. */
static void close_others(const int *keep, size_t count)
{
	for (int fd = 3; fd < 4096; fd++) {
		int next = 4096;
		for (size_t i = 0; i < count; i++)
			if (keep[i] >= fd && keep[i] < next)
				next = keep[i];
		if (next > fd && syscall(SYS_close_range, fd, next - 1, 0) != 0)
			for (int each = fd; each < next; each++)
				close(each);
		fd = next;
	}
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The agent itself is never chosen by the OOM killer; what it starts may be. */
static void become_ordinary(void)
{
	if (!machine_owned())
		return;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || !write_all(fd, "0", 1))
		return;
	close(fd);
}

static _Noreturn void be_child(struct job *job, void (*run)(struct job *))
{
	const int keep[] = { job->status, job->input, job->output, job->error, machine_upper() };

	reset_signals();
	close_others(keep, sizeof keep / sizeof *keep);
	become_ordinary();
	run(job);
	_exit(1);
}

/* The description of a pty's master, a pipe's end or a socket is not shared with the child: this does not make the child's end non-blocking. */
static int without_waiting(struct pair *pair)
{
	if (pair->agent >= 0)
		fcntl(pair->agent, F_SETFL, fcntl(pair->agent, F_GETFL) | O_NONBLOCK);
	if (pair->child >= 0)
		close(pair->child);
	return pair->agent;
}

bool job_start(uint8_t type, const uint8_t *request, size_t length, int streams, void (*run)(struct job *),
	       struct job_ends *ends)
{
	struct pairs pairs;
	pid_t pid = -1;

	if (!open_pairs(&pairs, streams) || (pid = fork()) < 0) {
		int error = errno;
		close_pairs(&pairs);
		errno = error;
		return false;
	}
	if (pid == 0) {
		struct job job = { .type = type,
				   .request = { .next = request, .left = length },
				   .status = pairs.status.child,
				   .input = pairs.input.child,
				   .output = pairs.output.child,
				   .error = pairs.error.child };
		be_child(&job, run);
	}
	*ends = (struct job_ends){ .pid = pid,
				   .status = without_waiting(&pairs.status),
				   .input = without_waiting(&pairs.input),
				   .output = without_waiting(&pairs.output),
				   .error = without_waiting(&pairs.error) };
	return true;
}

static void tell(struct job *job, uint8_t type, const void *payload, size_t length)
{
	uint8_t message[JOB_MESSAGE_MAX];
	struct writer writer = { .bytes = message, .size = sizeof message };

	write_u8(&writer, type);
	write_raw(&writer, payload, length);
	if (writer.bad || send(job->status, message, writer.length, MSG_NOSIGNAL) < 0)
		_exit(1);
}

void job_started(struct job *job, const void *payload, size_t length)
{
	tell(job, FRAME_STARTED, payload, length);
}

_Noreturn void job_succeed(struct job *job, const void *reply, size_t length)
{
	tell(job, FRAME_OK, reply, length);
	_exit(0);
}

_Noreturn void job_refuse(struct job *job, int error, const char *text)
{
	uint8_t payload[1024];
	struct writer writer = { .bytes = payload, .size = sizeof payload };

	write_u16(&writer, (uint16_t)error);
	write_string(&writer, text);
	tell(job, FRAME_ERROR, payload, writer.length);
	_exit(1);
}

_Noreturn void job_fail(struct job *job, int error, const char *what)
{
	char text[768];

	snprintf(text, sizeof text, "%.512s: %s", what, error_text(error));
	job_refuse(job, error, text);
}
