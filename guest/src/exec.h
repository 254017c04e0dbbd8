/* Running the programs that the host asks for. */
#ifndef COWSHED_EXEC_H
#define COWSHED_EXEC_H

#include "job.h"

/*
 * The job of an EXEC request: becomes the program. Says ERROR when there is no such user or directory; a program that cannot be
 * found or run says so on stderr and exits with 127 or 126, as in a shell.
 */
_Noreturn void exec_run(struct job *job);

/* Which streams the request asks for. False: it is not a valid request. */
bool exec_streams(struct reader request, int *streams);

#endif
