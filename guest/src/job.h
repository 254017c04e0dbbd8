/*
 * Work that may wait (for a disk, a frozen filesystem, a FIFO) is done in a child process, so that the agent itself never waits.
 * A job talks to the agent through a status socket, one message a frame, and through pipes for what streams in and out.
 */
#ifndef COWSHED_JOB_H
#define COWSHED_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/* Largest message of a job: a link target and its count fit. */
#define JOB_MESSAGE_MAX 8192

/* What the child has. A descriptor that was not asked for is -1. */
struct job {
	uint8_t type;
	struct reader request;
	int status;
	int input;
	int output;
	int error;
};

/* What the agent has of it. All ends are non-blocking. */
struct job_ends {
	pid_t pid;
	int status;
	int input;
	int output;
	int error;
};

enum job_streams { JOB_INPUT = 1, JOB_OUTPUT = 2, JOB_STDERR = 4, JOB_TTY = 8 };

/*
 * Forks a child that runs the job with the streams it asked for and never returns here. With JOB_TTY input and output of the
 * agent are both the master of a new pty and the child's are its slave. False with errno: there is no child.
 */
bool job_start(uint8_t type, const uint8_t *request, size_t length, int streams, void (*run)(struct job *),
	       struct job_ends *ends);

/* In the child: says OK, or ERROR with an errno and "what: why", and exits. Exit code 0 means OK. */
_Noreturn void job_succeed(struct job *job, const void *reply, size_t length);
_Noreturn void job_fail(struct job *job, int error, const char *what);
/* The same with a text of its own, of at most 768 bytes. */
_Noreturn void job_refuse(struct job *job, int error, const char *text);

/* In the child: says STARTED. */
void job_started(struct job *job, const void *payload, size_t length);

#endif
