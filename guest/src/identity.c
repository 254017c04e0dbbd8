#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "small-files.h"

#define NAME_SERVER "10.0.2.3"
#define ENTROPY_MAX 512

/* Leaves a file alone that says it already: writing it would copy it up into the upper at every boot. */
static bool ensure_line(const char *path, const char *line, mode_t mode)
{
	char found[128], text[128];
	ssize_t length = read_line_of_file(path, found, sizeof found);

	if (length >= 0 && strcmp(found, line) == 0)
		return true;
	snprintf(text, sizeof text, "%s\n", line);
	if (length >= 0 && rewrite_file(path, text))
		return true;
	mkdir("/etc", 0755);
	return replace_file(path, text, mode);
}

static void ensure_hosts(const char *hostname)
{
	char text[256];

	if (access("/etc/hosts", F_OK) == 0)
		return;
	snprintf(text, sizeof text,
		 "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t%s\n", hostname);
	replace_file("/etc/hosts", text, 0644);
}

bool identity_set_hostname(const char *hostname)
{
	if (sethostname(hostname, strlen(hostname)) != 0 || !ensure_line("/etc/hostname", hostname, 0644))
		return false;
	ensure_hosts(hostname);
	return true;
}

bool identity_set_machine_id(const char *machine_id)
{
	return ensure_line("/etc/machine-id", machine_id, 0444);
}

bool identity_add_entropy(const void *bytes, size_t length)
{
	struct {
		int bits;
		int size;
		char bytes[ENTROPY_MAX];
	} pool = { .bits = (int)length * 8, .size = (int)length };

	if (length > ENTROPY_MAX) {
		errno = EINVAL;
		return false;
	}
	memcpy(pool.bytes, bytes, length);
	int fd = open("/dev/random", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Without the second one the machines that go on from one memory would draw the same numbers until the kernel reseeds by itself, a minute later. */
	bool added = ioctl(fd, IOCTL_ADD_ENTROPY, &pool) == 0 && (ioctl(fd, IOCTL_RESEED) == 0 || errno == ENODATA);
	int error = errno;
	close(fd);
	errno = error;
	return added;
}

static bool has_name_server(void)
{
	char text[4096];

	return read_small_file("/etc/resolv.conf", text, sizeof text) > 0 &&
	       (strncmp(text, "nameserver", 10) == 0 || strstr(text, "\nnameserver"));
}

bool identity_set_name_server(bool fresh)
{
	if (!fresh && has_name_server())
		return true;
	mkdir("/etc", 0755);
	return replace_file("/etc/resolv.conf", "nameserver " NAME_SERVER "\n", 0644);
}
