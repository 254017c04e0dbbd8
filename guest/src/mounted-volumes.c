#include "mounted-volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "small-files.h"
#include "volumes.h"

static bool is_volume(unsigned int major, unsigned int minor, char serial[32])
{
	char path[64];

	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/serial", major, minor);
	return read_line_of_file(path, serial, 32) > 0 && strncmp(serial, VOLUME_SERIAL, strlen(VOLUME_SERIAL)) == 0;
}

/* Spaces, tabs, newlines and backslashes are \ooo (proc_pid_mountinfo(5)). */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int code;
		if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/vdc ro,errors=continue" */
static bool parse(const char *line, struct mounted_volume *volume)
{
	unsigned int major, minor;
	char root[8], options[8];
	const char *rest = strstr(line, " - ");

	/* Only all of it: a part that is mounted elsewhere as well is the same filesystem. */
	if (!rest || sscanf(line, "%*u %*u %u:%u %7s %4095s", &major, &minor, root, volume->path) != 4 ||
	    strcmp(root, "/") != 0 || sscanf(rest, " - %*s %*s %7[^,\n]", options) != 1 ||
	    !is_volume(major, minor, volume->serial))
		return false;
	unescape(volume->path);
	volume->device = makedev(major, minor);
	volume->read_only = strcmp(options, "ro") == 0;
	return true;
}

static bool is_listed(const struct mounted_volume *volumes, size_t count, dev_t device)
{
	for (size_t i = 0; i < count; i++)
		if (volumes[i].device == device)
			return true;
	return false;
}

size_t mounted_volumes(struct mounted_volume volumes[MAX_VOLUMES])
{
	size_t count = 0, room = 0;
	char *line = NULL;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	if (!mounts)
		return 0;
	while (count < MAX_VOLUMES && getline(&line, &room, mounts) > 0)
		if (parse(line, &volumes[count]) && !is_listed(volumes, count, volumes[count].device))
			count++;
	free(line);
	fclose(mounts);
	return count;
}

int mounted_volume_open(const struct mounted_volume *volume)
{
	struct stat status;
	int fd = open(volume->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && status.st_dev == volume->device)
		return fd;
	close(fd);
	errno = ENOTDIR;
	return -1;
}
