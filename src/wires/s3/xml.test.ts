import fc from 'fast-check'
import { expect, test } from 'vitest'
import { elementsOf, textOf } from './xml.ts'

test('elements and their text come out as they went in', () => {
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  fc.assert(
    fc.property(fc.array(fc.string()), (texts) => {
      const xml = `<?xml version="1.0"?><List>${texts.map((text) => `<A><Key>${escaped(text)}</Key></A>`).join('\n')}</List>`
      expect(elementsOf(xml, 'A').map((element) => textOf(element, 'Key'))).toEqual(texts)
    }),
  )
  expect(textOf('<Key>&quot;a&apos;&#x41;&#66;&#x110000;&unknown;</Key>', 'Key')).toBe(`"a'AB&#x110000;&unknown;`)
})

test('whatever a server sends is read to its end', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('<A>', '</A>', '<A><A>', ''), (text, part) => {
      expect(Array.isArray(elementsOf(text + part + text, 'A'))).toBe(true)
    }),
  )
  expect(elementsOf('<A>1</A><A>2', 'A')).toEqual(['1'])
  expect(textOf('', 'A')).toBeUndefined()
})
