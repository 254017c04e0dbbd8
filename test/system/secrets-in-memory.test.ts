import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { fakeWeb } from '../support/fake-web.ts'
import { needs } from '../support/needs.ts'

/** Over a fake QEMU: what a record says of a memory. With a guest that has them: secrets.test.ts. */
test.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))(
  'a secret that a shed had when it ran is in its memory, and in what goes on from that, until it boots',
  async () => {
    await using web = await fakeWeb()
    const { sheds, create } = web.rooms
    const inMemory = async (name: string) => (await sheds.get(name)).secrets_in_memory
    for (const secret of ['one', 'two']) await sheds.secrets.set(secret, Readable.from([Buffer.from(secret)]))
    const given = ['one', 'two'].map((secret) => ({ secret, env: secret.toUpperCase() }))
    for (const use of given) await sheds.giveSecret('web', use)
    await sheds.takeSecret('web', 'one')
    expect(await inMemory('web')).toEqual(['one'])
    await sheds.takeSecret('web', 'two')
    await sheds.stop('web', { timeout_ms: 1000, keep_memory: true })

    // Asleep or awake.
    const refused = { code: 'INVALID_REQUEST', message: 'there are secrets in the memory of web: one, two' }
    const keep = { shed: 'web', name: 'kept', memory: true }
    await expect(sheds.snapshots.create(keep)).rejects.toMatchObject(refused)
    await sheds.wake('web')
    await expect(sheds.fork('web', { name: 'fork' })).rejects.toMatchObject(refused)
    await sheds.snapshots.create({ ...keep, with_secrets: true })
    expect((await sheds.snapshots.get('kept')).secrets_in_memory).toEqual(['one', 'two'])
    const exported = (withSecrets: boolean) => sheds.snapshots.exportTo('kept', { withImage: false, withSecrets })
    await expect(exported(false)).rejects.toMatchObject({
      ...refused,
      message: 'there are secrets in the memory of kept: one, two',
    })
    for await (const piece of await exported(true)) expect(piece.length).toBeGreaterThan(0)
    // A disk has none.
    await sheds.snapshots.create({ shed: 'web', name: 'disk' })
    expect(await sheds.snapshots.get('disk')).not.toHaveProperty('secrets_in_memory')

    const from = { image: undefined, from_snapshot: 'kept', memory_bytes: 64 * 2 ** 20, start: true }
    await create('copy', { ...from, secrets: given.slice(0, 1) })
    expect(await inMemory('copy')).toEqual(['two'])
    await expect(sheds.fork('copy', { name: 'fork' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await create('booted', { ...from, cold_boot: true })
    expect(await inMemory('booted')).toBeUndefined()
    await sheds.fork('web', { name: 'fork', with_secrets: true })
    expect(await inMemory('fork')).toEqual(['one', 'two'])

    await sheds.stop('web', { timeout_ms: 1000 })
    await sheds.start('web')
    expect(await inMemory('web')).toBeUndefined()
    await sheds.fork('web', { name: 'clean' })
    for (const name of ['copy', 'booted', 'fork', 'clean']) await sheds.remove(name, { force: true })
  },
)
