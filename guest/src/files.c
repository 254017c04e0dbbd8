#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol.h"
#include "small-files.h"

#define BUFFER_BYTES 65536
/* A name of 255 bytes, its count and a stat. */
#define ENTRY_MAX 300

/* Reads the rest of a request, which is one path, or fails the job. */
static const char *last_path(struct job *job, const char *doing)
{
	const char *path = read_string(&job->request);
	if (!read_to_end(&job->request))
		job_fail(job, EPROTO, doing);
	return path;
}

static void write_stat(struct writer *writer, const struct stat *status)
{
	write_u32(writer, status->st_mode);
	write_u32(writer, status->st_uid);
	write_u32(writer, status->st_gid);
	write_u64(writer, (uint64_t)status->st_size);
	write_u64(writer, (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec);
}

_Noreturn void files_stat(struct job *job)
{
	uint8_t flags = read_u8(&job->request), reply[64];
	const char *path = last_path(job, "stat");
	struct writer writer = { .bytes = reply, .size = sizeof reply };
	struct stat status;

	if (fstatat(AT_FDCWD, path, &status, flags & STAT_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
		job_fail(job, errno, path);
	write_stat(&writer, &status);
	job_succeed(job, reply, writer.length);
}

static void send_entries(struct job *job, struct writer *entries)
{
	if (!write_all(job->output, entries->bytes, entries->length))
		_exit(1);
	entries->length = 0;
}

/* An entry: its name, and what lstat says of it. One that vanishes meanwhile is left out. */
static void add_entry(struct job *job, struct writer *entries, int directory, const char *name)
{
	struct stat status;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (entries->size - entries->length < ENTRY_MAX)
		send_entries(job, entries);
	write_string(entries, name);
	write_stat(entries, &status);
}

_Noreturn void files_list(struct job *job)
{
	static uint8_t buffer[BUFFER_BYTES];
	struct writer entries = { .bytes = buffer, .size = sizeof buffer };
	const char *path = last_path(job, "list");
	DIR *directory = opendir(path);

	if (!directory)
		job_fail(job, errno, path);
	job_started(job, NULL, 0);
	errno = 0;
	for (struct dirent *entry; (entry = readdir(directory)); errno = 0)
		add_entry(job, &entries, dirfd(directory), entry->d_name);
	int error = errno;
	send_entries(job, &entries);
	if (error != 0)
		job_fail(job, error, path);
	job_succeed(job, NULL, 0);
}

static void copy_out(struct job *job, int fd, uint64_t limit, const char *path)
{
	static char buffer[BUFFER_BYTES];

	while (limit > 0) {
		ssize_t count = read(fd, buffer, limit < sizeof buffer ? (size_t)limit : sizeof buffer);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			job_fail(job, errno, path);
		if (count == 0)
			return;
		if (!write_all(job->output, buffer, (size_t)count))
			_exit(1);
		limit -= (uint64_t)count;
	}
}

_Noreturn void files_read(struct job *job)
{
	uint64_t offset = read_u64(&job->request), limit = read_u64(&job->request);
	const char *path = last_path(job, "read");
	uint8_t reply[64];
	struct writer writer = { .bytes = reply, .size = sizeof reply };
	struct stat status;

	/* Without waiting for whoever would write into a FIFO. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0)
		job_fail(job, errno, path);
	if (S_ISDIR(status.st_mode))
		job_fail(job, EISDIR, path);
	if (offset > 0 && lseek(fd, (off_t)offset, SEEK_SET) < 0)
		job_fail(job, errno, path);
	write_stat(&writer, &status);
	job_started(job, reply, writer.length);
	copy_out(job, fd, limit, path);
	job_succeed(job, NULL, 0);
}

/* What a WRITE will become, and what it is until then. */
struct target {
	char path[PATH_MAX];
	char temporary[PATH_MAX];
	bool set_owner, set_mtime;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

static void read_target(struct job *job, struct target *target)
{
	uint8_t flags = read_u8(&job->request);
	target->mode = read_u32(&job->request) & 07777;
	target->uid = read_u32(&job->request);
	target->gid = read_u32(&job->request);
	uint64_t mtime = read_u64(&job->request);
	const char *path = last_path(job, "write");

	target->set_owner = flags & WRITE_OWNER;
	target->set_mtime = flags & WRITE_MTIME;
	target->mtime = (struct timespec){ .tv_sec = (time_t)(mtime / 1000000000), .tv_nsec = (long)(mtime % 1000000000) };
	if (strlen(path) >= sizeof target->path)
		job_fail(job, ENAMETOOLONG, path);
	strcpy(target->path, path);
}

/* As cp does it: through a symlink, never over anything but a regular file, whose owner stays the owner. */
static void look_at_target(struct job *job, struct target *target)
{
	struct stat status;
	char resolved[PATH_MAX];

	if (lstat(target->path, &status) != 0) {
		if (errno != ENOENT)
			job_fail(job, errno, target->path);
		return;
	}
	if (S_ISLNK(status.st_mode)) {
		if (!realpath(target->path, resolved) || stat(resolved, &status) != 0)
			job_fail(job, errno, target->path);
		strcpy(target->path, resolved);
	}
	if (S_ISDIR(status.st_mode))
		job_fail(job, EISDIR, target->path);
	if (!S_ISREG(status.st_mode))
		job_fail(job, EINVAL, target->path);
	if (!target->set_owner) {
		target->set_owner = true;
		target->uid = status.st_uid;
		target->gid = status.st_gid;
	}
}

static int open_temporary(struct job *job, struct target *target)
{
	const char *slash = strrchr(target->path, '/');
	int directory = slash ? (int)(slash - target->path) + 1 : 0;
	int length = snprintf(target->temporary, sizeof target->temporary, "%.*s.cowshed-XXXXXX", directory, target->path);

	if (length >= (int)sizeof target->temporary)
		job_fail(job, ENAMETOOLONG, target->path);
	int fd = mkostemp(target->temporary, O_CLOEXEC);
	if (fd < 0)
		job_fail(job, errno, target->path);
	return fd;
}

static _Noreturn void give_up_writing(struct job *job, const struct target *target, int error)
{
	unlink(target->temporary);
	job_fail(job, error, target->path);
}

/* The agent says that the host has sent everything by one byte on the status socket; pipes end also when hosts vanish. */
static bool is_complete(const struct job *job)
{
	char byte;
	return recv(job->status, &byte, 1, 0) == 1;
}

static void copy_in(struct job *job, int fd, const struct target *target)
{
	static char buffer[BUFFER_BYTES];
	ssize_t count;

	while ((count = read(job->input, buffer, sizeof buffer)) != 0) {
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 || !write_all(fd, buffer, (size_t)count))
			give_up_writing(job, target, errno);
	}
	if (is_complete(job))
		return;
	unlink(target->temporary);
	_exit(1);
}

static bool finish(int fd, const struct target *target)
{
	const struct timespec times[2] = { target->mtime, target->mtime };

	return (!target->set_owner || fchown(fd, target->uid, target->gid) == 0) && fchmod(fd, target->mode) == 0 &&
	       (!target->set_mtime || futimens(fd, times) == 0) && rename(target->temporary, target->path) == 0;
}

_Noreturn void files_write(struct job *job)
{
	static struct target target;

	read_target(job, &target);
	look_at_target(job, &target);
	int fd = open_temporary(job, &target);
	job_started(job, NULL, 0);
	copy_in(job, fd, &target);
	if (!finish(fd, &target))
		give_up_writing(job, &target, errno);
	job_succeed(job, NULL, 0);
}

static bool is_directory(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool make_directories(char *path, mode_t mode)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		bool there = mkdir(path, 0755) == 0 || is_directory(path);
		*slash = '/';
		if (!there)
			return false;
	}
	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0;
	return errno == EEXIST && is_directory(path);
}

_Noreturn void files_make_directory(struct job *job)
{
	uint8_t flags = read_u8(&job->request);
	mode_t mode = read_u32(&job->request) & 07777;
	char *path = (char *)last_path(job, "make directory");

	bool made = flags & MKDIR_PARENTS ? path[0] && make_directories(path, mode)
					  : mkdir(path, mode) == 0 && chmod(path, mode) == 0;
	if (!made)
		job_fail(job, path[0] ? errno : ENOENT, path);
	job_succeed(job, NULL, 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status, (void)kind, (void)place;
	return remove(path);
}

/* Symlinks are removed, not followed; other filesystems mounted below are left alone. */
_Noreturn void files_remove(struct job *job)
{
	uint8_t flags = read_u8(&job->request);
	const char *path = last_path(job, "remove");
	int outcome = flags & REMOVE_RECURSIVE ? nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) : remove(path);

	if (outcome != 0)
		job_fail(job, errno, path);
	job_succeed(job, NULL, 0);
}

_Noreturn void files_symlink(struct job *job)
{
	const char *target = read_string(&job->request);
	const char *path = last_path(job, "symlink");

	if (symlink(target, path) != 0)
		job_fail(job, errno, path);
	job_succeed(job, NULL, 0);
}

_Noreturn void files_readlink(struct job *job)
{
	const char *path = last_path(job, "readlink");
	char target[PATH_MAX];
	uint8_t reply[PATH_MAX + 4];
	struct writer writer = { .bytes = reply, .size = sizeof reply };
	ssize_t length = readlink(path, target, sizeof target);

	if (length < 0)
		job_fail(job, errno, path);
	write_bytes(&writer, target, (size_t)length);
	job_succeed(job, reply, writer.length);
}
