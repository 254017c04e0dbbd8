/**
 * formats: bytes in, values out, and back.
 *
 * Belongs here: tar, cpio, erofs, OCI documents, the layer index, the agent's wire format: whatever is a format and not a place.
 * Promises: parsers trust no byte: any input gives a value or a Problem, in bounded memory; writers are deterministic.
 * Never: does I/O.
 */
export * from './erofs/index.ts'
