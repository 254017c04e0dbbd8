/* What the host says on the kernel command line: words of the form cowshed.<name>=<value>. */
#ifndef COWSHED_CMDLINE_H
#define COWSHED_CMDLINE_H

#include <stdbool.h>
#include <stdint.h>

#define KEY_BYTES 16

struct cmdline {
	bool has_key;
	uint8_t key[KEY_BYTES];
	char hostname[65];
	char machine_id[33];
	bool user_network;
	bool probe;
	/* cowshed.init=none: the agent stays PID 1 even if the image has an init. */
	bool no_init;
	/* cowshed.rootfs=ext4: the root is a filesystem on one drive, not an overlay. */
	bool own_root;
	/* cowshed.wait=1: the host has things to say before the image's init begins. */
	bool wait;
};

/* Reads /proc/cmdline. What is missing or not valid stays empty. */
void cmdline_read(struct cmdline *cmdline);

/* 32 hex digits → 16 bytes. */
bool parse_key(const char *hex, uint8_t key[KEY_BYTES]);

#endif
