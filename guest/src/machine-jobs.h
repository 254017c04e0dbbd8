/* What is done to the machine as a whole, as jobs, and what the agent does at once: what has failed, with errno, or NULL. The agent asks machine_owned() before it starts any of them. */
#ifndef COWSHED_MACHINE_JOBS_H
#define COWSHED_MACHINE_JOBS_H

#include "job.h"

_Noreturn void machine_sync(struct job *job);
_Noreturn void machine_freeze(struct job *job);
_Noreturn void machine_thaw(struct job *job);
_Noreturn void machine_trim(struct job *job);
const char *machine_set_clock(struct reader *request);
const char *machine_set_identity(struct reader *request);
_Noreturn void machine_identity_job(struct job *job);

#endif
