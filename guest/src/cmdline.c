#include "cmdline.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "small-files.h"

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

static bool is_hex(const char *text, size_t length)
{
	if (strlen(text) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		if (hex_digit(text[i]) < 0)
			return false;
	return true;
}

bool parse_key(const char *hex, uint8_t key[KEY_BYTES])
{
	if (!is_hex(hex, 2 * KEY_BYTES))
		return false;
	for (size_t i = 0; i < KEY_BYTES; i++)
		key[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	return true;
}

static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);
	return strncmp(word, name, length) == 0 ? word + length : NULL;
}

static void take_word(struct cmdline *cmdline, const char *word)
{
	const char *value;

	if ((value = value_of(word, "cowshed.key=")))
		cmdline->has_key = parse_key(value, cmdline->key);
	else if ((value = value_of(word, "cowshed.hostname=")) && strlen(value) < sizeof cmdline->hostname)
		strcpy(cmdline->hostname, value);
	else if ((value = value_of(word, "cowshed.machine_id=")) && is_hex(value, sizeof cmdline->machine_id - 1))
		strcpy(cmdline->machine_id, value);
	else if ((value = value_of(word, "cowshed.net=")))
		cmdline->user_network = strcmp(value, "user") == 0;
	else if ((value = value_of(word, "cowshed.probe=")))
		cmdline->probe = strcmp(value, "1") == 0;
	else if ((value = value_of(word, "cowshed.init=")))
		cmdline->no_init = strcmp(value, "none") == 0;
	else if ((value = value_of(word, "cowshed.rootfs=")))
		cmdline->own_root = strcmp(value, "ext4") == 0;
	else if ((value = value_of(word, "cowshed.wait=")))
		cmdline->wait = strcmp(value, "1") == 0;
}

void cmdline_read(struct cmdline *cmdline)
{
	char text[4096];

	memset(cmdline, 0, sizeof *cmdline);
	if (read_small_file("/proc/cmdline", text, sizeof text) < 0)
		return;
	char *rest;
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		take_word(cmdline, word);
}
