/**
 * daemon: the API, and the one place where all rooms are wired up.
 *
 * Belongs here: routes, their HTTP, the life of the daemon process.
 * Promises: one daemon per data directory; VMs outlive it; an answer is what the contract says or an error of the contract.
 * Never: does what a room below can do.
 */
export { setUpBtrfs } from './btrfs/set-up-btrfs.ts'
export { serve } from './serve.ts'
