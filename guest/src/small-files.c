#include "small-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t read_small_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = 0;
	ssize_t count;
	while (length < size - 1 && (count = read(fd, buffer + length, size - 1 - length)) > 0)
		length += (size_t)count;
	close(fd);
	buffer[length] = '\0';
	return (ssize_t)length;
}

ssize_t read_line_of_file(const char *path, char *buffer, size_t size)
{
	ssize_t length = read_small_file(path, buffer, size);
	while (length > 0 && strchr(" \t\r\n", buffer[length - 1]))
		buffer[--length] = '\0';
	return length;
}

bool write_all(int fd, const void *bytes, size_t length)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t count = write(fd, next, length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		next += count;
		length -= (size_t)count;
	}
	return true;
}

bool replace_file(const char *path, const char *text, mode_t mode)
{
	char temporary[256];

	snprintf(temporary, sizeof temporary, "%s.cowshed", path);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return false;
	bool written = write_all(fd, text, strlen(text)) && fchmod(fd, mode) == 0;
	close(fd);
	if (written && rename(temporary, path) == 0)
		return true;
	unlink(temporary);
	return false;
}

bool rewrite_file(const char *path, const char *text)
{
	struct stat found;
	size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool written = fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 &&
		       write_all(fd, text, length) &&
		       ((size_t)found.st_size <= length || ftruncate(fd, (off_t)length) == 0);
	close(fd);
	return written;
}
