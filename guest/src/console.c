#include "console.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error-text.h"
#include "power.h"

void console_open(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (int standard = 0; standard <= 2; standard++)
		dup2(fd, standard);
	if (fd > 2)
		close(fd);
}

void console_say(const char *format, ...)
{
	char line[512] = "cowshed: ";
	size_t prefix = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	strcat(line, "\n");
	/* Nobody can be told that the console is gone. */
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

static const char *failure_text(enum boot_failure failure)
{
	switch (failure) {
#define AS_CASE(number, name, text) case FAILURE_##name: return text;
	BOOT_FAILURES(AS_CASE)
#undef AS_CASE
	}
	return "unknown";
}

_Noreturn void boot_fail(enum boot_failure failure, int error)
{
	const char *text = failure_text(failure);

	if (error != 0)
		console_say("boot failure %d: %s: %s", (int)failure, text, error_text(error));
	else
		console_say("boot failure %d: %s", (int)failure, text);
	power_off_now();
}
