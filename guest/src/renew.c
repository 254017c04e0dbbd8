#include "renew.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "small-files.h"

#define MACHINE_ID_DIGITS 32
#define KEY_FORMAT "/etc/ssh/ssh_host_%s_key"
#define NEW_KEY "/etc/ssh/.cowshed-new-key"

bool was_of_another(const char *machine_id)
{
	char found[128];
	ssize_t length = read_line_of_file("/etc/machine-id", found, sizeof found);

	/* Empty, or "uninitialized": machine-id(5). */
	if (length != MACHINE_ID_DIGITS || strcmp(found, machine_id) == 0)
		return false;
	for (const char *digit = found; *digit; digit++)
		if (!isxdigit((unsigned char)*digit))
			return false;
	return true;
}

static bool gone(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT;
}

static bool run(char *const argv[])
{
	char *const env[] = { "HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin", NULL };
	int status;
	pid_t child = fork();

	if (child == 0) {
		int nothing = open("/dev/null", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(nothing, fd);
		execve(argv[0], argv, env);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The key without the public half that belongs to it is no key to sshd, so the order does not matter. */
static bool take_new_key(const char *key, const char *public_key)
{
	return rename(NEW_KEY ".pub", public_key) == 0 && rename(NEW_KEY, key) == 0;
}

static bool renew_host_key(char *kind)
{
	char key[64], public_key[72], comment[80], hostname[65] = "";

	snprintf(key, sizeof key, KEY_FORMAT, kind);
	snprintf(public_key, sizeof public_key, "%s.pub", key);
	if (access(key, F_OK) != 0)
		return gone(public_key);
	gethostname(hostname, sizeof hostname - 1);
	snprintf(comment, sizeof comment, "root@%s", hostname);
	char *const argv[] = { "/usr/bin/ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", NEW_KEY, NULL };
	gone(NEW_KEY);
	gone(NEW_KEY ".pub");
	if (run(argv) && take_new_key(key, public_key))
		return true;
	return gone(key) && gone(public_key);
}

static char *const kinds[] = { "rsa", "ecdsa", "ed25519" };

bool renew_takes_long(void)
{
	char key[64];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(key, sizeof key, KEY_FORMAT, kinds[i]);
		if (access(key, F_OK) == 0)
			return true;
	}
	return false;
}

bool renew_secrets(void)
{
	bool ok = gone("/etc/ssh/ssh_host_dsa_key") & gone("/etc/ssh/ssh_host_dsa_key.pub") &
		  gone("/var/lib/systemd/random-seed");

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		ok &= renew_host_key(kinds[i]);
	return ok;
}

/* sshd(8): with SIGHUP it begins anew. What else may have its number by now is left alone. */
void renew_sshd(void)
{
	char number[32], path[64], name[32];

	if (read_line_of_file("/run/sshd.pid", number, sizeof number) < 0)
		return;
	int pid = atoi(number);
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	if (pid > 1 && read_line_of_file(path, name, sizeof name) >= 0 && strcmp(name, "sshd") == 0)
		kill(pid, SIGHUP);
}
