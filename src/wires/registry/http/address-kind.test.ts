import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AddressKind, addressKind, mayLeadTo } from './address-kind.ts'

describe('the kind of an address', () => {
  test.each<[string, AddressKind]>([
    ['8.8.8.8', 'public'],
    ['172.32.0.1', 'public'],
    ['2606:4700::1111', 'public'],
    ['127.0.0.1', 'loopback'],
    ['127.8.9.10', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['::', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00::1', 'private'],
    ['169.254.169.254', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['224.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['ff02::1', 'reserved'],
    ['::ffff:169.254.169.254', 'link-local'],
    ['::ffff:a9fe:a9fe', 'link-local'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::a00:1', 'private'],
    ['2002:7f00:1::', 'loopback'],
    ['::ffff:8.8.8.8', 'public'],
    ['not an address', 'reserved'],
  ])('%s is %s', (address, kind) => expect(addressKind(address)).toBe(kind))

  test('every address has one, in IPv6 too', () => {
    const inside = fc.property(fc.ipV4(), (address) => {
      expect(addressKind(`::ffff:${address}`)).toBe(addressKind(address))
    })
    const any = fc.property(fc.oneof(fc.ipV6(), fc.string()), (address) => {
      expect(addressKind(address)).toBeTypeOf('string')
    })
    fc.assert(inside)
    fc.assert(any)
  })
})

test('a registry may send its clients out, and to its like, and nowhere else', () => {
  const allowed = (from: AddressKind[]) =>
    (['public', 'private', 'loopback', 'link-local', 'reserved'] as const).filter((to) => mayLeadTo(to, new Set(from)))
  expect(allowed(['public'])).toEqual(['public'])
  expect(allowed([])).toEqual(['public'])
  expect(allowed(['private'])).toEqual(['public', 'private'])
  expect(allowed(['loopback'])).toEqual(['public', 'private', 'loopback'])
  expect(allowed(['link-local'])).toEqual(['public', 'link-local'])
  expect(allowed(['public', 'private'])).toEqual(['public', 'private'])
})
