/* What the kernel's own headers say and musl's do not: the uapi headers are not a dependency of this build. */
#ifndef COWSHED_KERNEL_H
#define COWSHED_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* linux/fs.h */
struct trim_range {
	uint64_t start;
	uint64_t length;
	uint64_t minimum;
};
#define IOCTL_FREEZE _IOWR('X', 119, int)
#define IOCTL_THAW _IOWR('X', 120, int)
#define IOCTL_TRIM _IOWR('X', 121, struct trim_range)
/* BLKGETSIZE64 */
#define IOCTL_DRIVE_BYTES _IOR(0x12, 114, size_t)

/* fs/ext4/ext4.h: EXT4_IOC_RESIZE_FS, in blocks */
#define IOCTL_EXT4_RESIZE _IOW('f', 16, uint64_t)

/* linux/random.h: struct rand_pool_info is two ints, entropy in bits and size in bytes, before the bytes */
#define IOCTL_ADD_ENTROPY _IOW('R', 0x03, int[2])
/* RNDRESEEDCRNG: what is random from now on comes from what is in the pool now */
#define IOCTL_RESEED _IO('R', 0x07)

/* asm-generic/ioctls.h: opens the other end of a pty without going by its path */
#define IOCTL_OPEN_PTY_PEER _IO('T', 0x41)

/* ext4.h: the time of the last mount at byte 0x2c and the magic at byte 0x38 of the superblock, which starts at byte 1024 */
#define EXT4_MOUNT_TIME_OFFSET (1024 + 0x2c)
#define EXT4_MAGIC_OFFSET (1024 + 0x38)
#define EXT4_MAGIC 0xef53

/* fs/erofs/erofs_fs.h: in the superblock, the lowest byte of the features that must be understood, and how many devices there are besides the first */
#define EROFS_SUPERBLOCK_OFFSET 1024
#define EROFS_SUPERBLOCK_SIZE 128
#define EROFS_FEATURES 80
#define EROFS_DEVICE_TABLE 0x8
#define EROFS_EXTRA_DEVICES 86

/* The real-time signals of glibc start here, and init systems mean glibc's; musl's SIGRTMIN is 35. */
#define GLIBC_SIGRTMIN 34

#endif
