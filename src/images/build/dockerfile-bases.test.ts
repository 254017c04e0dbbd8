import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dockerfileBases } from './dockerfile-bases.ts'

const names = (text: string, args?: Record<string, string>) => dockerfileBases(text, args).map(({ name }) => name)

test.each([
  ['FROM debian:12', ['debian:12']],
  ['from debian', ['debian']],
  ['# FROM no\n\n FROM --platform=linux/amd64 debian:12 AS base', ['debian:12']],
  ['FROM scratch', []],
  ['FROM a AS one\nFROM one\nFROM ONE AS two\nCOPY --from=two /x /x\nCOPY --from=0 /x /x', ['a']],
  ['FROM a\nCOPY --from=tools:1 /x /x\nRUN --mount=type=bind,from=other:2,target=/m true', ['a', 'tools:1', 'other:2']],
  ['FROM \\\n  # in between\n  debian:12', ['debian:12']],
  ['# escape=`\nFROM `\n debian:12', ['debian:12']],
  ['FROM debian@sha256:abc', ['debian@sha256:abc']],
  ['FROM a\nARG V=2\nFROM b:$V', ['a', 'b:']],
  ['', []],
])('%j is built from %j', (text, expected) => {
  expect(names(text)).toEqual(expected)
})

test('arguments are filled in, and what the Dockerfile writes is kept', () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: that is how a Dockerfile writes them
  const text = 'ARG D=debian\nARG V="12" W\nFROM ${D}:$V\nFROM $D:${W:-13}\nFROM x:${V:+yes}'
  expect(dockerfileBases(text)).toEqual([
    { written: '${D}:$V', name: 'debian:12' },
    { written: '$D:${W:-13}', name: 'debian:13' },
    { written: 'x:${V:+yes}', name: 'x:yes' },
  ])
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: until here
  expect(names(text, { D: 'alpine', V: '3' })).toEqual(['alpine:3', 'alpine:13', 'x:yes'])
})

test('any text gives some list', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => Array.isArray(dockerfileBases(`FROM ${text}`))))
})
