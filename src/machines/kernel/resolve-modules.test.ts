import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { isProblem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { readModuleTree } from './module-tree.ts'
import { readModuleInfo } from './read-module-info.ts'
import { neededModules, resolveModules } from './resolve-modules.ts'
import { moduleObject, writeModules } from './tiny-kernel.testkit.ts'

const others = neededModules.filter((name) => !['virtio_mmio', 'erofs', 'virtio_rng'].includes(name))
const modules = [
  { path: 'kernel/drivers/virtio/virtio_mmio.ko', depends: 'virtio_ring,virtio' },
  { path: 'kernel/drivers/virtio/virtio_ring.ko', depends: 'virtio' },
  { path: 'kernel/drivers/virtio/virtio.ko' },
  { path: 'kernel/fs/erofs/erofs.ko', depends: 'libcrc32c' },
  { path: 'kernel/lib/libcrc32c.ko', softdep: 'pre: crc32c absent_one' },
  { path: 'kernel/crypto/crc32c.ko' },
  { path: 'kernel/drivers/char/hw_random/virtio-rng.ko', depends: 'virtio' },
  { path: 'kernel/drivers/misc/unwanted.ko' },
]

describe('the modules of a guest', () => {
  test('come after what they depend on, each once, without what is built in', async () => {
    await using dir = await temporaryDirectory()
    const tree = await readModuleTree(await writeModules(dir.path, modules, others))
    const resolved = await resolveModules(tree)
    expect(resolved.modules.map(({ name }) => name)).toEqual([
      'virtio',
      'virtio_ring',
      'virtio_mmio',
      'crc32c',
      'libcrc32c',
      'erofs',
      'virtio_rng',
    ])
    expect(resolved.release).toBe('6.1.0-tiny')
  })

  test.runIf(needs({ tools: ['xz', 'zstd'] }))('may be compressed', async () => {
    await using dir = await temporaryDirectory()
    await writeModules(dir.path, modules, others)
    const compressed = [
      ['kernel/fs/erofs/erofs.ko', '.xz', async (path: string) => (await runTool('xz', ['-c', path])).stdout],
      [
        'kernel/drivers/virtio/virtio.ko',
        '.zst',
        async (path: string) => (await runTool('zstd', ['-qc', path])).stdout,
      ],
      ['kernel/lib/libcrc32c.ko', '.gz', async (path: string) => gzipSync(await readFile(path))],
    ] as const
    const plain = await resolveModules(await readModuleTree(dir.path))
    for (const [file, suffix, compress] of compressed) {
      const path = join(dir.path, file)
      await writeFile(`${path}${suffix}`, await compress(path))
      await rm(path)
    }
    expect(await resolveModules(await readModuleTree(dir.path))).toEqual(plain)
  })

  test('one that is nowhere is named', async () => {
    await using dir = await temporaryDirectory()
    const tree = await readModuleTree(
      await writeModules(
        dir.path,
        modules,
        others.filter((name) => name !== 'overlay'),
      ),
    )
    await expect(resolveModules(tree)).rejects.toMatchObject({ code: 'KERNEL_INVALID', data: { module: 'overlay' } })
  })

  test('of two kernels are refused', async () => {
    await using dir = await temporaryDirectory()
    const [first, ...rest] = modules
    const mixed = [{ ...first, path: 'virtio_mmio.ko', release: '5.4.0-other' }, ...rest]
    const tree = await readModuleTree(await writeModules(dir.path, mixed, others))
    await expect(resolveModules(tree)).rejects.toMatchObject({ code: 'KERNEL_INVALID' })
  })

  test('a directory that is none, or of no kernel', async () => {
    await using dir = await temporaryDirectory()
    await expect(readModuleTree(join(dir.path, 'absent'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(readModuleTree(dir.path)).rejects.toMatchObject({ code: 'KERNEL_INVALID' })
  })
})

describe('a module file', () => {
  test('says its name and what it needs', () => {
    const object = moduleObject([
      'license=GPL',
      'name=virtio-rng',
      'depends=a-b,c',
      'softdep=pre: x y-z post: w',
      'vermagic=1 SMP',
    ])
    expect(readModuleInfo(object, 'x.ko')).toEqual({
      name: 'virtio_rng',
      depends: ['a_b', 'c'],
      before: ['x', 'y_z'],
      vermagic: '1 SMP',
    })
  })

  test('of any bytes is read or refused', () => {
    const good = moduleObject(['name=x', 'depends=y'])
    const mutated = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        return bytes
      })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
          mutated,
        ),
        (bytes) => {
          try {
            readModuleInfo(bytes, 'x.ko')
          } catch (error) {
            if (!isProblem(error, 'KERNEL_INVALID')) throw error
          }
        },
      ),
    )
  })
})
