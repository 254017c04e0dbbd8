import { closeSync, constants, openSync } from 'node:fs'
import { errnoCode, Problem, problemFromSystem } from '../base/index.ts'
import { lastError, libc, linuxOnly } from './libc.ts'

export interface MountFuse {
  /** An empty regular file: what is served is seen there instead. */
  readonly path: string
  /** What it is called in the list of mounts. */
  readonly source: string
  /** `fuse.<subtype>` is its type there. */
  readonly subtype: string
}

export interface FuseMount {
  /** /dev/fuse: the kernel's requests come out of it, one with each read, and answers go in. It never blocks. */
  readonly fd: number
  /**
   * Has the kernel read another open file instead of asking, for as long as the mount is there.
   *
   * @returns what the kernel knows it as; undefined when this kernel cannot, or not that file
   */
  pass(fd: number): number | undefined
  /** Ends it. What others have open of it can be read no more. @returns whether anybody had */
  unmount(): Promise<boolean>
  /** Once nothing waits for `fd` any more. */
  close(): void
}

/**
 * Mounts one read-only file that this process serves. Once no process has `fd` any more, whatever ended it, all who wait for an answer get an error; the mount stays.
 *
 * @throws Problem HOST_UNSUPPORTED where there is no FUSE; PERMISSION_DENIED without root; IO_FAILED
 * @see fuse(4), Documentation/filesystems/fuse.rst
 */
export function mountFuse({ path, source, subtype }: MountFuse): FuseMount {
  linuxOnly('FUSE')
  const fd = openDevice()
  // The permissions of the file are looked at by the kernel, for everybody.
  const options = `fd=${fd},rootmode=100000,user_id=0,group_id=0,allow_other,default_permissions`
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
  if (libc().mount({ source, path, type: `fuse.${subtype}`, flags, options }) !== 0) {
    const error = lastError('mount')
    closeSync(fd)
    throw cannotMount(error, path)
  }
  return {
    fd,
    pass: (file) => openBacking(fd, file),
    unmount: () => unmountFile(path),
    close: () => closeSync(fd),
  }
}

/** Takes away the mount that a process has left which is gone. */
export async function unmountFile(path: string): Promise<boolean> {
  if ((await libc().unmountAsync(path, UMOUNT_NOFOLLOW)) === 0) return false
  // Somebody has it open. Forced, whoever waits for an answer gets an error, which wakes its server too; then the name goes.
  await libc().unmountAsync(path, UMOUNT_NOFOLLOW | MNT_FORCE)
  return (await libc().unmountAsync(path, UMOUNT_NOFOLLOW | MNT_DETACH)) === 0
}

function openDevice(): number {
  try {
    return openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK)
  } catch (error) {
    if (!['ENOENT', 'ENODEV', 'ENXIO'].includes(errnoCode(error) ?? '')) throw cannotMount(error, '/dev/fuse')
    throw new Problem('HOST_UNSUPPORTED', 'the kernel of this host has no FUSE: there is no /dev/fuse', {
      hint: 'modprobe fuse; or serve a block device instead: --nbd unix:PATH',
      cause: error,
    })
  }
}

function cannotMount(error: unknown, path: string): Problem {
  if (!['EPERM', 'EACCES'].includes(errnoCode(error) ?? '')) return problemFromSystem(error, `mount ${path}`)
  return new Problem('PERMISSION_DENIED', `only root may mount a file: ${path}`, {
    hint: 'run it as root; or serve a block device instead, which needs no root: --nbd unix:PATH',
    cause: error,
  })
}

/** struct fuse_backing_map of linux/fuse.h: s32 fd, u32 flags, u64 padding. */
function openBacking(device: number, file: number): number | undefined {
  const map = Buffer.alloc(16)
  map.writeInt32LE(file, 0)
  const backing = libc().ioctl(device, FUSE_DEV_IOC_BACKING_OPEN, map)
  return backing > 0 ? backing : undefined
}

/** sys/mount.h */
const MS_RDONLY = 1
const MS_NOSUID = 2
const MS_NODEV = 4
const MS_NOEXEC = 8
const MNT_FORCE = 1
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8
/** linux/fuse.h */
const FUSE_DEV_IOC_BACKING_OPEN = 0x4010e501
