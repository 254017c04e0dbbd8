#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot.h"
#include "bytes.h"
#include "channel.h"
#include "kernel.h"
#include "machine.h"
#include "power.h"
#include "protocol.h"
#include "small-files.h"
#include "ticks.h"

/* How long processes have when the guest powers itself off, without an init of its own. */
#define OWN_GRACE_MS 5000

static int wake_pipe[2];
static volatile sig_atomic_t asked_for_off, asked_for_reset;

static void wake(int number)
{
	int error = errno;

	if (number == SIGTERM)
		asked_for_reset = 1;
	else if (number != SIGCHLD && number != SIGIO)
		asked_for_off = 1;
	/* A full pipe wakes as well as one with a byte more. */
	if (write(wake_pipe[1], "", 1) < 0)
		errno = error;
	errno = error;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigaction(number, &action, NULL);
}

/* What poweroff, halt and reboot of the usual inits send to PID 1. An agent beside an init hears none of it. */
void agent_prepare(void)
{
	const int power_signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPWR, GLIBC_SIGRTMIN + 4 };
	void (*power_handler)(int) = getpid() == 1 ? wake : SIG_IGN;

	if (pipe2(wake_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
		_exit(1);
	handle(SIGCHLD, wake);
	handle(SIGIO, wake);
	handle(SIGPIPE, SIG_IGN);
	handle(SIGHUP, SIG_IGN);
	if (!machine_owned())
		return;
	for (size_t i = 0; i < sizeof power_signals / sizeof *power_signals; i++)
		handle(power_signals[i], power_handler);
}

static void send_hello(void)
{
	uint8_t payload[256];
	char boot_id[64] = "";
	struct writer writer = { .bytes = payload, .size = sizeof payload };

	read_line_of_file("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
	write_u16(&writer, PROTOCOL_VERSION);
	write_string(&writer, AGENT_VERSION);
	write_string(&writer, boot_id);
	link_send(FRAME_HELLO, 0, payload, writer.length);
}

static int64_t ready_at;

static void send_ready(void)
{
	uint8_t payload[8];
	struct writer writer = { .bytes = payload, .size = sizeof payload };

	write_u64(&writer, (uint64_t)ready_at);
	link_send(FRAME_READY, 0, payload, writer.length);
}

static void let_go_of_host(void)
{
	channels_drop();
	machine_host_gone();
}

static void meet_host(void)
{
	let_go_of_host();
	send_hello();
	if (!boot_is_waiting())
		send_ready();
}

static void begin(void)
{
	if (!boot_is_waiting())
		return;
	boot_begin();
	ready_at = ticks_ms();
	send_ready();
}

static void take_frame(uint8_t type, uint32_t channel, const uint8_t *payload, size_t length)
{
	bool ok = false;

	if (type >= FRAME_EXEC && type <= FRAME_BEGIN)
		ok = channel_open(type, channel, payload, length);
	else if (type >= FRAME_INPUT && type <= FRAME_CANCEL)
		ok = channel_frame(type, channel, payload, length);
	if (ok && type == FRAME_BEGIN)
		begin();
	if (!ok)
		link_fault("a frame is against the rules of the protocol");
}

const struct link_events agent_events = { .host_came = meet_host, .host_gone = let_go_of_host, .frame = take_frame };

static void reap(void)
{
	int status;

	for (pid_t child; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
		machine_child_ended(child, WIFEXITED(status) && WEXITSTATUS(status) == 0);
		channels_child_ended(child, status);
	}
}

static void drain_wake_pipe(void)
{
	char bytes[64];

	while (read(wake_pipe[0], bytes, sizeof bytes) > 0)
		continue;
}

static void heed_signals(void)
{
	drain_wake_pipe();
	reap();
	if (asked_for_off)
		power_begin(POWER_OFF, OWN_GRACE_MS);
	else if (asked_for_reset)
		power_begin(POWER_RESET, OWN_GRACE_MS);
}

/* Without an init it is the agent who ends everybody; power_begin() has sent SIGTERM. */
static void hang_up_once(void)
{
	static bool done;

	if (done || !power_pending() || getpid() != 1)
		return;
	done = true;
	channels_hang_up();
}

static int shorter(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

_Noreturn void agent_run(void)
{
	static struct pollfd polls[2 + CHANNEL_POLLS];

	ready_at = ticks_ms();
	for (;;) {
		int timeout;
		polls[0] = link_poll(&timeout);
		polls[1] = (struct pollfd){ .fd = wake_pipe[0], .events = POLLIN };
		timeout = shorter(shorter(timeout, power_timeout()), machine_timeout());
		size_t count = channels_poll(polls + 2, &timeout);

		poll(polls, 2 + count, timeout);
		heed_signals();
		/* Before the link: a new host may drop the channels that were polled. After it: frames may have given them something to do. */
		channels_turn(polls + 2);
		link_receive();
		hang_up_once();
		channels_turn(NULL);
		link_flush();
		power_continue();
		machine_continue();
	}
}
