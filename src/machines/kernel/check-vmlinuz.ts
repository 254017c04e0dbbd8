import { open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../../base/index.ts'

/**
 * Checks that a file is a Linux kernel that QEMU boots directly: an x86 bzImage or an arm64 Image.
 *
 * @returns the release that it says it is (`uname -r`); undefined on arm64, whose images do not say
 * @throws Problem KERNEL_INVALID, FILE_NOT_FOUND
 * @see Linux, Documentation/x86/boot.rst (header magic, kernel_version) and Documentation/arm64/booting.rst
 */
export async function checkVmlinuz(path: string): Promise<{ readonly release: string | undefined }> {
  const head = await readHead(path)
  if (process.arch === 'arm64') {
    if (head.toString('latin1', 56, 60) !== 'ARM\x64') throw notKernel(path, 'an arm64 Image')
    return { release: undefined }
  }
  if (head.toString('latin1', 0x202, 0x206) !== 'HdrS') throw notKernel(path, 'an x86 bzImage')
  const version = 0x200 + head.readUInt16LE(0x20e)
  const end = head.indexOf(0, version)
  const release = head.toString('latin1', version, end < 0 ? version : end).split(' ')[0]
  if (release === undefined || release === '') throw notKernel(path, 'an x86 bzImage that says its version')
  return { release }
}

/** The version string of a bzImage lies in its setup code, which has at most 64 sectors. */
const headBytes = 64 * 512

async function readHead(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const head = Buffer.alloc(headBytes)
    await file.read(head, 0, headBytes, 0)
    return head
  } catch (error) {
    throw problemFromSystem(error, `read the kernel ${path}`)
  }
}

function notKernel(path: string, wanted: string): Problem {
  return new Problem('KERNEL_INVALID', `${path} is not ${wanted}`, {
    hint: 'name the boot image: /boot/vmlinuz-… ; or leave --kernel out for Debian’s',
  })
}
