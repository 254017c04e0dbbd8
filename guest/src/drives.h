/* Drives are found by the serial that the host gave them, since letters depend on the order of discovery. */
#ifndef COWSHED_DRIVES_H
#define COWSHED_DRIVES_H

#include <stdbool.h>

#define DRIVE_PATH_SIZE 64

/* Waits for the block device with this serial and puts its path (/dev/vdX) into `path`. False: it did not show up in time. */
bool drive_find(const char *serial, char path[DRIVE_PATH_SIZE]);

#endif
