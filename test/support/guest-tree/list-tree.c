/*
 * Lists every file of the root filesystem of the machine that it runs on, and nothing that is mounted on it: one line for each path with all that
 * stat, readlink, listxattr and the content say. It is put into a guest to see there what an image has become.
 *
 *     type mode uid gid seconds nanoseconds links dev ino size major minor path target sha256 xattrs
 *
 * Paths, targets, names and values are in hex, `-` when there is none; xattrs are name=value with commas between.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#define OPEN_TREE_CLONE 1

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "list-tree: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

/* FIPS 180-4, of this program's own: images need not have any. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
	0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, int bits)
{
	return word >> bits | word << (32 - bits);
}

static void sha256_block(uint32_t state[8], const unsigned char *bytes)
{
	uint32_t w[64], v[8];
	for (int i = 0; i < 16; i++, bytes += 4)
		w[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	memcpy(v, state, sizeof v);
	for (int i = 0; i < 64; i++) {
		uint32_t e = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
		uint32_t a = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
		uint32_t first = v[7] + e + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
		uint32_t second = a + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += first;
		v[0] = first + second;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

static void print_sha256(const char *name)
{
	static unsigned char bytes[1 << 16];
	uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint64_t total = 0;
	size_t filled = 0;
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		fail("open", name);
	for (;;) {
		ssize_t count = read(fd, bytes + filled, sizeof bytes - 128 - filled);
		if (count < 0)
			fail("read", name);
		if (count == 0)
			break;
		total += (uint64_t)count;
		filled += (size_t)count;
		size_t done = 0;
		for (; filled - done >= 64; done += 64)
			sha256_block(state, bytes + done);
		memmove(bytes, bytes + done, filled - done);
		filled -= done;
	}
	close(fd);
	bytes[filled++] = 0x80;
	size_t length = filled <= 56 ? 64 : 128;
	memset(bytes + filled, 0, length - filled);
	for (int i = 0; i < 8; i++)
		bytes[length - 1 - i] = (unsigned char)(total * 8 >> 8 * i);
	for (size_t at = 0; at < length; at += 64)
		sha256_block(state, bytes + at);
	for (int i = 0; i < 8; i++)
		printf("%08x", state[i]);
}

static void print_hex(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < length; i++)
		printf("%02x", at[i]);
}

static void print_xattrs(const char *name)
{
	static char names[1 << 16], value[1 << 16];
	ssize_t length = llistxattr(name, names, sizeof names);
	if (length < 0 && errno != ENOTSUP)
		fail("listxattr", name);
	if (length <= 0)
		putchar('-');
	for (char *at = names; at < names + length; at += strlen(at) + 1) {
		ssize_t size = lgetxattr(name, at, value, sizeof value);
		if (size < 0)
			fail("getxattr", name);
		if (at != names)
			putchar(',');
		print_hex(at, strlen(at));
		putchar('=');
		print_hex(value, (size_t)size);
	}
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return 'f';
	case S_IFDIR: return 'd';
	case S_IFLNK: return 'l';
	case S_IFCHR: return 'c';
	case S_IFBLK: return 'b';
	case S_IFIFO: return 'p';
	default: return 's';
	}
}

/* What is called `name` in the working directory. */
static void print_entry(const char *name, const char *path, const struct stat *s)
{
	static char target[1 << 16];
	printf("%c %o %u %u %lld %ld %llu %llu %llu %lld %u %u ", type_of(s->st_mode), s->st_mode & 07777, s->st_uid, s->st_gid,
	       (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (unsigned long long)s->st_nlink, (unsigned long long)s->st_dev,
	       (unsigned long long)s->st_ino, (long long)s->st_size, major(s->st_rdev), minor(s->st_rdev));
	if (*path == '\0')
		putchar('-');
	print_hex(path, strlen(path));
	putchar(' ');
	ssize_t length = S_ISLNK(s->st_mode) ? readlink(name, target, sizeof target) : 0;
	if (length < 0)
		fail("readlink", path);
	if (length == 0)
		putchar('-');
	print_hex(target, (size_t)length);
	putchar(' ');
	if (S_ISREG(s->st_mode))
		print_sha256(name);
	else
		putchar('-');
	putchar(' ');
	print_xattrs(name);
	putchar('\n');
}

static void list_directory(const char *path)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (directory == NULL)
		fail("opendir", path);
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
		struct stat s;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		size_t length = strlen(path) + strlen(entry->d_name) + 2;
		char *child = malloc(length);
		if (child == NULL)
			fail("malloc", path);
		snprintf(child, length, "%s%s%s", path, *path == '\0' ? "" : "/", entry->d_name);
		if (lstat(entry->d_name, &s) != 0) {
			/* overlayfs lists a character device 0:0 of a directory that is only in the lower, and has none. */
			if (errno != ENOENT)
				fail("lstat", child);
			free(child);
			continue;
		}
		print_entry(entry->d_name, child, &s);
		if (S_ISDIR(s.st_mode)) {
			if (chdir(entry->d_name) != 0)
				fail("chdir", child);
			list_directory(child);
			if (fchdir(fd) != 0)
				fail("chdir", path);
		}
		free(child);
	}
	closedir(directory);
}

int main(void)
{
	struct stat s;
	/* A copy of the root's mount alone: what the machine has mounted on its directories is not there. */
	long root = syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | O_CLOEXEC);
	if (root < 0 || fchdir((int)root) != 0)
		fail("open_tree", "/");
	if (lstat(".", &s) != 0)
		fail("lstat", "/");
	print_entry(".", "", &s);
	list_directory("");
	return fflush(stdout) == 0 ? 0 : 1;
}
