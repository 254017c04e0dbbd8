/*
 * The guest's side of cowshed: one static program that is /init of the initrd, and after that the agent. See docs/agent-protocol.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent.h"
#include "boot.h"
#include "console.h"
#include "small-files.h"

#define AGENT_NAME "@cowshed-agent"
#define MAX_FILES 4096

static void allow_many_files(void)
{
	const struct rlimit limit = { .rlim_cur = MAX_FILES, .rlim_max = MAX_FILES };
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * systemd spares processes whose name starts with @ when it kills what is left at shutdown (its rule for storage daemons of the
 * initrd). The name is written over argv and the environment behind it, which nobody needs any more.
 */
static void rename_self(char **argv, char **env)
{
	size_t room = strlen(argv[0]);

	for (char **next = env; *next && *next == argv[0] + room + 1; next++)
		room += 1 + strlen(*next);
	if (room >= strlen(AGENT_NAME)) {
		memset(argv[0], 0, room);
		strcpy(argv[0], AGENT_NAME);
	}
	prctl(PR_SET_NAME, "cowshed-agent");
}

static void be_spared(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || !write_all(fd, "-1000", 5))
		console_say("cannot protect the agent from the OOM killer: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static _Noreturn void be_init(char **argv, char **env)
{
	struct cmdline cmdline;

	boot(&cmdline);
	rename_self(argv, env);
	be_spared();
	allow_many_files();
	agent_prepare();
	if (!link_open_port(cmdline.key, &agent_events))
		boot_fail(FAILURE_NO_CHANNEL, 0);
	agent_run();
}

/* For tests of the protocol: serves a unix socket on whatever machine this is, and refuses what would touch the machine as a whole. */
static int serve(int argc, char **argv)
{
	uint8_t key[KEY_BYTES];
	bool is_jailed = argc == 7 && strcmp(argv[5], "--jail") == 0;

	if (strcmp(argv[1], "--listen") != 0 || strcmp(argv[3], "--key") != 0 || !parse_key(argv[4], key) ||
	    (argc == 7 && !is_jailed))
		return 2;
	agent_prepare();
	if (!link_listen(argv[2], key, &agent_events)) {
		perror(argv[2]);
		return 1;
	}
	/* Where frames that nobody thought of can break nothing. */
	if (is_jailed && (chroot(argv[6]) != 0 || chdir("/") != 0 || setgroups(0, NULL) != 0 || setgid(65534) != 0 ||
			  setuid(65534) != 0)) {
		perror(argv[6]);
		return 1;
	}
	/* Whoever started this may connect now. */
	puts("listening");
	fflush(stdout);
	agent_run();
}

int main(int argc, char **argv, char **env)
{
	int outcome = 2;

	if (getpid() == 1)
		be_init(argv, env);
	if (argc == 5 || argc == 7)
		outcome = serve(argc, argv);
	if (outcome == 2)
		fprintf(stderr, "usage: cowshed-agent --listen SOCKET --key 32-HEX-DIGITS [--jail DIRECTORY]\n");
	return outcome;
}
