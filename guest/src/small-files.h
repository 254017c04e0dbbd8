/* Files of a few bytes, read and written whole. */
#ifndef COWSHED_SMALL_FILES_H
#define COWSHED_SMALL_FILES_H

#include <stdbool.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes and ends them with NUL. Returns the length, or -1 with errno. */
ssize_t read_small_file(const char *path, char *buffer, size_t size);

/* The same without the white space at the end. */
ssize_t read_line_of_file(const char *path, char *buffer, size_t size);

/* Makes `path` a regular file with this text by a rename, whatever it was before: a symlink is replaced, not followed. */
bool replace_file(const char *path, const char *text, mode_t mode);

/*
 * Gives a regular file of one name another text where it is, which takes a guest whose code is all cold a fraction of what a new file and a rename take. A crash
 * may leave some of both texts. False: it is something else, or cannot be written to.
 */
bool rewrite_file(const char *path, const char *text);

/* Writes all of it, however often the kernel takes only a part. */
bool write_all(int fd, const void *bytes, size_t length);

#endif
