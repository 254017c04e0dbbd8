#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"
#include "small-files.h"

static int load(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "/modules/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = syscall(SYS_finit_module, fd, "", 0) == 0 ? 0 : errno;
	close(fd);
	return error;
}

void modules_load(void)
{
	static char order[16384];
	char *rest;

	if (read_small_file("/modules/order", order, sizeof order) < 0)
		return;
	for (char *name = strtok_r(order, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		int error = load(name);
		/* ENODEV: the processor lacks what crc32c-intel and its like are for. EEXIST: it is built in. */
		if (error != 0 && error != EEXIST && error != ENODEV)
			console_say("module %s: %s", name, strerror(error));
	}
}
