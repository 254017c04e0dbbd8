import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DigestHasher, digestAlgorithm, digestHex, digestOf, isDigest, parseDigest, shortDigest } from './digest.ts'

const emptyHex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

test('a digest is parsed, taken apart and made', () => {
  const digest = parseDigest(`sha256:${emptyHex}`)
  expect(digest).toBe(digestOf(''))
  expect(digestAlgorithm(digest)).toBe('sha256')
  expect(digestHex(digest)).toBe(emptyHex)
  expect(shortDigest(digest)).toBe('e3b0c44298fc')
  expect(isDigest(digest)).toBe(true)
  expect(parseDigest(`sha512:${'ab'.repeat(64)}`)).toContain('sha512:')
})

test.each([
  ['../../etc/passwd', 'IMAGE_INVALID'],
  ['sha256:../../../etc/passwd', 'IMAGE_INVALID'],
  [`sha256:${emptyHex.toUpperCase()}`, 'IMAGE_INVALID'],
  [`sha256:${emptyHex.slice(1)}`, 'IMAGE_INVALID'],
  [`sha256:${emptyHex}\n`, 'IMAGE_INVALID'],
  ['', 'IMAGE_INVALID'],
  [`blake3:${emptyHex}`, 'IMAGE_UNSUPPORTED'],
  ['__proto__:aa', 'IMAGE_INVALID'],
  ['constructor:aa', 'IMAGE_UNSUPPORTED'],
])('%j is not believed', (text, code) => {
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code }))
  expect(isDigest(text)).toBe(false)
})

test('whatever is accepted is safe as a path', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      try {
        expect(parseDigest(text)).toMatch(/^sha(256|512):[0-9a-f]+$/)
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^IMAGE_/) })
      }
    }),
  )
})

test('hashing in pieces is hashing the whole', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (pieces) => {
      const hasher = new DigestHasher()
      for (const piece of pieces) hasher.update(piece)
      expect(hasher.bytes).toBe(Buffer.concat(pieces).length)
      expect(hasher.digest()).toBe(digestOf(Buffer.concat(pieces)))
    }),
  )
})
