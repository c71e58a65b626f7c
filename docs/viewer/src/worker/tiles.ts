/**
 * Tiles with a halo, as `vqcodec/tiles.py` cuts them: memory is bounded by the tile, not the picture.
 *
 * The grid is cut into cores of about equal size; the network sees each core with a halo of
 * positions around it, and only the core is kept. At the picture's edge a tile ends where it ends.
 */

import { LimitError } from "../format";
import type { ModelFacts } from "../protocol";

/** Rows and columns from `top`, `left` up to, without, `bottom`, `right`. */
export interface Window {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

export interface Tile {
  /** The part of the grid that this tile answers for. */
  readonly core: Window;
  /** The core and its halo, clipped to the grid. */
  readonly frame: Window;
  /** The core's place inside the frame. */
  readonly inner: Window;
}

/** Tiles, row after row, whose cores cover every position of an h x w grid once. */
export function cut(h: number, w: number, halo: number, core: number, whole: number): Tile[] {
  const side = h * w <= whole ? Math.max(h, w) : core;
  return spans(h, side).flatMap(([top, bottom]) =>
    spans(w, side).map(([left, right]) => {
      const frame = {
        top: Math.max(0, top - halo),
        bottom: Math.min(h, bottom + halo),
        left: Math.max(0, left - halo),
        right: Math.min(w, right + halo),
      };
      const inner = {
        top: top - frame.top,
        bottom: bottom - frame.top,
        left: left - frame.left,
        right: right - frame.left,
      };
      return { core: { top, bottom, left, right }, frame, inner };
    }),
  );
}

/** Tiles for a model's network; LimitError where it must see whole what is too large for it. */
export function tilesFor(facts: ModelFacts, h: number, w: number, halo: number): Tile[] {
  const { core, name, stride, whole, whole_only: wholeOnly } = facts;
  if (wholeOnly && h * w > whole) {
    throw new LimitError(
      `${w * stride} x ${h * stride} pixels; ${name} sees a picture whole, here of at most ` +
        `${whole * stride * stride} pixels. Use 'vqcodec encode' and 'vqcodec decode'`,
      { expected: whole, found: h * w },
    );
  }
  return cut(h, w, halo, core, whole);
}

/** The fewest spans of at most `core`, as equal as can be. */
function spans(size: number, core: number): [number, number][] {
  const parts = Math.ceil(size / core);
  return Array.from({ length: parts }, (_, n) => [
    Math.floor((size * n) / parts),
    Math.floor((size * (n + 1)) / parts),
  ]);
}
