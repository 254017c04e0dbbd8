import { describe, expect, test } from 'vitest'
import type { LayerEntry } from '../../formats/index.ts'
import { device, dir, fifo, file, flatten, hardlink, linesOf, opaque, symlink, whiteout } from './layers.testkit.ts'

type Layer = readonly LayerEntry[]

/** The layers, from the bottom, and the tree that they add up to by the rules of the image specification. */
function gives(name: string, layers: readonly Layer[], tree: readonly string[]): void {
  test(name, () => expect(linesOf(flatten(...layers).root)).toEqual(tree))
}

function refuses(name: string, layers: readonly Layer[], message: RegExp, code = 'LAYER_INVALID'): void {
  test(name, () => {
    expect(() => flatten(...layers)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
  })
}

describe('one layer', () => {
  gives('no layers at all are an empty root', [], [])
  gives('of a path that comes twice the last counts', [[file('f', '1'), file('f', '2')]], ['f "2"'])
  gives('a directory that comes twice keeps its content', [[dir('d'), file('d/f'), dir('d')]], ['d/', 'd/f ""'])
  gives(
    'names may start with / or ./ and have empty components',
    [[file('/abs/f', '1'), file('./rel//./g', '2')]],
    ['abs/', 'abs/f "1"', 'rel/', 'rel/g "2"'],
  )
  gives(
    'hard links are one inode',
    [[file('a', 'x'), hardlink('b', 'a'), hardlink('c', './b')]],
    ['a "x"', 'b = a', 'c = a'],
  )
  gives('a hard link to a symlink is the symlink', [[symlink('l', 't'), hardlink('m', 'l')]], ['l -> t', 'm = l'])
  gives('a hard link to itself changes nothing', [[file('a', 'x'), hardlink('a', 'a')]], ['a "x"'])
  gives(
    'a hard link keeps what its target was when it was made',
    [[file('a', 'old'), hardlink('b', 'a'), file('a', 'new')]],
    ['a "new"', 'b "old"'],
  )
  gives(
    'a hard link finds its target through a symlink',
    [[file('real/f', 'x'), symlink('lnk', 'real'), hardlink('h', 'lnk/f')]],
    ['h "x"', 'lnk -> real', 'real/', 'real/f = h'],
  )
  gives('symlink targets stay as they are', [[symlink('l', '../../../../etc')]], ['l -> ../../../../etc'])
  gives(
    'an entry through a symlink that climbs out lands inside the root',
    [[symlink('a/l', '../../../../etc'), file('a/l/passwd', 'x')]],
    ['a/', 'a/l -> ../../../../etc', 'etc/', 'etc/passwd "x"'],
  )
  gives(
    'an entry through an absolute symlink starts from the root of the image',
    [[dir('etc'), symlink('a/l', '/etc'), file('a/l/x/y', 'x')]],
    ['a/', 'a/l -> /etc', 'etc/', 'etc/x/', 'etc/x/y "x"'],
  )
  gives(
    'an entry through a symlink to nowhere makes where it points to',
    [[symlink('l', 'new/place'), file('l/f', 'x')]],
    ['l -> new/place', 'new/', 'new/place/', 'new/place/f "x"'],
  )
  gives(
    'what a symlink passes on its way up is not made',
    [[symlink('l', 'nowhere/../real'), file('l/f')]],
    ['l -> nowhere/../real', 'real/', 'real/f ""'],
  )
  gives(
    'devices and pipes',
    [[device('null', 'char', [1, 3]), device('sda', 'block', [259, 300]), fifo('p')]],
    ['null char 1:3', 'p fifo', 'sda block 259:300'],
  )
  gives('names that are not UTF-8 keep their bytes', [[file(Buffer.from([0x6e, 0xff, 0xfe]), 'x')]], ['n\xff\xfe "x"'])
  gives('a name of 255 bytes', [[file('n'.repeat(255))]], [`${'n'.repeat(255)} ""`])
  gives(
    'a file in a directory that is called like a whiteout',
    [[file('.wh.etc/passwd', 'x')]],
    ['.wh.etc/', '.wh.etc/passwd "x"'],
  )
  gives('a directory that is called like a whiteout', [[dir('.wh.etc')], [dir('.wh.etc')]], ['.wh.etc/'])
  gives(
    "AUFS's own books are left out",
    [[file('.wh..wh.aufs'), dir('.wh..wh.plnk'), file('.wh..wh.plnk/1.2'), file('f')]],
    ['f ""'],
  )

  test('missing parents belong to root, with mode 0755 and time 0', () => {
    const { root } = flatten([file('a/b/f', 'x', { mode: 0o600, uid: 5, gid: 6 })])
    expect(linesOf(root, { attributes: true })).toEqual([
      '/ 755 0:0 0.000000000',
      'a/ 755 0:0 0.000000000',
      'a/b/ 755 0:0 0.000000000',
      'a/b/f "x" 600 5:6 1000.000000000',
    ])
  })

  test('everything of an entry is kept', () => {
    const all = {
      mode: 0o6755,
      uid: 3_000_000_000,
      gid: 2_500_000,
      mtimeSeconds: -2,
      mtimeNanoseconds: 500_000_000,
      xattrs: [{ name: 'security.capability', value: Buffer.from('0100000200200000', 'hex') }],
    }
    const { root, warnings } = flatten([dir('.', all), file('f', '', all), symlink('l', 't', all)])
    const kept = '6755 3000000000:2500000 -2.500000000 security.capability=0100000200200000'
    expect(linesOf(root, { attributes: true })).toEqual([`/ ${kept}`, `f "" ${kept}`, `l -> t ${kept}`])
    expect(warnings).toEqual([])
  })

  test("overlayfs's own xattrs and those that erofs cannot hold are dropped with a warning", () => {
    const named = (name: string) => ({ name, value: Buffer.from('y') })
    const xattrs = [
      'trusted.overlay.opaque',
      'user.overlay.redirect',
      'system.nfs4_acl',
      'user.ok',
      'trusted.overlayx',
    ].map(named)
    const { root, warnings } = flatten([dir('d', { xattrs })])
    expect(root.children.get('d')?.xattrs).toEqual([named('user.ok'), named('trusted.overlayx')])
    expect(warnings).toEqual([
      'layer 1: d dropped the xattr "trusted.overlay.opaque": overlayfs would obey it',
      'layer 1: d dropped the xattr "user.overlay.redirect": overlayfs would obey it',
      'layer 1: d dropped the xattr "system.nfs4_acl": erofs has no place for it',
    ])
  })

  test('of xattrs with one name the last counts', () => {
    const xattrs = ['1', '2'].map((text) => ({ name: 'user.a', value: Buffer.from(text) }))
    expect(flatten([file('f', '', { xattrs })]).root.children.get('f')?.xattrs).toEqual([xattrs[1]])
  })

  test('a character device 0:0 is kept with a warning', () => {
    const { root, warnings } = flatten([device('gone', 'char', [0, 0])])
    expect(linesOf(root)).toEqual(['gone char 0:0'])
    expect(warnings).toEqual([expect.stringMatching(/^layer 1: gone is a character device 0:0/)])
  })

  test('warnings come to an end', () => {
    const xattrs = [{ name: 'trusted.overlay.x', value: Buffer.alloc(1) }]
    const { warnings } = flatten(Array.from({ length: 150 }, (_, number) => file(`f${number}`, '', { xattrs })))
    expect(warnings.length).toBe(101)
    expect(warnings.at(-1)).toBe('and 50 more warnings')
  })

  refuses(
    'a hard link before its target',
    [[hardlink('b', 'a'), file('a')]],
    /^layer 1: b: is a hard link to "a", which is not there/,
  )
  refuses('a hard link to nothing', [[hardlink('b', 'x/y')]], /^layer 1: b: is a hard link to "x\/y"/)
  refuses(
    'a hard link to a directory',
    [[dir('d'), hardlink('b', 'd')]],
    /^layer 1: b: is a hard link to the directory "d"/,
  )
  refuses('a hard link to the root', [[hardlink('b', '/')]], /root directory/)
  refuses('a hard link that climbs', [[file('a'), hardlink('b', 'x/../a')]], /"\.\."/)
  refuses('a path that climbs', [[file('../evil')]], /^layer 1: \.\.\/evil: a path goes up/)
  refuses('a path that climbs in the middle', [[file('a/../../evil')]], /"\.\."/)
  refuses('a root that is a symlink', [[symlink('./', '/etc')]], /the root of an image can only be a directory/)
  refuses('a root that is a file', [[file('.')]], /the root of an image can only be a directory/)
  refuses('a whiteout of nothing', [[file('d/.wh.')]], /^layer 1: d\/\.wh\.: .*whiteout of nothing/)
  refuses('a whiteout of .', [[file('.wh..')]], /whiteout of nothing/)
  refuses('a whiteout of ..', [[file('.wh...')]], /whiteout of nothing/)
  refuses('a file below a file', [[file('f'), file('f/g')]], /^layer 1: f\/g: something above it is not a directory/)
  refuses('symlinks in a circle', [[symlink('a', 'b'), symlink('b', 'a'), file('a/f')]], /more than 40 symlinks/)
  refuses('a name of 256 bytes', [[file('n'.repeat(256))]], /a name of 256 bytes is longer than 255/)
  refuses('a name of 256 bytes behind a symlink', [[symlink('l', 'n'.repeat(256)), file('l/f')]], /a name of 256 bytes/)
  refuses('a path of 4097 bytes', [[file(`${'d/'.repeat(2048)}f`)]], /a path of 4097 bytes/)
  refuses(
    'directories too deep',
    [[file(`${'d/'.repeat(1025)}f`)]],
    /more than 1024 directories deep/,
    'LIMIT_EXCEEDED',
  )
  refuses('a NUL in a path', [[file('a\0b')]], /NUL/)
  refuses('a NUL in a symlink target', [[symlink('l', 'a\0b')]], /NUL/)
  refuses('a symlink without a target', [[symlink('l', '')]], /without a target/)
  refuses('a symlink target of 4096 bytes', [[symlink('l', 'x'.repeat(4096))]], /too long/)
  refuses('an owner beyond 32 bits', [[file('f', '', { uid: 2 ** 32 })]], /owner 4294967296:0 is out of range/)
  refuses('a device number beyond what Linux has', [[device('d', 'block', [4096, 0])]], /device 4096:0 is out of range/)
  refuses(
    'an xattr value that no inode can hold',
    [[file('f', '', { xattrs: [{ name: 'user.a', value: Buffer.alloc(65536) }] })]],
    /xattr value/,
  )
  refuses(
    'an xattr name that no inode can hold',
    [[file('f', '', { xattrs: [{ name: `user.${'a'.repeat(251)}`, value: Buffer.alloc(1) }] })]],
    /xattr name/,
  )
})

describe('layers upon layers', () => {
  const base: Layer = [
    dir('d'),
    file('d/a', '1'),
    file('d/b', '2'),
    file('f', 'old'),
    symlink('lnk', 'd'),
    dir('e'),
    file('e/x'),
  ]
  const kept = ['d/', 'd/a "1"', 'd/b "2"', 'e/', 'e/x ""', 'f "old"', 'lnk -> d']
  const without = (...paths: string[]) =>
    kept.filter(
      (line) => !paths.some((path) => line === path || line.startsWith(`${path} `) || line.startsWith(`${path}/`)),
    )

  gives('an empty layer changes nothing', [base, []], kept)
  gives(
    'a file of an upper layer takes the place of a lower one',
    [base, [file('f', 'new')]],
    [...without('f', 'lnk'), 'f "new"', 'lnk -> d'],
  )
  gives('a whiteout takes a file away', [base, [whiteout('', 'f')]], without('f'))
  gives('a whiteout takes a directory away', [base, [whiteout('', 'd')]], without('d'))
  gives(
    'a whiteout of what is not there changes nothing',
    [base, [whiteout('', 'x'), whiteout('x/y/', 'z'), whiteout('f/', 'z')]],
    kept,
  )
  gives(
    'whiteouts leave the layers above alone',
    [base, [whiteout('', 'f')], [file('f', 'again')]],
    [...without('f', 'lnk'), 'f "again"', 'lnk -> d'],
  )
  gives(
    'a whiteout, then its file, in one layer',
    [base, [whiteout('', 'f'), file('f', 'new')]],
    [...without('f', 'lnk'), 'f "new"', 'lnk -> d'],
  )
  gives(
    'a file, then its whiteout, in one layer',
    [base, [file('f', 'new'), whiteout('', 'f')]],
    [...without('f', 'lnk'), 'f "new"', 'lnk -> d'],
  )
  for (const [when, order] of [
    ['before', (marker: LayerEntry, sibling: LayerEntry) => [marker, sibling]],
    ['after', (marker: LayerEntry, sibling: LayerEntry) => [sibling, marker]],
  ] as const) {
    gives(
      `an opaque marker ${when} a new sibling`,
      [base, order(opaque('d/'), file('d/new', 'n'))],
      ['d/', 'd/new "n"', ...without('d')],
    )
    gives(
      `a whiteout ${when} what its directory gets anew`,
      [base, [...order(whiteout('', 'd'), dir('d')), file('d/new', 'n')]],
      ['d/', 'd/new "n"', ...without('d')],
    )
  }
  gives(
    'a directory deleted and filled in one layer has no old child',
    [base, [whiteout('', 'd'), dir('d'), whiteout('d/', 'a'), file('d/c', '3')]],
    ['d/', 'd/c "3"', ...without('d')],
  )
  gives(
    'a directory deleted after a whiteout in it is gone',
    [base, [whiteout('d/', 'a'), whiteout('', 'd')]],
    without('d'),
  )
  gives(
    'a directory deleted after an opaque marker in it is gone',
    [base, [opaque('d/'), whiteout('', 'd')]],
    without('d'),
  )
  gives('an opaque marker at the root', [base, [opaque(''), file('only')]], ['only ""'])
  gives(
    'an opaque marker in a directory leaves its attributes',
    [[dir('d', { mode: 0o700 }), file('d/a')], [opaque('d/')]],
    ['d/'],
  )
  gives(
    'an opaque marker below a whiteout',
    [base, [whiteout('', 'd'), opaque('d/'), file('d/n')]],
    ['d/', 'd/n ""', ...without('d')],
  )
  gives('a directory becomes a file', [base, [file('d', 'x')]], ['d "x"', ...without('d')])
  gives('a file becomes a directory', [base, [dir('f')]], [...without('f', 'lnk'), 'f/', 'lnk -> d'])
  gives(
    'a symlink becomes a directory of its own',
    [base, [dir('lnk'), file('lnk/g')]],
    [...without('lnk'), 'lnk/', 'lnk/g ""'],
  )
  gives('a directory becomes a symlink', [base, [symlink('d', 'e')]], ['d -> e', ...without('d')])
  gives(
    'a directory comes back after a file took its place, without its old content',
    [base, [file('d')], [dir('d')]],
    ['d/', ...without('d')],
  )
  gives(
    'a directory comes back within the layer, without its old content',
    [base, [file('d'), dir('d'), file('d/n')]],
    ['d/', 'd/n ""', ...without('d')],
  )
  gives(
    'an entry below a symlink to a directory goes where it leads',
    [base, [file('lnk/g', 'x')]],
    [...kept.slice(0, 3), 'd/g "x"', ...kept.slice(3)],
  )
  gives('a whiteout below a symlink takes away where it leads', [base, [whiteout('lnk/', 'a')]], without('d/a'))
  gives(
    'an opaque directory in place of a symlink leaves alone what the symlink led to',
    [base, [dir('lnk'), opaque('lnk/'), file('lnk/g')]],
    [...without('lnk'), 'lnk/', 'lnk/g ""'],
  )
  gives(
    'a deleted symlink leads nowhere any more',
    [base, [whiteout('', 'lnk'), file('lnk/g')]],
    [...without('lnk'), 'lnk/', 'lnk/g ""'],
  )
  gives(
    'below a deleted directory no old symlink leads anywhere',
    [
      [dir('e'), symlink('d/s', '/e')],
      [whiteout('d/', 'x'), whiteout('', 'd'), file('d/s/f')],
    ],
    ['d/', 'd/s/', 'd/s/f ""', 'e/'],
  )
  gives(
    'a hard link to a file of a lower layer',
    [base, [hardlink('b', 'f')]],
    ['b "old"', ...without('f', 'lnk'), 'f = b', 'lnk -> d'],
  )
  gives(
    'its target is overwritten later',
    [base, [hardlink('b', 'f')], [file('f', 'new')]],
    ['b "old"', ...without('f', 'lnk'), 'f "new"', 'lnk -> d'],
  )
  gives('its target is deleted later', [base, [hardlink('b', 'f')], [whiteout('', 'f')]], ['b "old"', ...without('f')])
  gives(
    'its target is deleted in its own layer, after it',
    [base, [hardlink('b', 'f'), whiteout('', 'f')]],
    ['b "old"', ...without('f')],
  )
  gives(
    'a hard link to what is deep in a lower layer',
    [base, [hardlink('b', 'd/a')], [whiteout('', 'd')]],
    ['b "1"', ...without('d')],
  )

  test('a hard link to what the same layer deleted before it keeps the content, with a warning', () => {
    for (const gone of [[whiteout('', 'd')], [opaque('d/')], [whiteout('d/', 'a')], [opaque('')]]) {
      const { root, warnings } = flatten(base, [...gone, hardlink('new/b', 'd/a')])
      expect(linesOf(root)).toContain('new/b "1"')
      expect(linesOf(root)).not.toContain('d/a = new/b')
      expect(warnings).toEqual([
        expect.stringMatching(/^layer 2: new\/b is a hard link to a file that the same layer deletes/),
      ])
    }
  })

  test('a directory listed again has its new attributes and its old content', () => {
    const xattrs = [{ name: 'user.a', value: Buffer.from('1') }]
    const { root } = flatten(
      [dir('.', { mode: 0o700 }), dir('d', { mode: 0o700, xattrs }), file('d/f')],
      [dir('./', { mode: 0o711, uid: 7 }), dir('d', { mode: 0o1777, gid: 9, mtimeSeconds: 5 })],
    )
    expect(linesOf(root, { attributes: true })).toEqual([
      '/ 711 7:0 1000.000000000',
      'd/ 1777 0:9 5.000000000',
      'd/f "" 644 0:0 1000.000000000',
    ])
  })

  test('a directory that is only passed through keeps its attributes', () => {
    const { root } = flatten([dir('d', { mode: 0o700, uid: 5 })], [file('d/f'), whiteout('d/', 'x')])
    expect(linesOf(root, { attributes: true })).toContain('d/ 700 5:0 1000.000000000')
  })

  test('a deleted directory that only gets a child again has the attributes of a missing one', () => {
    for (const order of [
      [whiteout('', 'd'), file('d/f')],
      [file('d/f'), whiteout('', 'd')],
    ]) {
      const { root } = flatten([dir('d', { mode: 0o700, uid: 5 }), file('d/old')], order)
      expect(linesOf(root, { attributes: true }).slice(1)).toEqual([
        'd/ 755 0:0 0.000000000',
        'd/f "" 644 0:0 1000.000000000',
      ])
    }
  })

  test('only data blobs that the tree still refers to are used', () => {
    const onBlocks = (path: string): LayerEntry => ({
      ...file(path),
      type: 'file',
      size: 5000,
      content: { kind: 'blocks', startBlock: 3, sha256: Buffer.alloc(32) },
    })
    const { root, usedBlobs } = flatten([onBlocks('a')], [onBlocks('b')], [whiteout('', 'a')])
    expect(linesOf(root)).toEqual(['b blob 1 block 3 size 5000'])
    expect(usedBlobs).toEqual(new Set([1]))
  })

  refuses('a fault is named with its layer', [base, [], [file('../x')]], /^layer 3: \.\.\/x/)
  refuses(
    'a hard link to a file that an earlier layer deleted',
    [base, [whiteout('', 'f')], [hardlink('b', 'f')]],
    /^layer 3: b: is a hard link to "f"/,
  )
})

describe('layers made to cost', () => {
  test('many entries through many symlinks are refused before they take long', () => {
    const target = 'd/../'.repeat(800)
    const links = Array.from({ length: 39 }, (_, number) => symlink(`l${number}`, `${target}l${number + 1}`))
    function* entries() {
      yield dir('d')
      yield* links
      yield dir('l39')
      for (let number = 0; number < 1_000; number++) yield file(`l0/f${number}`)
    }
    expect(() => flatten([...entries()])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  })
})
