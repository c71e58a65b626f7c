/** Latents of the tiles to those of the whole map. */

import type { Window } from "./tiles";

/**
 * Put a tile's latents where they belong; what is no number counts as 0.
 *
 * @param map (h, w, D), gets them
 * @param w columns of the map
 * @param core of the tile
 * @param latents (D, n) by planes, of the core
 */
export function place(map: Float32Array, w: number, core: Window, latents: Float32Array): void {
  const columns = core.right - core.left;
  const n = columns * (core.bottom - core.top);
  const dim = latents.length / n;
  for (let at = 0; at < n; at++) {
    const position = (core.top + Math.floor(at / columns)) * w + core.left + (at % columns);
    for (let d = 0; d < dim; d++) {
      const value = latents[d * n + at];
      map[position * dim + d] = Number.isFinite(value) ? value : 0;
    }
  }
}
