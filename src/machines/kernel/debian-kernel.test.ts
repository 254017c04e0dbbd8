import { expect, test } from 'vitest'
import { imagePackage } from './debian-kernel.ts'

test('the package with the files is the one that the meta package depends on', () => {
  const bookworm = `Package: linux-image-cloud-amd64
Source: linux-signed-amd64 (6.1.192+2)
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)
Description-en: Linux for x86-64 cloud (meta-package)
`
  expect(imagePackage(bookworm)).toEqual({ name: 'linux-image-6.1.0-56-cloud-amd64', version: '6.1.192-2' })
  const trixie = 'Depends: foo (>= 1), linux-image-6.12.48+deb13-cloud-arm64 (= 6.12.48-1), bar\n'
  expect(imagePackage(trixie)).toEqual({ name: 'linux-image-6.12.48+deb13-cloud-arm64', version: '6.12.48-1' })
})

test.each([
  '',
  'Depends: linux-image-6.1.0-56-cloud-amd64',
  'N: Unable to locate package',
  'Depends: linux-image-$(x) (= 1)',
])('what names no such package gives none: %j', (shown) => {
  expect(imagePackage(shown)).toBeUndefined()
})
