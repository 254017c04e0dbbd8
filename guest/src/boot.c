#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"
#include "identity.h"
#include "machine.h"
#include "modules.h"
#include "mounts.h"
#include "network.h"
#include "power.h"
#include "renew.h"
#include "small-files.h"

/* A shed that cannot have one of these still boots: people can look into it and mend it. */
static void settle_in(const struct cmdline *cmdline, bool fresh)
{
	if (cmdline->hostname[0] && !identity_set_hostname(cmdline->hostname))
		console_say("cannot set the host name: %s", strerror(errno));
	/* Before the file that tells it is written: a boot that is cut off here does it again. */
	if (cmdline->machine_id[0] && was_of_another(cmdline->machine_id) && !renew_secrets())
		console_say("secrets of the machine that had this disk may be left: %s", strerror(errno));
	if (cmdline->machine_id[0] && !identity_set_machine_id(cmdline->machine_id))
		console_say("cannot write /etc/machine-id: %s", strerror(errno));
	network_loopback_up();
	if (!cmdline->user_network)
		return;
	if (!network_user_up())
		console_say("cannot set up the network: %s", strerror(errno));
	if (!identity_set_name_server(fresh))
		console_say("cannot write /etc/resolv.conf: %s", strerror(errno));
}

static _Noreturn void become_init(void)
{
	char *const argv[] = { "/sbin/init", NULL };
	char *const env[] = { "HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	execve(argv[0], argv, env);
	boot_fail(FAILURE_INIT_EXEC, errno);
}

/* Reads the one byte that is sent through a pipe. False: nobody will send any more. */
static bool await_byte(int pipe)
{
	char byte;
	ssize_t count;

	while ((count = read(pipe, &byte, 1)) < 0 && errno == EINTR)
		continue;
	return count == 1;
}

/* What the agent and the init to be have between them. -1: there is no init, or it has begun. */
static int word_to_begin = -1, init_runs = -1;
static bool is_waiting;

bool boot_is_waiting(void)
{
	return is_waiting;
}

/* No host may hear of a guest that is ready before its init is there. */
void boot_begin(void)
{
	is_waiting = false;
	if (word_to_begin < 0)
		return;
	if (!write_all(word_to_begin, "", 1))
		boot_fail(FAILURE_INIT_EXEC, errno);
	close(word_to_begin);
	/* The other process closes its end when it becomes init. */
	await_byte(init_runs);
	close(init_runs);
	word_to_begin = init_runs = -1;
}

/* PID 1 becomes the image's init when it is told to. Returns in the agent's process. */
static void hand_over_to_init(void)
{
	int begin[2], running[2];

	if (pipe2(begin, O_CLOEXEC) != 0 || pipe2(running, O_CLOEXEC) != 0)
		boot_fail(FAILURE_INIT_EXEC, errno);
	if (fork() != 0) {
		close(begin[1]);
		if (!await_byte(begin[0]))
			boot_fail(FAILURE_INIT_EXEC, 0);
		become_init();
	}
	close(begin[0]);
	close(running[1]);
	word_to_begin = begin[1];
	init_runs = running[0];
	/* A session of its own, or the terminal of the image's init would be its terminal too. */
	setsid();
}

static bool has_init(void)
{
	struct stat status;
	return stat("/sbin/init", &status) == 0 && S_ISREG(status.st_mode) && access("/sbin/init", X_OK) == 0;
}

void boot(struct cmdline *cmdline)
{
	umask(022);
	mount_kernel_filesystems();
	console_open();
	cmdline_read(cmdline);
	modules_load();
	if (cmdline->probe) {
		console_say("probe ok");
		power_off_now();
	}
	if (!cmdline->has_key)
		boot_fail(FAILURE_NO_KEY, 0);

	struct root root = cmdline->own_root ? mount_own_root() : mount_root();
	enter_root();
	settle_in(cmdline, root.fresh);
	machine_own(root.disk);
	if (!cmdline->no_init && has_init())
		hand_over_to_init();
	is_waiting = cmdline->wait;
	if (!is_waiting)
		boot_begin();
}
