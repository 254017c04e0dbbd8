#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "machine.h"
#include "small-files.h"
#include "ticks.h"
#include "volumes.h"

/* How often an agent that is PID 1 looks whether everybody has gone; the host gets its reply before the first look. */
#define LOOK_INTERVAL_MS 20

static struct {
	bool pending;
	enum power_action action;
	int64_t first_look;
	int64_t deadline;
} shutdown_state;

_Noreturn void power_off_now(void)
{
	reboot(RB_POWER_OFF);
	/* A machine without a power switch: QEMU runs with -no-reboot and ends here instead. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* sysvinit listens on a FIFO for a request of this shape (initreq.h). */
static bool ask_sysvinit(const char *fifo, char runlevel)
{
	struct {
		int32_t magic;
		int32_t command;
		int32_t runlevel;
		int32_t sleep_time;
		char reserved[368];
	} request = { .magic = 0x03091969, .command = 1, .runlevel = runlevel, .sleep_time = 3 };

	int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	struct stat status;
	bool asked = fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
		     write(fd, &request, sizeof request) == sizeof request;
	close(fd);
	return asked;
}

/* Debian's sysvinit waits up to 10 s for all processes but those that are named here to end, then kills them (/etc/init.d/sendsigs). */
static void be_spared_by_sysvinit(void)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	mkdir("/run/sendsigs.omit.d", 0755);
	replace_file("/run/sendsigs.omit.d/cowshed-agent", pid, 0644);
}

/* systemd(1), busybox init and s6-svscan each have signals of their own for this. */
static void ask_init(enum power_action action)
{
	bool off = action == POWER_OFF;

	if (access("/run/systemd/system", F_OK) == 0) {
		kill(1, GLIBC_SIGRTMIN + (off ? 4 : 5));
		return;
	}
	be_spared_by_sysvinit();
	if (ask_sysvinit("/run/initctl", off ? '0' : '6') || ask_sysvinit("/dev/initctl", off ? '0' : '6'))
		return;
	kill(1, off ? SIGUSR2 : SIGTERM);
}

void power_begin(enum power_action action, uint32_t grace_ms)
{
	if (shutdown_state.pending)
		return;
	shutdown_state.pending = true;
	shutdown_state.action = action;
	shutdown_state.first_look = ticks_ms() + LOOK_INTERVAL_MS;
	shutdown_state.deadline = shutdown_state.first_look + grace_ms;
	if (getpid() == 1) {
		kill(-1, SIGTERM);
		kill(-1, SIGCONT);
	} else {
		ask_init(action);
	}
}

bool power_pending(void)
{
	return shutdown_state.pending;
}

int power_timeout(void)
{
	if (!shutdown_state.pending)
		return -1;
	if (getpid() == 1)
		return LOOK_INTERVAL_MS;
	int64_t left = shutdown_state.deadline - ticks_ms();
	return left < 0 ? 0 : (int)left;
}

static bool nobody_left(void)
{
	siginfo_t child;
	return getpid() == 1 && ticks_ms() >= shutdown_state.first_look &&
	       waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* Read-only through the directory that the agent keeps open: the mount is hidden below the root, no path leads to it. */
static void remount_read_only(int fd)
{
	char path[32];

	if (fd < 0)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

void power_continue(void)
{
	if (!shutdown_state.pending || (ticks_ms() < shutdown_state.deadline && !nobody_left()))
		return;
	kill(-1, SIGKILL);
	machine_thaw_now();
	sync();
	volumes_unmount();
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	remount_read_only(machine_upper());
	sync();
	if (shutdown_state.action == POWER_RESET)
		reboot(RB_AUTOBOOT);
	power_off_now();
}
