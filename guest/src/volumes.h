/* Volumes: drives besides those of the root, mounted where the host says. Which there are is the kernel's to know: nothing of it is remembered here. */
#ifndef COWSHED_VOLUMES_H
#define COWSHED_VOLUMES_H

#include "job.h"

/* The serials of volumes begin with this. */
#define VOLUME_SERIAL "volume-"

/* Jobs of the host. */
_Noreturn void volume_mount(struct job *job);
_Noreturn void volume_grow(struct job *job);

/* FITRIM on the volume with this serial. False with errno. */
bool volume_trim(const char *serial, uint64_t *bytes);

/* All that are mounted to be written to. False with errno, and none is frozen then. */
bool volumes_freeze(void);
void volumes_thaw(void);

/* Takes them off, for the end of a shutdown: a volume that was unmounted can be read by others. One that is still in use is made read-only. */
void volumes_unmount(void);

#endif
