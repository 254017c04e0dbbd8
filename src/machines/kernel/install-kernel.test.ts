import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { currentKernel } from './current-kernel.ts'
import { installKernel } from './install-kernel.ts'
import { neededModules } from './resolve-modules.ts'
import { bzImage, writeModules } from './tiny-kernel.testkit.ts'

async function workshop() {
  const dir = await temporaryDirectory()
  const layout = dataLayout(join(dir.path, 'data'))
  const kernel = join(dir.path, 'vmlinuz')
  const agentPath = join(dir.path, 'agent')
  await writeFile(kernel, bzImage('6.1.0-tiny'))
  await writeFile(agentPath, 'an agent')
  const modules = await writeModules(join(dir.path, 'modules'), [{ path: 'erofs.ko' }], neededModules.slice())
  await writeFile(
    join(modules, 'modules.builtin'),
    neededModules
      .filter((name) => name !== 'erofs')
      .map((name) => `${name}.ko\n`)
      .join(''),
  )
  return { dir, layout, kernel, modules, agentPath, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

describe.runIf(process.arch === 'x64')('installing a kernel', () => {
  test('makes it the current one; doing it again changes nothing', async () => {
    await using shop = await workshop()
    await expect(currentKernel(shop.layout)).rejects.toMatchObject({
      code: 'KERNEL_NOT_FOUND',
      hint: 'run: cowshed setup',
    })
    const first = await installKernel(shop.layout, shop)
    expect(first).toMatchObject({ outcome: 'installed', files: { release: '6.1.0-tiny' } })
    expect(await currentKernel(shop.layout)).toEqual(first.files)
    expect(await installKernel(shop.layout, shop)).toEqual({ outcome: 'present', files: first.files })
    expect(await readdir(shop.layout.staging)).toEqual([])
  })

  test('the initrd holds the agent, the modules and their order, and nothing of when or where', async () => {
    await using one = await workshop()
    await using two = await workshop()
    const [a, b] = [await installKernel(one.layout, one), await installKernel(two.layout, two)]
    expect(a.files.id).toBe(b.files.id)
    const [initrd, other] = await Promise.all([a, b].map(({ files }) => readFile(files.initrd)))
    expect(initrd).toEqual(other)
    const text = initrd?.toString('latin1') ?? ''
    const names = [...text.matchAll(/0707010.{103}([ -~]+)\0/gs)].map((match) => match[1])
    expect(names).toEqual([
      'dev',
      'dev/console',
      'init',
      'modules',
      'modules/order',
      'modules/1-erofs.ko',
      'TRAILER!!!',
    ])
    expect(text).toContain('an agent')
    expect(text).toContain('1-erofs.ko\n')
  })

  test('a new agent is a new kernel, and the old one stays', async () => {
    await using shop = await workshop()
    const old = await installKernel(shop.layout, shop)
    await writeFile(shop.agentPath, 'a better agent')
    const fresh = await installKernel(shop.layout, shop)
    expect(fresh.files.id).not.toBe(old.files.id)
    expect(await currentKernel(shop.layout)).toEqual(fresh.files)
    expect((await readdir(shop.layout.kernels)).sort()).toEqual(['current', fresh.files.id, old.files.id].sort())
  })

  test('a damaged kernel is seen, and made good by the next setup', async () => {
    await using shop = await workshop()
    const { files } = await installKernel(shop.layout, shop)
    await writeFile(files.initrd, 'bit rot')
    expect(await installKernel(shop.layout, shop)).toMatchObject({ outcome: 'installed' })
    expect((await readFile(files.initrd)).length).toBeGreaterThan(512)

    await rm(files.vmlinuz)
    await expect(currentKernel(shop.layout)).rejects.toMatchObject({ code: 'KERNEL_INVALID' })
    await writeFile(shop.layout.kernel(files.id).record, '{')
    await expect(currentKernel(shop.layout)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    await writeFile(shop.layout.currentKernel, '../../etc')
    await expect(currentKernel(shop.layout)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    await installKernel(shop.layout, shop)
    expect(await currentKernel(shop.layout)).toEqual(files)
  })

  test('what is no kernel, or not that of the modules, is refused and leaves nothing', async () => {
    await using shop = await workshop()
    const attempt = (change: object) => installKernel(shop.layout, { ...shop, ...change })
    await expect(attempt({ kernel: shop.agentPath })).rejects.toMatchObject({ code: 'KERNEL_INVALID' })
    await expect(attempt({ kernel: '/nowhere' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(attempt({ agentPath: '/nowhere' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(attempt({ kernel: undefined })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await writeFile(shop.kernel, bzImage('6.12.0-other'))
    await expect(attempt({})).rejects.toMatchObject({
      code: 'KERNEL_INVALID',
      message: expect.stringContaining('6.12.0-other'),
    })
    expect(await readdir(shop.layout.staging)).toEqual([])
    await expect(readdir(shop.layout.kernels)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
