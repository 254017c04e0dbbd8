#include "bytes.h"

#include <stdlib.h>
#include <string.h>

static uint64_t read_number(struct reader *reader, size_t size)
{
	uint64_t value = 0;

	if (reader->bad || reader->left < size) {
		reader->bad = true;
		return 0;
	}
	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)reader->next[i] << (8 * i);
	reader->next += size;
	reader->left -= size;
	return value;
}

uint8_t read_u8(struct reader *reader)
{
	return (uint8_t)read_number(reader, 1);
}

uint16_t read_u16(struct reader *reader)
{
	return (uint16_t)read_number(reader, 2);
}

uint32_t read_u32(struct reader *reader)
{
	return (uint32_t)read_number(reader, 4);
}

uint64_t read_u64(struct reader *reader)
{
	return read_number(reader, 8);
}

const uint8_t *read_bytes(struct reader *reader, size_t *length)
{
	*length = read_u32(reader);
	if (reader->bad || reader->left < *length) {
		reader->bad = true;
		*length = 0;
		return reader->next;
	}
	const uint8_t *bytes = reader->next;
	reader->next += *length;
	reader->left -= *length;
	return bytes;
}

char *read_string(struct reader *reader)
{
	static char empty[1];
	size_t length;
	const uint8_t *bytes = read_bytes(reader, &length);
	char *text = memchr(bytes, 0, length) ? NULL : malloc(length + 1);

	if (!text) {
		reader->bad = true;
		return empty;
	}
	memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}

bool read_to_end(const struct reader *reader)
{
	return !reader->bad && reader->left == 0;
}

void write_raw(struct writer *writer, const void *bytes, size_t length)
{
	if (writer->bad || writer->size - writer->length < length) {
		writer->bad = true;
		return;
	}
	/* No bytes may come from nowhere, which memcpy() does not allow. */
	if (length > 0)
		memcpy(writer->bytes + writer->length, bytes, length);
	writer->length += length;
}

static void write_number(struct writer *writer, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	write_raw(writer, bytes, size);
}

void write_u8(struct writer *writer, uint8_t value)
{
	write_number(writer, value, 1);
}

void write_u16(struct writer *writer, uint16_t value)
{
	write_number(writer, value, 2);
}

void write_u32(struct writer *writer, uint32_t value)
{
	write_number(writer, value, 4);
}

void write_u64(struct writer *writer, uint64_t value)
{
	write_number(writer, value, 8);
}

void write_bytes(struct writer *writer, const void *bytes, size_t length)
{
	write_u32(writer, (uint32_t)length);
	write_raw(writer, bytes, length);
}

void write_string(struct writer *writer, const char *text)
{
	write_bytes(writer, text, strlen(text));
}
