import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { bytesOf, sampleConfig, sampleManifest } from './documents.testkit.ts'
import { checkLayerCount, parseImageConfig } from './parse-image-config.ts'
import { parseManifest } from './parse-manifest.ts'

describe('an image config', () => {
  test('is parsed', () => {
    expect(parseImageConfig(bytesOf(sampleConfig()))).toMatchObject({
      architecture: 'amd64',
      env: ['PATH=/bin'],
      cmd: ['sh'],
      entrypoint: [],
      user: '1000',
      workingDir: '/srv',
      labels: { a: 'b' },
      diffIds: sampleConfig().rootfs.diff_ids,
      history: [{}, { empty_layer: true }, {}],
    })
  })

  test('with null wherever Docker writes null is one with nothing there', () => {
    const empty = { Env: null, Cmd: null, Entrypoint: null, Labels: null, Volumes: null, ExposedPorts: null }
    const config = parseImageConfig(bytesOf(sampleConfig({ config: empty, history: null })))
    expect(config).toMatchObject({ env: [], cmd: [], entrypoint: [], labels: {}, volumes: [], history: [] })
    expect(parseImageConfig(bytesOf(sampleConfig({ config: null }))).user).toBe('')
  })

  test('with a lone string as command is one of a single word', () => {
    expect(parseImageConfig(bytesOf(sampleConfig({ config: { Cmd: '/bin/app' } }))).cmd).toEqual(['/bin/app'])
  })

  test.each([
    ['no architecture', { architecture: undefined }],
    ['no rootfs', { rootfs: undefined }],
    ['another kind of rootfs', { rootfs: { type: 'layers+base', diff_ids: [] } }],
    ['a diff_id that is no digest', { rootfs: { type: 'layers', diff_ids: ['x'] } }],
    ['an environment of numbers', { config: { Env: [1] } }],
    ['labels of lists', { config: { Labels: { a: [] } } }],
  ])('with %s is refused', (_, change) => {
    const attempt = () => parseImageConfig(bytesOf(sampleConfig(change)))
    expect(attempt).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }))
  })

  test('must have a diff_id for each layer', () => {
    const manifest = parseManifest(bytesOf(sampleManifest()))
    checkLayerCount(manifest, parseImageConfig(bytesOf(sampleConfig())))
    const config = parseImageConfig(bytesOf(sampleConfig({ rootfs: { type: 'layers', diff_ids: [] } })))
    expect(() => checkLayerCount(manifest, config)).toThrow(/2 layers and its config 0 diff_ids/)
  })

  test('with any run configuration gives a value or a Problem', () => {
    const field = fc.constantFrom('Env', 'Cmd', 'User', 'Labels', 'Volumes', 'WorkingDir', '__proto__')
    fc.assert(
      fc.property(fc.dictionary(field, fc.jsonValue()), (config) => {
        try {
          parseImageConfig(bytesOf(sampleConfig({ config })))
        } catch (error) {
          if (!isProblem(error)) throw error
        }
      }),
    )
  })
})
