/** Filling erased positions of an index map without a network; -1 stands for what is erased. */

const FAR = 2 ** 30;

/**
 * Give each erased position the index of a near received one.
 *
 * The nearest in its row or its column: of equally near ones left, then right, above, below. Where
 * row and column have none, what was filled so far counts as received.
 *
 * @param indices (h, w), at least one of them not -1
 * @returns (h, w) without -1
 */
export function copyNeighbours(indices: Int32Array, h: number, w: number): Int32Array {
  if (indices.length !== h * w || indices.every((index) => index < 0)) {
    throw new RangeError("nothing was received: there is no neighbour to copy");
  }
  let filled = indices.slice();
  while (filled.includes(-1)) {
    const best = filled.slice();
    const distance = new Int32Array(filled.length).map((_, at) => (filled[at] < 0 ? FAR : 0));
    const sweep = (first: number, step: number, count: number): void => {
      let last = -1;
      let far = FAR;
      for (let at = first, turn = 0; turn < count; at += step, turn++) {
        if (filled[at] >= 0) {
          last = filled[at];
          far = 0;
        } else if (last >= 0 && ++far < distance[at]) {
          best[at] = last;
          distance[at] = far;
        }
      }
    };
    for (let row = 0; row < h; row++) {
      sweep(row * w, 1, w);
      sweep(row * w + w - 1, -1, w);
    }
    for (let column = 0; column < w; column++) {
      sweep(column, w, h);
      sweep((h - 1) * w + column, -w, h);
    }
    filled = best;
  }
  return filled;
}
