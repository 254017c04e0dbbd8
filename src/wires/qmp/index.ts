/**
 * wires/qmp: the conversation with QEMU's monitor (QMP).
 *
 * Belongs here: connecting, commands and their answers, events.
 * Promises: every command ends in an answer or a Problem; what QEMU sends is bounded and checked.
 * Never: knows what a machine or a shed is, starts or ends a process.
 */
export { type ConnectQmp, connectQmp, type QmpConnection } from './connect-qmp.ts'
export type { QmpEvent, QmpGreeting, QmpObject } from './qmp-message.ts'
export { asObject } from './qmp-message.ts'
