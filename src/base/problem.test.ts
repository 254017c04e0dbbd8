import { openSync, renameSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Problem, problemFromSystem } from './problem.ts'

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

test('what the system says is told in its words, with the path once', () => {
  const missing = thrownBy(() => openSync('/nonexistent/file', 'r'))
  expect(problemFromSystem(missing, 'read /nonexistent/file')).toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: 'cannot read /nonexistent/file: no such file or directory',
    hint: 'see whether the path is right',
  })
  expect(problemFromSystem(missing, 'begin').message).toBe('cannot begin: no such file or directory: /nonexistent/file')
  const moved = thrownBy(() => renameSync('/nonexistent/a', '/nonexistent/b'))
  expect(problemFromSystem(moved, 'install b').message).toBe(
    'cannot install b: no such file or directory: /nonexistent/a',
  )
})

test('what was no error of the system keeps its words, and a problem is the same one', () => {
  expect(problemFromSystem(new Error('odd, open it'), 'go on').message).toBe('cannot go on: odd, open it')
  expect(problemFromSystem('words', 'go on')).toMatchObject({ code: 'IO_FAILED', message: 'cannot go on: words' })
  const problem = new Problem('NO_SPACE', 'full')
  expect(problemFromSystem(problem, 'go on')).toBe(problem)
})
