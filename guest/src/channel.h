/*
 * Channels: what the host has under way. Each is a job with up to two streams of output and one of input, every stream with a
 * window of its own, so that one that nobody reads holds up no other and no queue grows without bound.
 */
#ifndef COWSHED_CHANNEL_H
#define COWSHED_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "job.h"

struct pollfd;

/* Room for everything that channels_poll() may want to poll. */
#define CHANNEL_POLLS (4 * MAX_CHANNELS)

/* Opens a channel for a request. False: the host broke the rules (its number is not new, or too many are open). */
bool channel_open(uint8_t type, uint32_t id, const uint8_t *payload, size_t length);

/* A frame on a channel. One whose channel has ended in the meantime is passed over. False: the host broke the rules. */
bool channel_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length);

/* Drops all channels: their processes get SIGHUP, their streams are closed. A new host counts from one again. */
void channels_drop(void);

/* SIGHUP for every program on a terminal, as if that had been closed: an interactive shell heeds nothing less. */
void channels_hang_up(void);

/* Fills `polls` with what channels wait for. Returns how many; lowers `timeout` (milliseconds, -1: none) as needed. */
size_t channels_poll(struct pollfd *polls, int *timeout);

/* Moves whatever can be moved without waiting. `polls` as channels_poll() filled it, after poll(); NULL: nothing new is ready. */
void channels_turn(const struct pollfd *polls);

/* A child of the agent has ended. */
void channels_child_ended(pid_t child, int wait_status);

#endif
