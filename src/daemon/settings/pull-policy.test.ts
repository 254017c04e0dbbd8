import { expect, test } from 'vitest'
import { pullPolicyOf } from './pull-policy.ts'
import { Settings } from './settings.ts'

const { images } = Settings.parse({
  images: {
    pull_policies: {
      'registry.example:5000': 'lazy',
      'registry.example:5000/team/database': 'whole',
      'https://index.docker.io/v1/': 'lazy',
    },
  },
})

test.each([
  ['registry.example:5000/team/app:1', 'lazy'],
  ['registry.example:5000/team/database:1', 'whole'],
  ['registry.example:5000/team/database/copy', 'whole'],
  ['registry.example/team/app', 'whole'],
  ['debian:12', 'lazy'],
  ['docker.io/team/app', 'lazy'],
  ['not a reference', 'whole'],
])('%s is pulled: %s', (ref, policy) => {
  expect(pullPolicyOf(images)(ref)).toBe(policy)
})

test('what nothing is said of is pulled as the rest', () => {
  expect(pullPolicyOf({ ...images, pull_policy: 'lazy' })('registry.example/team/app')).toBe('lazy')
  expect(pullPolicyOf({ ...images, pull_policy: 'lazy' })('registry.example:5000/team/database')).toBe('whole')
})
