/* Little-endian numbers and counted strings, read from and written to memory without ever going past its end. */
#ifndef COWSHED_BYTES_H
#define COWSHED_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left to read. Once something did not fit, `bad` is set and every further read gives zero. */
struct reader {
	const uint8_t *next;
	size_t left;
	bool bad;
};

uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);

/* A u32 length and that many bytes, which stay where they are. */
const uint8_t *read_bytes(struct reader *reader, size_t *length);

/* The same as a C string in fresh memory. A NUL inside is bad. Returns "" when bad, never NULL. */
char *read_string(struct reader *reader);

/* Whether everything was read and all of it was there. */
bool read_to_end(const struct reader *reader);

/* Space to write into. What does not fit is dropped and `bad` set. */
struct writer {
	uint8_t *bytes;
	size_t size;
	size_t length;
	bool bad;
};

void write_u8(struct writer *writer, uint8_t value);
void write_u16(struct writer *writer, uint16_t value);
void write_u32(struct writer *writer, uint32_t value);
void write_u64(struct writer *writer, uint64_t value);
void write_raw(struct writer *writer, const void *bytes, size_t length);
/* A u32 length and the bytes. */
void write_bytes(struct writer *writer, const void *bytes, size_t length);
void write_string(struct writer *writer, const char *text);

#endif
