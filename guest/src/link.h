/*
 * The one connection to the host: a byte stream on which a host may vanish and another appear in the middle of a frame. Takes
 * it apart into frames, and keeps a bounded queue of what is to be sent.
 */
#ifndef COWSHED_LINK_H
#define COWSHED_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmdline.h"

struct link_events {
	/* A host has synchronised: whatever an earlier one had is to be dropped. HELLO is expected to be sent. */
	void (*host_came)(void);
	/* The host is gone, or as good as gone. May be called again for one that has been gone before. */
	void (*host_gone)(void);
	void (*frame)(uint8_t type, uint32_t channel, const uint8_t *payload, size_t length);
};

/* Waits for the virtio-serial port of the agent and opens it. False: there is none. */
bool link_open_port(const uint8_t key[KEY_BYTES], const struct link_events *events);

/* Listens on a unix socket instead, one connection after the other, for tests without a machine. */
bool link_listen(const char *path, const uint8_t key[KEY_BYTES], const struct link_events *events);

/* What to poll(), and for how long at most (-1: no limit). */
struct pollfd link_poll(int *timeout);

/* Takes what has come, and sends what is queued, as far as both go without waiting. */
void link_receive(void);
void link_flush(void);

/* Largest payload that a frame sent now may have; 0 while there is no synchronised host. */
size_t link_room(void);

/* Queues a frame. The payload must fit link_room(). */
void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length);

/* The same without a copy: fill what link_begin() returns, at most link_room() bytes, then say how many. Zero bytes: no frame. */
uint8_t *link_begin(void);
void link_end(uint8_t type, uint32_t channel, size_t length);

/* The host broke the protocol: says so and listens to nothing until the next SYNC. */
void link_fault(const char *reason);

#endif
