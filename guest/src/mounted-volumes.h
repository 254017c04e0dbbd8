/* The volumes that are mounted, as /proc/self/mountinfo says. */
#ifndef COWSHED_MOUNTED_VOLUMES_H
#define COWSHED_MOUNTED_VOLUMES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MAX_VOLUMES 16

struct mounted_volume {
	char serial[32];
	char path[PATH_MAX];
	dev_t device;
	bool read_only;
};

/* In the order in which they were mounted, each once. Returns how many. */
size_t mounted_volumes(struct mounted_volume volumes[MAX_VOLUMES]);

/* A directory of it, unless something else is mounted over it. -1 with errno. */
int mounted_volume_open(const struct mounted_volume *volume);

#endif
