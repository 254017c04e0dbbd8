/*
 * Every way in which a boot can fail, with the number that the console shows. The host knows the same list
 * (src/formats/agent/boot-failures.ts); a test compares the two. Numbers are never reused.
 */
#ifndef COWSHED_BOOT_FAILURES_H
#define COWSHED_BOOT_FAILURES_H

#define BOOT_FAILURES(failure) \
	failure(1, NO_KERNEL_FILESYSTEMS, "cannot mount /proc, /sys or /dev") \
	failure(2, NO_LOWER_DRIVE, "no drive with the serial 'lower'") \
	failure(3, LOWER_MOUNT, "cannot mount the lower (erofs)") \
	failure(4, NO_UPPER_DRIVE, "no drive with the serial 'upper'") \
	failure(5, UPPER_NOT_EXT4, "the upper is not ext4") \
	failure(6, UPPER_MOUNT, "cannot mount the upper (ext4)") \
	failure(7, OVERLAY_MOUNT, "cannot mount the overlay") \
	failure(8, ROOT_MOUNTS, "cannot mount what belongs inside the root") \
	failure(9, SWITCH_ROOT, "cannot switch to the root") \
	failure(10, NO_CHANNEL, "no virtio-serial port named 'cowshed.agent'") \
	failure(11, NO_KEY, "no valid cowshed.key on the kernel command line") \
	failure(12, INIT_EXEC, "cannot run the image's /sbin/init") \
	failure(13, NO_ROOTFS_DRIVE, "no drive with the serial 'rootfs'") \
	failure(14, ROOTFS_NOT_EXT4, "the root filesystem is not ext4") \
	failure(15, ROOTFS_MOUNT, "cannot mount the root filesystem (ext4)") \
	failure(16, NO_LOWER_PART, "no drive for a part of the lower")

enum boot_failure {
#define AS_ENUM(number, name, text) FAILURE_##name = number,
	BOOT_FAILURES(AS_ENUM)
#undef AS_ENUM
};

#endif
