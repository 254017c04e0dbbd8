/** What to type about a damaged blob: those that bring it replace what is damaged. */
export function bringAgain(images: readonly string[]): string {
  return `bring the image again: cowshed image pull ${images[0] ?? 'REF'}, or cowshed image load FILE`
}

/** What to type about a document that says what no image can say. */
export function removeIt(images: readonly string[]): string {
  return `nothing mends it: cowshed image rm ${images.join(' ')}`
}

export function repairIt(images: readonly string[]): string {
  return `cowshed image verify --repair ${images.join(' ')}`
}

export function stopFirst(images: readonly string[]): string {
  return `stop the sheds that run from it (cowshed ls), then cowshed image verify --repair ${images.join(' ')}`
}
