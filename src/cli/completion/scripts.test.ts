import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { completionScripts } from './scripts.ts'

/** Completes in a real bash whose `cowshed` says which words it was asked with, and offers two. */
function completeInBash(...words: string[]): string[] {
  const script = `
    cowshed() { echo asked: "\${@:3}"; echo web:; echo :files; }
    compopt() { echo compopt "$@"; }
    ${completionScripts.bash}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _cowshed
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['--norc', '--noprofile', '-c', script, 'bash', ...words], { encoding: 'utf8' })
  return output.trim().split('\n')
}

test.runIf(needs({ tools: ['bash'] }))('bash asks with the words up to the cursor and takes what it is offered', () => {
  expect(completeInBash('cowshed', 'cp', 'w')).toEqual(['compopt -o default', 'asked: cp w', 'web:'])
  expect(completeInBash('cowshed', '')).toEqual(['compopt -o default', 'asked: ', 'web:'])
})

test.runIf(needs({ tools: ['shellcheck'] }))('the script for bash has nothing that shellcheck knows of', () => {
  execFileSync('shellcheck', ['--shell=bash', '-'], { input: completionScripts.bash })
})
