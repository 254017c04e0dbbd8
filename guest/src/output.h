/* What a program or a file sends to the host, as far as the host wants it. Nothing is kept here: what is not wanted stays in its pipe. */
#ifndef COWSHED_OUTPUT_H
#define COWSHED_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output {
	int fd;
	uint8_t stream;
	bool is_terminal;
	bool ended;
	uint32_t credit;
	/* The program has ended: for a pipe that somebody else may hold open for ever, what is left to read; for a terminal, until when. */
	bool is_last;
	size_t last_bytes;
	int64_t last_moment;
	/* A terminal that nobody has open: when to look again. */
	int64_t rest_until;
	/* Its place among what was polled, counted from one; 0: it was not. */
	size_t polled;
};

/* With fd -1 it has ended before it began. */
void output_open(struct output *output, uint8_t stream, int fd, bool is_terminal);
void output_close(struct output *output);

/* The host wants more. False: it never had that much to give. */
bool output_add_credit(struct output *output, uint32_t bytes);

/* The program has ended: only what it has written by now still counts. */
void output_expect_last(struct output *output);

/* Whether it is worth being polled. */
bool output_is_wanted(const struct output *output);

/* Milliseconds until there is something to do without being told, or -1. */
int output_timeout(const struct output *output);

/* Sends a chunk of what is there if `is_ready`, and the end when there is one. */
void output_move(struct output *output, uint32_t channel, bool is_ready);

#endif
