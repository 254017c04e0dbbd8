#include "mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"
#include "drives.h"
#include "kernel.h"

/* Directories of the upper's own filesystem. */
#define UPPER_FILES "/upper/upper"
#define UPPER_WORK "/upper/work"

/* Of the options for mount(2), which takes one page. */
#define PART_OPTIONS_SIZE 2048

static const char *const kernel_mounts[] = { "/proc", "/sys", "/dev" };

/* For mount points: one that is there already is fine, a lack of anything else shows when it is mounted on. */
static void make_directory(const char *path)
{
	mkdir(path, 0755);
}

static void must_mount(enum boot_failure failure, const char *source, const char *target, const char *type,
		       unsigned long flags, const char *options)
{
	make_directory(target);
	/* EBUSY: the kernel mounted it itself (devtmpfs). */
	if (mount(source, target, type, flags, options) != 0 && errno != EBUSY)
		boot_fail(failure, errno);
}

void mount_kernel_filesystems(void)
{
	must_mount(FAILURE_NO_KERNEL_FILESYSTEMS, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount(FAILURE_NO_KERNEL_FILESYSTEMS, "sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount(FAILURE_NO_KERNEL_FILESYSTEMS, "devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
}

static bool is_ext4(const char *device)
{
	uint8_t magic[2];
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool is = pread(fd, magic, sizeof magic, EXT4_MAGIC_OFFSET) == sizeof magic &&
		  (magic[0] | magic[1] << 8) == EXT4_MAGIC;
	close(fd);
	return is;
}

/* How many drives the data of an erofs is on, besides the one with its superblock. */
static int erofs_parts(const char *device)
{
	uint8_t superblock[EROFS_SUPERBLOCK_SIZE];
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	bool whole = pread(fd, superblock, sizeof superblock, EROFS_SUPERBLOCK_OFFSET) == sizeof superblock;
	close(fd);
	if (!whole || !(superblock[EROFS_FEATURES] & EROFS_DEVICE_TABLE))
		return 0;
	return superblock[EROFS_EXTRA_DEVICES] | superblock[EROFS_EXTRA_DEVICES + 1] << 8;
}

/* Mount options that name the drives of a lower in parts, in the order of its table: their serials are lower-1, lower-2, … */
static void name_parts(int count, char options[PART_OPTIONS_SIZE])
{
	size_t used = 0;

	options[0] = 0;
	for (int part = 1; part <= count; part++) {
		char serial[24], device[DRIVE_PATH_SIZE];
		snprintf(serial, sizeof serial, "lower-%d", part);
		if (used + sizeof device + 16 > PART_OPTIONS_SIZE || !drive_find(serial, device))
			boot_fail(FAILURE_NO_LOWER_PART, 0);
		used += (size_t)snprintf(options + used, PART_OPTIONS_SIZE - used, "%sdevice=%s", part > 1 ? "," : "", device);
	}
}

static void mount_lower(void)
{
	char device[DRIVE_PATH_SIZE], options[PART_OPTIONS_SIZE];

	if (!drive_find("lower", device))
		boot_fail(FAILURE_NO_LOWER_DRIVE, 0);
	name_parts(erofs_parts(device), options);
	must_mount(FAILURE_LOWER_MOUNT, device, "/lower", "erofs", MS_RDONLY | MS_NOATIME, options[0] ? options : NULL);
}

static void mount_upper(void)
{
	char device[DRIVE_PATH_SIZE];

	if (!drive_find("upper", device))
		boot_fail(FAILURE_NO_UPPER_DRIVE, 0);
	if (!is_ext4(device))
		boot_fail(FAILURE_UPPER_NOT_EXT4, 0);
	must_mount(FAILURE_UPPER_MOUNT, device, "/upper", "ext4", MS_NOATIME, NULL);
}

/* The overlay's root shows the attributes of the upper directory: they start as those of the image's own root. */
static bool make_upper_directories(void)
{
	struct stat lower;

	make_directory(UPPER_WORK);
	if (mkdir(UPPER_FILES, 0755) != 0)
		return false;
	if (stat("/lower", &lower) == 0) {
		const struct timespec times[2] = { lower.st_mtim, lower.st_mtim };
		if (chown(UPPER_FILES, lower.st_uid, lower.st_gid) != 0 || chmod(UPPER_FILES, lower.st_mode & 07777) != 0)
			boot_fail(FAILURE_OVERLAY_MOUNT, errno);
		utimensat(AT_FDCWD, UPPER_FILES, times, 0);
	}
	return true;
}

/*
 * redirect_dir: a directory of the lower can be renamed. metacopy: chmod and chown of a large file copy no data up. index stays
 * off: it ties the upper to inode numbers of the lower, and a later version of the lower's writer may number them anew.
 */
static void mount_overlay(void)
{
	const char *layers = "lowerdir=/lower,upperdir=" UPPER_FILES ",workdir=" UPPER_WORK;
	char options[256];

	make_directory("/root");
	snprintf(options, sizeof options, "%s,redirect_dir=on,metacopy=on,index=off,xino=on", layers);
	if (mount("overlay", "/root", "overlay", 0, options) == 0)
		return;
	if (errno != EINVAL || mount("overlay", "/root", "overlay", 0, layers) != 0)
		boot_fail(FAILURE_OVERLAY_MOUNT, errno);
}

struct root mount_root(void)
{
	struct root root;

	mount_lower();
	mount_upper();
	root.fresh = make_upper_directories();
	mount_overlay();
	root.disk = open("/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root.disk < 0)
		boot_fail(FAILURE_UPPER_MOUNT, errno);
	return root;
}

/* The kernel notes in the superblock when it mounts a filesystem to write to it. */
static bool was_mounted(const char *device)
{
	uint8_t time[4] = { 0 };
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool was = pread(fd, time, sizeof time, EXT4_MOUNT_TIME_OFFSET) == sizeof time &&
		   (time[0] | time[1] | time[2] | time[3]) != 0;
	close(fd);
	return was;
}

struct root mount_own_root(void)
{
	char device[DRIVE_PATH_SIZE];
	struct root root;

	if (!drive_find("rootfs", device))
		boot_fail(FAILURE_NO_ROOTFS_DRIVE, 0);
	if (!is_ext4(device))
		boot_fail(FAILURE_ROOTFS_NOT_EXT4, 0);
	root.fresh = !was_mounted(device);
	must_mount(FAILURE_ROOTFS_MOUNT, device, "/root", "ext4", MS_NOATIME, NULL);
	root.disk = open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root.disk < 0)
		boot_fail(FAILURE_ROOTFS_MOUNT, errno);
	return root;
}

/* The initrd lives in RAM until its files are gone. They are few and known; this very program stays mapped. */
static void free_initrd(void)
{
	unlink("/init");
	int modules = open("/modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = modules < 0 ? NULL : fdopendir(modules);
	if (!files)
		return;
	for (struct dirent *file; (file = readdir(files));)
		if (file->d_name[0] != '.')
			unlinkat(modules, file->d_name, 0);
	closedir(files);
	rmdir("/modules");
}

static void move_kernel_mounts(void)
{
	for (size_t i = 0; i < sizeof kernel_mounts / sizeof *kernel_mounts; i++) {
		char target[32];
		snprintf(target, sizeof target, "/root%s", kernel_mounts[i]);
		make_directory(target);
		if (mount(kernel_mounts[i], target, NULL, MS_MOVE, NULL) != 0)
			boot_fail(FAILURE_ROOT_MOUNTS, errno);
	}
}

static void link_standard_streams(void)
{
	const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i][0], links[i][1]) != 0 && errno != EEXIST)
			boot_fail(FAILURE_ROOT_MOUNTS, errno);
}

void enter_root(void)
{
	move_kernel_mounts();
	free_initrd();
	if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		boot_fail(FAILURE_SWITCH_ROOT, errno);
	must_mount(FAILURE_ROOT_MOUNTS, "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "mode=0620,gid=5,ptmxmode=0666");
	must_mount(FAILURE_ROOT_MOUNTS, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	must_mount(FAILURE_ROOT_MOUNTS, "tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	link_standard_streams();
}
