import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { outputOf } from '../cli.testkit.ts'
import { displayWidth } from '../terminal/display-width.ts'
import { drawBar } from './draw-bar.ts'
import { progressDisplay } from './progress-display.ts'

function display({ isTTY, mode = 'auto' as const }: { isTTY: boolean; mode?: 'auto' | 'none' }) {
  const output = outputOf(isTTY, 60)
  const clock = { ms: 0 }
  return { output, clock, ...progressDisplay({ output, mode, now: () => clock.ms }) }
}

describe('on a terminal', () => {
  test('work that is over in a blink shows nothing', () => {
    const { report, end, output, clock } = display({ isTTY: true })
    for (clock.ms = 0; clock.ms < 500; clock.ms += 50) report({ phase: 'load', done: clock.ms, total: 500 })
    end()
    expect(output.text()).toBe('')
  })

  test('longer work is drawn over itself and taken away at its end', () => {
    const { report, end, output, clock } = display({ isTTY: true })
    report({ phase: 'load', done: 0, total: 200e6 })
    clock.ms = 600
    report({ phase: 'load', done: 50e6, total: 200e6 })
    clock.ms = 800
    report({ phase: 'load', done: 100e6, total: 200e6 })
    end()
    const lines = output.text().split('\r\u001b[K')
    expect(lines).toEqual([
      '',
      expect.stringMatching(/^load {2}\[█+░+\] 25 % {2}50.0 MB \/ 200.0 MB$/),
      expect.stringMatching(/^load {2}\[█+░+\] 50 % {2}100.0 MB \/ 200.0 MB$/),
      '',
    ])
  })

  test('nothing is drawn that is there already, or too soon to be seen', () => {
    const { report, output, clock } = display({ isTTY: true })
    for (clock.ms = 600; clock.ms < 2600; clock.ms++) report({ phase: 'load', done: 1e6, total: 2e6 })
    expect(output.text().split('\r').length - 1).toBe(1)
  })

  test('items that go on side by side are one bar', () => {
    const { report, output, clock } = display({ isTTY: true })
    clock.ms = 600
    report({ phase: 'unpack', item: 'a', done: 10e6, total: 100e6 })
    clock.ms = 800
    report({ phase: 'unpack', item: 'b', done: 40e6, total: 100e6 })
    expect(output.text()).toContain('25 %  50.0 MB / 200.0 MB')
  })
})

describe('layers that come', () => {
  test('have a line each on a terminal, drawn over each other and taken away at the end', () => {
    const { report, end, output, clock } = display({ isTTY: true })
    report({ phase: 'download', item: 'aaa', done: 0, total: 20e6 })
    report({ phase: 'download', item: 'bbb', done: 0, total: 40e6 })
    clock.ms = 600
    report({ phase: 'download', item: 'aaa', done: 10e6, total: 20e6 })
    clock.ms = 800
    report({ phase: 'unpack', item: 'aaa', done: 5e6, total: 20e6 })
    report({ phase: 'download', item: 'aaa', done: 20e6, total: 20e6 })
    clock.ms = 1000
    report({ phase: 'unpack', item: 'aaa', done: 15e6, total: 20e6 })
    clock.ms = 1200
    report({ phase: 'unpack', item: 'aaa', done: 20e6, total: 20e6 })
    end()
    const drawn = output.text().split(/\r\u001b\[K|\u001b\[1A\r\u001b\[J/)
    expect(drawn.map((block) => block.split('\n').map((line) => line.replace(/ *\[[█░]+\] */, ' ')))).toEqual([
      [''],
      [expect.stringMatching(/^aaa {2}download.* 50 %/), expect.stringMatching(/^bbb {2}download.* 0 %/)],
      [expect.stringMatching(/^aaa {2}unpack.* 75 %/), expect.stringMatching(/^bbb {2}download.* 0 %/)],
      [expect.stringMatching(/^bbb {2}download.* 0 %/), 'aaa  done      20.0 MB'],
      [''],
    ])
  })

  test('are no more than the terminal has lines for', () => {
    const { report, output, clock } = display({ isTTY: true })
    clock.ms = 600
    for (let layer = 0; layer < 40; layer++) {
      clock.ms += 200
      report({ phase: 'push', item: `layer-${layer}`, done: 1e6, total: 1e6 + (layer % 2) })
    }
    const last = output.text().split('\u001b[J').at(-1)?.split('\n') ?? []
    expect(last).toHaveLength(16)
    expect(last.at(-1)).toBe('and 25 more (20 done)')
  })

  test('are a line for each 10 % of each phase elsewhere', () => {
    const { report, output, clock } = display({ isTTY: false })
    clock.ms = 600
    for (let done = 0; done <= 100; done += 50) {
      report({ phase: 'download', item: 'aaa', done, total: 100 })
      report({ phase: 'unpack', item: 'aaa', done: done / 2, total: 100 })
    }
    expect(output.text()).toBe(
      'download: 0 %\nunpack: 0 %\ndownload: 50 %\nunpack: 20 %\ndownload: 100 %\nunpack: 50 %\n',
    )
  })
})

test('elsewhere it is a line for each 10 %', () => {
  const { report, output, clock } = display({ isTTY: false })
  for (let done = 0; done <= 1000; done++) {
    clock.ms = 1000 + done
    report({ phase: 'load', done, total: 1000 })
  }
  const expected = ['load: 0 %', ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((tenth) => `load: ${tenth}0 %`)]
  expect(output.text()).toBe(
    expected
      .slice(0, 11)
      .map((line) => `${line}\n`)
      .join(''),
  )
})

test('none is none', () => {
  const { report, end, output, clock } = display({ isTTY: true, mode: 'none' })
  clock.ms = 5000
  report({ phase: 'load', done: 1, total: 2 })
  end()
  expect(output.text()).toBe('')
})

test('a bar fits, however narrow the terminal and whatever the numbers', () => {
  const phase = fc.oneof(fc.constant('load'), fc.string({ maxLength: 40, unit: 'grapheme' }))
  const total = fc.option(fc.integer({ min: 0, max: 2 ** 50 }), { nil: undefined })
  fc.assert(
    fc.property(
      phase,
      fc.integer({ min: 0, max: 2 ** 50 }),
      total,
      fc.integer({ min: 1, max: 200 }),
      (phase, done, total, columns) => {
        const line = drawBar({ phase, done, total }, columns)
        expect(displayWidth(line)).toBeLessThan(Math.max(2, columns))
        expect(line).not.toMatch(/[\r\n\u001b]/)
      },
    ),
  )
})
