import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cut, readTar } from '../../../test/support/read-tar.ts'
import { buildTar, expandSparse, type SparseContent } from '../../../test/support/tar-builder.ts'
import { tarMembers } from '../../../test/support/tar-entries.ts'
import { readTarMembers, type TarMember } from './read-tar-members.ts'
import { tarEnd, tarHeader, tarPadding } from './tar-header.ts'

async function* source(archive: Buffer, chunkBytes = 700): AsyncGenerator<Buffer> {
  for (let at = 0; at < archive.length; at += chunkBytes) yield archive.subarray(at, at + chunkBytes)
}

async function contentOf(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function contentOfNext(members: AsyncIterator<TarMember>): Promise<() => Promise<Buffer>> {
  const { value, done } = await members.next()
  if (done) throw new Error('no member')
  return () => contentOf(value.body)
}

const archive = buildTar([
  { path: 'index.json', content: '{}' },
  { path: 'blobs', type: 'directory' },
  { path: 'blobs/layer', content: Buffer.alloc(100_000, 'layer') },
  { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
])

test('members come in order with their contents', async () => {
  const found: [string, number][] = []
  for await (const { entry, body } of readTarMembers(source(archive))) {
    found.push([entry.path.toString(), (await contentOf(body)).length])
  }
  expect(found).toEqual([
    ['index.json', 2],
    ['blobs', 0],
    ['blobs/layer', 100_000],
    ['oci-layout', 30],
  ])
})

test('a body may be left unread, wholly or half way', async () => {
  const found: string[] = []
  for await (const { entry, body } of readTarMembers(source(archive))) {
    found.push(entry.path.toString())
    if (found.length === 3) for await (const _ of body) break
  }
  expect(found).toEqual(['index.json', 'blobs', 'blobs/layer', 'oci-layout'])
})

test('it gives what the reader gives, whatever is read and however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      tarMembers(),
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 }),
      fc.array(fc.boolean(), { minLength: 1 }),
      async (members, chunks, reads) => {
        const bytes = Buffer.concat([
          ...members.flatMap(({ entry, content }) => [tarHeader(entry), content, tarPadding(content.length)]),
          tarEnd(),
        ])
        const whole = readTar(bytes).members
        let i = 0
        for await (const { entry, body } of readTarMembers(Readable.from([...copies(bytes, chunks)]))) {
          expect(entry).toEqual(whole[i]?.entry)
          if (reads[i % reads.length]) expect(await contentOf(body)).toEqual(whole[i]?.content)
          i++
        }
        expect(i).toBe(members.length)
      },
    ),
    { numRuns: 50 },
  )
})

function* copies(bytes: Buffer, chunks: readonly number[]): Generator<Buffer> {
  for (const chunk of cut(bytes, chunks)) yield Buffer.from(chunk)
}

test('holes come as zeros', async () => {
  const sparse: SparseContent = { form: '1.0', realSize: 300_000, segments: [{ offset: 200_000, bytes: 'data' }] }
  for await (const { body } of readTarMembers(source(buildTar([{ path: 's', sparse }])))) {
    expect((await contentOf(body)).equals(expandSparse(sparse))).toBe(true)
  }
})

test('no more is asked for than is needed', async () => {
  let asked = 0
  async function* counted() {
    for await (const chunk of source(archive, 512)) {
      asked++
      yield chunk
    }
  }
  const members = readTarMembers(counted())
  await members.next()
  expect(asked).toBe(1)
  const { value } = await members.next()
  expect([value?.entry.path.toString(), asked]).toEqual(['blobs', 3])
  await members.return()
})

test('a caller that stops early ends the source; one that does not reads it to its end', async () => {
  let ended = false
  let given = 0
  async function* watched() {
    try {
      for await (const chunk of source(Buffer.concat([archive, Buffer.alloc(5000)]))) {
        given += chunk.length
        yield chunk
      }
    } finally {
      ended = true
    }
  }
  for await (const _ of readTarMembers(watched())) break
  expect([ended, given < archive.length]).toEqual([true, true])
  given = 0
  for await (const _ of readTarMembers(watched()));
  expect(given).toBe(archive.length + 5000)
})

test('a body is read once, and not after its time', async () => {
  const members = readTarMembers(source(archive))
  const readFirst = await contentOfNext(members)
  await readFirst()
  await expect(readFirst()).rejects.toMatchObject({ code: 'INTERNAL' })
  const readSecond = await contentOfNext(members)
  await members.next()
  await expect(readSecond()).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringMatching(/next member/) })
})

test('what is wrong with the archive reaches who reads the body, and who asks for the next member', async () => {
  const cutOff = archive.subarray(0, 50_000)
  const read = async (readBodies: 'bodies too' | 'members only') => {
    for await (const { body } of readTarMembers(source(cutOff))) if (readBodies === 'bodies too') await contentOf(body)
  }
  for (const what of ['bodies too', 'members only'] as const) {
    await expect(read(what)).rejects.toMatchObject({
      code: 'TAR_INVALID',
      message: expect.stringMatching(/blobs\/layer/),
    })
  }
})

test('what the source throws comes through, warnings are handed on, limits count', async () => {
  async function* broken() {
    yield archive.subarray(0, 600)
    throw new Error('the disk is gone')
  }
  const read = async (from: AsyncIterable<Buffer>, options = {}) => {
    for await (const _ of readTarMembers(from, options));
  }
  await expect(read(broken())).rejects.toThrow('the disk is gone')
  await expect(read(source(archive), { limits: { maxEntries: 2 } })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  const warnings: string[] = []
  await read(source(buildTar([{ path: 'odd', typeflag: 'Z' }])), {
    onWarning: (message: string) => warnings.push(message),
  })
  expect(warnings).toHaveLength(1)
})
