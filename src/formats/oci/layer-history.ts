import type { Descriptor } from './descriptor.ts'
import type { HistoryEntry, ImageConfig } from './parse-image-config.ts'
import type { Manifest } from './parse-manifest.ts'

/** One step of how an image came to be. */
export interface HistoryStep {
  /** What was written down about it; undefined for a layer that nothing is written about. */
  readonly entry: HistoryEntry | undefined
  /** What it added, and its number from 0 at the bottom; undefined for a step without a layer, and where it cannot be told. */
  readonly layer: { readonly number: number; readonly descriptor: Descriptor } | undefined
}

export interface LayerHistory {
  /** From the first step on, which is the bottom. */
  readonly steps: readonly HistoryStep[]
  /** Why it cannot be told which step made which layer; undefined when it can. */
  readonly complaint?: string
}

/**
 * Which step of a history made which layer: the n-th that is not marked `empty_layer` made the n-th layer. That holds only when there are as
 * many; otherwise the steps come without layers, then the layers without steps, and nothing is guessed.
 *
 * @see image-spec config.md, "history"
 */
export function layerHistory(
  manifest: Pick<Manifest, 'layers'>,
  { history }: Pick<ImageConfig, 'history'>,
): LayerHistory {
  const layers = manifest.layers.map((descriptor, number) => ({ entry: undefined, layer: { number, descriptor } }))
  if (history.length === 0) return { steps: layers }
  const making = history.filter(({ empty_layer }) => empty_layer !== true)
  if (making.length !== layers.length) {
    const steps = [...history.map((entry) => ({ entry, layer: undefined })), ...layers]
    return { steps, complaint: disagreement(making.length, layers.length) }
  }
  const unclaimed = layers.values()
  const steps = history.map((entry) => ({
    entry,
    layer: entry.empty_layer === true ? undefined : unclaimed.next().value?.layer,
  }))
  return { steps }
}

function disagreement(steps: number, layers: number): string {
  return `its history has ${steps} steps that made a layer, and there are ${layers} layers: which made which cannot be told`
}
