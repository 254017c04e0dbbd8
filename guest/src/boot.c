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

/* A shed that cannot have one of these still boots: people can look into it and mend it. */
static void settle_in(const struct cmdline *cmdline, bool fresh)
{
	if (cmdline->hostname[0] && !identity_set_hostname(cmdline->hostname))
		console_say("cannot set the host name: %s", strerror(errno));
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

/* The image's init becomes PID 1. Returns in the agent's process once that is sure: no host may hear of a guest that is ready before. */
static void hand_over_to_init(void)
{
	int running[2];
	char byte;

	if (pipe2(running, O_CLOEXEC) != 0)
		boot_fail(FAILURE_INIT_EXEC, errno);
	if (fork() != 0)
		become_init();
	/* The other process closes its end when it becomes init. */
	close(running[1]);
	while (read(running[0], &byte, 1) < 0 && errno == EINTR)
		continue;
	close(running[0]);
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
}
