/* The network of a shed: the loopback, and QEMU's user-mode network when there is one. */
#ifndef COWSHED_NETWORK_H
#define COWSHED_NETWORK_H

#include <stdbool.h>

void network_loopback_up(void);

/*
 * Gives the first virtio network interface the address that QEMU's user-mode network expects: 10.0.2.15/24 with the router at
 * 10.0.2.2. False with errno when it cannot; a shed without a network still boots.
 */
bool network_user_up(void);

#endif
