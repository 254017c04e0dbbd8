/* The root of a shed: an overlay of its upper over the lower, and the mounts inside it. */
#ifndef COWSHED_MOUNTS_H
#define COWSHED_MOUNTS_H

#include <stdbool.h>

/* Mounts /proc, /sys and /dev of the initrd, or fails the boot. */
void mount_kernel_filesystems(void);

struct root {
	/* An open directory of the upper's filesystem, by which it can be frozen and trimmed although no path leads to it any more. */
	int upper;
	/* This is the first boot of this upper. */
	bool fresh;
};

/* Finds the drives, mounts them and their overlay at /root, or fails the boot. */
struct root mount_root(void);

/*
 * Makes /root the root of this process and of all to come, frees the initrd's memory, and mounts what a running system expects
 * (/dev/pts, /dev/shm, /run). Fails the boot when it cannot.
 */
void enter_root(void);

#endif
