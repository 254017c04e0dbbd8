/* Files of the guest, for the host. Each is a job of its own and runs with the agent's rights. */
#ifndef COWSHED_FILES_H
#define COWSHED_FILES_H

#include "job.h"

_Noreturn void files_stat(struct job *job);
_Noreturn void files_list(struct job *job);
_Noreturn void files_read(struct job *job);
_Noreturn void files_write(struct job *job);
_Noreturn void files_make_directory(struct job *job);
_Noreturn void files_remove(struct job *job);
_Noreturn void files_symlink(struct job *job);
_Noreturn void files_readlink(struct job *job);

#endif
