/** Debian's package of a program, for hints; programs that share their package's name need no line. */
const packages: Readonly<Record<string, string>> = {
  'dpkg-deb': 'dpkg',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  useradd: 'passwd',
  'fsck.erofs': 'erofs-utils',
  'mkfs.erofs': 'erofs-utils',
  e2fsck: 'e2fsprogs',
  mke2fs: 'e2fsprogs',
  resize2fs: 'e2fsprogs',
  tune2fs: 'e2fsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'mkfs.xfs': 'xfsprogs',
  modinfo: 'kmod',
  mount: 'mount',
  losetup: 'mount',
  umount: 'mount',
  'qemu-img': 'qemu-utils',
  'qemu-system-aarch64': 'qemu-system-arm',
  'qemu-system-x86_64': 'qemu-system-x86',
}

export function packageOf(tool: string): string {
  return packages[tool] ?? tool
}
