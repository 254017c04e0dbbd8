/* The root of a shed, an overlay of its upper over the lower or a filesystem of its own, and the mounts inside it. */
#ifndef COWSHED_MOUNTS_H
#define COWSHED_MOUNTS_H

#include <stdbool.h>

/* Mounts /proc, /sys and /dev of the initrd, or fails the boot. */
void mount_kernel_filesystems(void);

struct root {
	/* An open directory of the writable filesystem, by which it can be frozen and trimmed although no path leads to an upper any more. */
	int disk;
	/* This is its first boot. */
	bool fresh;
};

/* Finds the drives, mounts them and their overlay at /root, or fails the boot. */
struct root mount_root(void);

/* Mounts the one drive that has the whole root at /root, or fails the boot. What a crash left in its journal is replayed. */
struct root mount_own_root(void);

/*
 * Makes /root the root of this process and of all to come, frees the initrd's memory, and mounts what a running system expects
 * (/dev/pts, /dev/shm, /run). Fails the boot when it cannot.
 */
void enter_root(void);

#endif
