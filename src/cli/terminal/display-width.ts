/** East Asian wide and fullwidth characters and emoji, in coarse ranges (Unicode Standard Annex 11). */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
const combining = /^(?:\p{Mn}|\p{Me}|[\u200b-\u200d])$/u

/** How many columns of a terminal a text takes. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text) width += combining.test(character) ? 0 : wide.test(character) ? 2 : 1
  return width
}

/** A text that takes at most so many columns: what is left out of its middle shows as an ellipsis. Of paths the ends tell more than the middle does. */
export function shorten(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  const end = Math.ceil((columns - 1) / 2)
  const reversed = [...text].reverse().join('')
  const tail = [...truncate(reversed, end + 1).slice(0, -1)].reverse().join('')
  return `${truncate(text, columns - displayWidth(tail))}${tail}`
}

/** The longest beginning of a text that takes at most so many columns; what was cut off shows as an ellipsis. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let kept = ''
  let width = 1
  for (const character of text) {
    width += displayWidth(character)
    if (width > columns) break
    kept += character
  }
  return columns < 1 ? '' : `${kept}…`
}
