/* What the host sends to a program, a terminal or a file, on its way there: at most a window of it is kept. */
#ifndef COWSHED_INPUT_H
#define COWSHED_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
	/* -1: nobody takes it (any more); it is dropped. */
	int fd;
	/* The descriptor is also the terminal's output, whose it is to close. */
	bool is_terminal;
	bool end_asked;
	uint8_t *ring;
	size_t start, length;
	/* Passed on, but not yet told to the host. */
	uint32_t credit_due;
	/* Its place among what was polled, counted from one; 0: it was not. */
	size_t polled;
};

void input_open(struct input *input, int fd, bool is_terminal);
void input_close(struct input *input);

/* Takes what the host sent. False: it may not send that much, or said before that it had ended. */
bool input_take(struct input *input, const uint8_t *bytes, size_t length);

/* Passes on what can be passed on without waiting. */
void input_drain(struct input *input);

/* Whether the host has ended it and all of it is passed on. */
bool input_is_done(const struct input *input);

/* Lets the reader see the end: closes a pipe, types on a terminal what stands for the end. */
void input_finish(struct input *input);

/* How much credit the host gets back now; 0 until it is worth a frame. */
uint32_t input_returned_credit(struct input *input);

#endif
