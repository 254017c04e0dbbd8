#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "console.h"
#include "drives.h"
#include "kernel.h"
#include "mounted-volumes.h"
#include "protocol.h"
#include "ticks.h"

/* How long a drive may take to show that it has become larger, and a volume to be let go of by processes that were killed. */
#define PATIENCE_MS 5000
#define INTERVAL_MS 2

/* Makes a directory and those above it. False with errno. */
static bool make_directories(const char *path)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return mkdir(part, 0755) == 0 || errno == EEXIST;
}

static bool drive_bytes(const char *device, uint64_t *bytes)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool known = fd >= 0 && ioctl(fd, IOCTL_DRIVE_BYTES, bytes) == 0;

	if (fd >= 0)
		close(fd);
	return known;
}

/* Makes the filesystem as large as its drive. One that is so already stays as it is. False with errno. */
static bool fill_drive(int directory, uint64_t bytes)
{
	struct statfs status;

	if (fstatfs(directory, &status) != 0)
		return false;
	uint64_t blocks = bytes / (uint64_t)status.f_bsize;
	return ioctl(directory, IOCTL_EXT4_RESIZE, &blocks) == 0;
}

/* A volume that could not be made larger is still what it was before. */
static void fill_drive_of(const char *device, const char *path)
{
	uint64_t bytes;
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0 || !drive_bytes(device, &bytes) || !fill_drive(directory, bytes))
		console_say("cannot make the filesystem at %s as large as its drive: %s", path, strerror(errno));
	if (directory >= 0)
		close(directory);
}

/* What a drive grows by are holes on the host: their inode tables need not be written full of zeros (noinit_itable). */
_Noreturn void volume_mount(struct job *job)
{
	char device[DRIVE_PATH_SIZE];
	uint8_t flags = read_u8(&job->request);
	const char *serial = read_string(&job->request), *path = read_string(&job->request);
	bool read_only = flags & MOUNT_READ_ONLY;

	if (!read_to_end(&job->request) || path[0] != '/' || strncmp(serial, VOLUME_SERIAL, strlen(VOLUME_SERIAL)) != 0)
		job_fail(job, EPROTO, "mount a volume");
	if (!drive_find(serial, device))
		job_fail(job, ENODEV, "find its drive");
	if (!make_directories(path))
		job_fail(job, errno, "make the directory");
	if (mount(device, path, "ext4", MS_NOATIME | (read_only ? MS_RDONLY : 0), read_only ? NULL : "noinit_itable") != 0)
		job_fail(job, errno, "mount its filesystem");
	if (!read_only)
		fill_drive_of(device, path);
	job_succeed(job, NULL, 0);
}

static bool find_mounted(const char *serial, struct mounted_volume *found)
{
	static struct mounted_volume volumes[MAX_VOLUMES];
	size_t count = mounted_volumes(volumes);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(volumes[i].serial, serial) != 0)
			continue;
		*found = volumes[i];
		return true;
	}
	errno = ENODEV;
	return false;
}

/* The news that a drive has become larger comes on a way of its own (virtio's configuration change), after the request perhaps. */
static bool await_drive(const char *serial, uint64_t wanted, uint64_t *bytes)
{
	char device[DRIVE_PATH_SIZE];

	if (!drive_find(serial, device)) {
		errno = ENODEV;
		return false;
	}
	for (int64_t deadline = ticks_ms() + PATIENCE_MS; ticks_ms() < deadline; sleep_ms(INTERVAL_MS)) {
		if (!drive_bytes(device, bytes))
			return false;
		if (*bytes >= wanted)
			return true;
	}
	errno = ETIMEDOUT;
	return false;
}

_Noreturn void volume_grow(struct job *job)
{
	static struct mounted_volume volume;
	const char *serial = read_string(&job->request);
	uint64_t wanted = read_u64(&job->request), bytes;

	if (!read_to_end(&job->request))
		job_fail(job, EPROTO, "make a volume larger");
	if (!find_mounted(serial, &volume))
		job_fail(job, errno, "find where it is mounted");
	if (!await_drive(serial, wanted, &bytes))
		job_fail(job, errno, "see the drive become larger");
	int directory = mounted_volume_open(&volume);
	if (directory < 0)
		job_fail(job, errno, "open it");
	if (!fill_drive(directory, bytes))
		job_fail(job, errno, "make the filesystem larger");
	job_succeed(job, NULL, 0);
}

static bool with_ioctl(const struct mounted_volume *volume, int request, void *argument)
{
	int directory = mounted_volume_open(volume);
	bool done = directory >= 0 && ioctl(directory, request, argument) == 0;
	int error = errno;

	if (directory >= 0)
		close(directory);
	errno = error;
	return done;
}

bool volume_trim(const char *serial, uint64_t *bytes)
{
	static struct mounted_volume volume;
	struct trim_range range = { .start = 0, .length = UINT64_MAX, .minimum = 0 };

	if (!find_mounted(serial, &volume) || !with_ioctl(&volume, IOCTL_TRIM, &range))
		return false;
	*bytes = range.length;
	return true;
}

static void thaw_all(const struct mounted_volume *volumes, size_t count)
{
	for (size_t i = count; i-- > 0;)
		if (!volumes[i].read_only)
			with_ioctl(&volumes[i], IOCTL_THAW, NULL);
}

bool volumes_freeze(void)
{
	static struct mounted_volume volumes[MAX_VOLUMES];
	size_t count = mounted_volumes(volumes);

	for (size_t i = 0; i < count; i++) {
		if (volumes[i].read_only || with_ioctl(&volumes[i], IOCTL_FREEZE, NULL))
			continue;
		int error = errno;
		thaw_all(volumes, i);
		errno = error;
		return false;
	}
	return true;
}

void volumes_thaw(void)
{
	static struct mounted_volume volumes[MAX_VOLUMES];

	thaw_all(volumes, mounted_volumes(volumes));
}

/* Those inside others come off first. Returns how many are left. */
static size_t unmount_each(struct mounted_volume *volumes, size_t count)
{
	size_t left = 0;

	for (size_t i = count; i-- > 0;)
		if (umount2(volumes[i].path, UMOUNT_NOFOLLOW) != 0)
			left++;
	return left;
}

void volumes_unmount(void)
{
	static struct mounted_volume volumes[MAX_VOLUMES];
	size_t count = mounted_volumes(volumes);

	/* What was killed a moment ago may still have files open. */
	for (int64_t deadline = ticks_ms() + PATIENCE_MS; count > 0 && ticks_ms() < deadline; sleep_ms(INTERVAL_MS)) {
		if (unmount_each(volumes, count) == 0)
			return;
		count = mounted_volumes(volumes);
	}
	for (size_t i = 0; i < count; i++)
		mount(NULL, volumes[i].path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}
