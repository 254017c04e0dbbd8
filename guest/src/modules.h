/* Kernel modules that the initrd carries. */
#ifndef COWSHED_MODULES_H
#define COWSHED_MODULES_H

/*
 * Loads every file that /modules/order names, one a line, in that order. One that fails is named on the console and passed
 * over: what really needs it fails with a number of its own.
 */
void modules_load(void);

#endif
