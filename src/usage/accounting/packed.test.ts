import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MeasuredFile, Measurement, MeasureRequest } from './measured-file.ts'
import { packMeasurement, packRenewed, packRequest, renewFiles, unpackMeasurement, unpackRequest } from './packed.ts'

const number = fc.oneof(fc.nat(), fc.maxSafeNat())
const lists = fc.array(fc.array(fc.nat(5000), { maxLength: 5 }), { maxLength: 8 })
const file: fc.Arbitrary<MeasuredFile> = fc.record({
  path: fc.string(),
  device: number,
  inode: number,
  logicalBytes: number,
  allocatedBytes: number,
  changedAt: fc.double({ noNaN: true }),
  namedElsewhere: fc.boolean(),
  locked: fc.boolean(),
})
const request: fc.Arbitrary<MeasureRequest> = fc.record({
  root: fc.string(),
  files: fc.array(file),
  fresh: fc.boolean(),
  ownerships: fc.array(fc.record({ owners: fc.nat(), ofFile: lists }), { maxLength: 3 }),
  explain: fc.nat(),
})

const bytes = fc.array(fc.record({ atLeast: number, atMost: fc.oneof(number, fc.constant(Number.POSITIVE_INFINITY)) }))
const measurement: fc.Arbitrary<Measurement> = fc.record({
  accuracy: fc.constant('bounds' as const),
  union: fc.constant({ atLeast: 1, atMost: 2 }),
  files: bytes,
  ownerships: fc.array(fc.record({ exclusive: bytes, held: bytes, marginal: bytes, closest: lists }), { maxLength: 3 }),
  explained: fc.constant(new Map([[3, { atLeast: 4, atMost: 5 }]])),
  reservedBytes: number,
  overlooks: fc.boolean(),
  space: fc.constant({ id: 'x', totalBytes: 3, usedBytes: 2, freeBytes: 1 }),
})

test('what is asked and what is answered comes over whole', () => {
  fc.assert(
    fc.property(request, measurement, (asked, answered) => {
      expect(unpackRequest(structuredClone(packRequest(asked)))).toEqual(asked)
      expect(unpackMeasurement(structuredClone(packMeasurement(answered)))).toEqual(answered)
    }),
  )
})

test('what has become of files comes over as what is asked', () => {
  const change = fc.record({ at: fc.nat(), file })
  fc.assert(
    fc.property(request, fc.array(change), ({ explain: _, ...asked }, changes) => {
      const then = { ...asked, fresh: false }
      const files = [...then.files]
      for (const { at, file } of changes) if (files.length > 0) files[at % files.length] = file
      const now = { ...then, files }
      const renewed = packRenewed(then, now)
      expect(renewed?.places.length).toBeLessThanOrEqual(changes.length)
      expect(renewed && renewFiles(then, structuredClone(renewed))).toEqual(now)
    }),
  )
})

test('another question is asked anew: of more files, of other owners, in full of one of them, or with nothing believed', () => {
  fc.assert(
    fc.property(request, file, ({ explain: _, ...asked }, more) => {
      const then = { ...asked, fresh: false }
      for (const other of [
        { ...then, files: [...then.files, more] },
        { ...then, ownerships: [...then.ownerships] },
        { ...then, explain: 0 },
        { ...then, fresh: true },
      ]) {
        expect(packRenewed(then, other)).toBeUndefined()
      }
    }),
  )
})
