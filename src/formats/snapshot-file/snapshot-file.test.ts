import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { tarHeader, tarPadding } from '../tar/index.ts'
import { readSnapshotFile } from './read-snapshot-file.ts'
import { writeSnapshotFile } from './write-snapshot-file.ts'

interface Part {
  readonly name: string
  readonly runs: readonly { readonly hole: number; readonly data: Uint8Array }[]
  readonly tail: number
}

interface File {
  readonly record: unknown
  readonly parts: readonly Part[]
  readonly image: Uint8Array | undefined
}

const files: fc.Arbitrary<File> = fc.record({
  record: fc.jsonValue(),
  parts: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('upper.ext4', 'rootfs.ext4', 'volumes/data.ext4', 'mem.snap'),
      runs: fc.array(
        fc.record({
          hole: fc.nat(3000),
          data: fc.record({ blocks: fc.integer({ min: 1, max: 3 }), fill: fc.nat(255) }).map(filled),
        }),
        { maxLength: 4 },
      ),
      tail: fc.nat(3000),
    }),
    { selector: ({ name }) => name, maxLength: 3 },
  ),
  image: fc.option(fc.uint8Array({ maxLength: 1200 }), { nil: undefined }),
})

function filled({ blocks, fill }: { blocks: number; fill: number }): Buffer {
  return Buffer.alloc(512 * blocks, fill)
}

test('what is written is read back, whatever pieces it comes in', async () => {
  await fc.assert(
    fc.asyncProperty(files, fc.integer({ min: 1, max: 2000 }), async (file, piece) => {
      const bytes = await written(file)
      expect(await read(bytes, piece)).toEqual({
        record: JSON.parse(JSON.stringify(file.record)),
        parts: file.parts.map((part) => ({ name: part.name, content: contentOf(part).toString('hex') })),
        image: file.image === undefined ? undefined : Buffer.from(file.image).toString('hex'),
      })
    }),
  )
})

test('one that was cut short or changed is what was written, or refused', async () => {
  await fc.assert(
    fc.asyncProperty(files, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (file, at, kept, flip) => {
      const bytes = await written(file)
      const { image: _image, ...original } = await read(bytes)
      const cut = bytes.subarray(0, kept % (bytes.length + 1))
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(bytes.readUInt8(at % bytes.length) ^ flip, at % bytes.length)
      for (const damaged of [cut, flipped]) {
        const outcome = await read(damaged).catch(orInvalid)
        // An image proves itself, to whoever takes it in.
        if (outcome !== 'invalid') expect(outcome).toMatchObject(original)
      }
    }),
    { numRuns: 300 },
  )
})

test('arbitrary bytes are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
      expect(await read(Buffer.from(bytes)).catch(orInvalid)).toBe('invalid')
    }),
  )
})

test.each([
  ['another member', (bytes: Buffer) => Buffer.concat([member('../../etc/passwd', 'x'), bytes])],
  ['a member after its end', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1024), member('more', 'x')])],
  ['a header of another version', () => member('snapshot.json', '{"format":"cowshed-snapshot","version":2}')],
  ['a part that leads elsewhere', () => member('snapshot.json', headerOf([{ name: '../x', bytes: 1 }]))],
  ['a part that is not as large as it says', () => lying(5, 4)],
  ['digests of something else', () => Buffer.concat([lying(4, 4), member('digests.json', '{"digests":{}}')])],
])('%s is refused', async (_, change) => {
  const bytes = await written({ record: {}, parts: [], image: undefined })
  await expect(read(change(bytes))).rejects.toMatchObject({ code: 'SNAPSHOT_FILE_INVALID' })
})

test('a source that has other bytes than it says makes no file', async () => {
  const part = { name: 'disk', bytes: 9, segments: [{ offset: 0, length: 9 }], read: () => once(Buffer.alloc(8)) }
  await expect(collect(writeSnapshotFile({ record: {}, parts: [part] }))).rejects.toMatchObject({ code: 'IO_FAILED' })
})

function member(path: string, content: string): Buffer {
  const header = tarHeader({ path: Buffer.from(path), type: 'file', size: content.length })
  return Buffer.concat([header, Buffer.from(content), tarPadding(content.length)])
}

function headerOf(parts: readonly { name: string; bytes: number }[]): string {
  return JSON.stringify({ format: 'cowshed-snapshot', version: 1, record: {}, parts, image: false })
}

function lying(says: number, has: number): Buffer {
  const header = member('snapshot.json', headerOf([{ name: 'upper.ext4', bytes: says }]))
  return Buffer.concat([header, member('upper.ext4', 'x'.repeat(has))])
}

async function written({ record, parts, image }: File): Promise<Buffer> {
  const all = parts.map((part) => {
    const content = contentOf(part)
    let at = 0
    const segments = part.runs.map(({ hole, data }) => {
      const segment = { offset: at + hole, length: data.length }
      at += hole + data.length
      return segment
    })
    const read = ({ offset, length }: { offset: number; length: number }) =>
      once(content.subarray(offset, offset + length))
    return { name: part.name, bytes: content.length, segments, read }
  })
  return await collect(
    writeSnapshotFile({
      record,
      parts: all,
      image: image === undefined ? undefined : { bytes: image.length, source: once(Buffer.from(image)) },
    }),
  )
}

function contentOf({ runs, tail }: Part): Buffer {
  return Buffer.concat([...runs.flatMap(({ hole, data }) => [Buffer.alloc(hole), data]), Buffer.alloc(tail)])
}

async function read(bytes: Buffer, piece = bytes.length) {
  let record: unknown
  let image: string | undefined
  const parts: { name: string; content: string }[] = []
  for await (const step of readSnapshotFile(cut(bytes, piece))) {
    if (step.kind === 'header') record = step.header.record
    if (step.kind === 'part') {
      const pieces: Buffer[] = []
      for await (const one of step.pieces) pieces.push(Buffer.isBuffer(one) ? Buffer.from(one) : Buffer.alloc(one.hole))
      parts.push({ name: step.name, content: Buffer.concat(pieces).toString('hex') })
    }
    if (step.kind === 'image') image = (await collect(step.source)).toString('hex')
  }
  return { record, parts, image }
}

function orInvalid(error: unknown): 'invalid' {
  if (isProblem(error, 'SNAPSHOT_FILE_INVALID')) return 'invalid'
  throw error
}

async function* cut(bytes: Buffer, piece: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of source) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}
