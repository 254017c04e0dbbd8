/* Who this machine is: its names, its seed, and the files that say so. */
#ifndef COWSHED_IDENTITY_H
#define COWSHED_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

/* Sets the host name and /etc/hostname; makes /etc/hosts when there is none. False with errno. */
bool identity_set_hostname(const char *hostname);

/* Writes /etc/machine-id: 32 hex digits. False with errno. */
bool identity_set_machine_id(const char *machine_id);

/* Stirs bytes into the kernel's random pool, credits them as entropy, and has all that is drawn from now on depend on them. At most 512 bytes. False with errno. */
bool identity_add_entropy(const void *bytes, size_t length);

/*
 * Makes DNS work over QEMU's user-mode network. A fresh root always gets the name server; later on only an /etc/resolv.conf that
 * cannot work is replaced (missing, a dangling symlink as on systemd images, or without a name server), so that what a user
 * wrote there stays.
 */
bool identity_set_name_server(bool fresh);

#endif
