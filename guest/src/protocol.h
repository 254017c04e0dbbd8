/*
 * The numbers of the protocol between host and agent; docs/agent-protocol.md explains them. The host's side is
 * src/formats/agent/; a test compares the two.
 */
#ifndef COWSHED_PROTOCOL_H
#define COWSHED_PROTOCOL_H

#define PROTOCOL_VERSION 1
#define AGENT_VERSION "0.1.0"

/* A frame: u32 length of the payload, u32 channel, u8 type, three zero bytes, the payload. All numbers are little-endian. */
#define HEADER_BYTES 12
#define MAX_PAYLOAD 65536
#define NONCE_BYTES 16
#define MAX_CHANNELS 128

/* What may be under way without a CREDIT: agent → host per output stream, host → agent per channel. */
#define OUTPUT_WINDOW 262144
#define INPUT_WINDOW 65536

enum frame_type {
	/* host → agent: each of these opens a channel */
	FRAME_EXEC = 1,
	FRAME_STAT = 2,
	FRAME_LIST = 3,
	FRAME_READ = 4,
	FRAME_WRITE = 5,
	FRAME_MKDIR = 6,
	FRAME_REMOVE = 7,
	FRAME_SYMLINK = 8,
	FRAME_READLINK = 9,
	FRAME_SYNC = 10,
	FRAME_FREEZE = 11,
	FRAME_THAW = 12,
	FRAME_TRIM = 13,
	FRAME_CLOCK = 14,
	FRAME_IDENTITY = 15,
	FRAME_POWEROFF = 16,
	FRAME_MOUNT = 17,
	FRAME_GROW = 18,
	FRAME_BEGIN = 19,
	/* host → agent: on an open channel */
	FRAME_INPUT = 32,
	FRAME_INPUT_END = 33,
	FRAME_OUTPUT_CREDIT = 34,
	FRAME_RESIZE = 35,
	FRAME_SIGNAL = 36,
	FRAME_CANCEL = 37,
	/* agent → host: on channel 0 */
	FRAME_HELLO = 64,
	FRAME_READY = 65,
	FRAME_FAULT = 66,
	/* agent → host: on an open channel; OK, ERROR and EXIT end it */
	FRAME_OK = 67,
	FRAME_ERROR = 68,
	FRAME_STARTED = 69,
	FRAME_OUTPUT = 70,
	FRAME_OUTPUT_END = 71,
	FRAME_INPUT_CREDIT = 72,
	FRAME_EXIT = 73,
};

#define STREAM_STDOUT 1
#define STREAM_STDERR 2

#define EXEC_STDIN 1
#define EXEC_TTY 2

#define WRITE_OWNER 1
#define WRITE_MTIME 2

#define MKDIR_PARENTS 1
#define REMOVE_RECURSIVE 1
#define STAT_FOLLOW 1
#define MOUNT_READ_ONLY 1

#endif
