/** From an index map, with gaps or without, to latents for the decoder: `vqcodec/painting.py`. */

import { copyNeighbours } from "../format";
import type { Received, TierTables } from "../format";
import type { Report } from "./model";
import type { Latents, Nets } from "./nets";

/** What stands in for lost indices, and who said so. */
export interface Filled {
  readonly by: "transformer" | "neighbour";
  readonly latents: Latents;
}

/** Latents of an index map without gaps. */
export function fromWords(indices: Int32Array, w: number, tables: TierTables): Latents {
  const { codewords, codewordSize: dim } = tables;
  return (frame) => {
    const plane = (frame.bottom - frame.top) * (frame.right - frame.left);
    const out = new Float32Array(dim * plane);
    for (let y = frame.top, to = 0; y < frame.bottom; y++) {
      for (let x = frame.left; x < frame.right; x++, to++) {
        const from = indices[y * w + x] * dim;
        for (let d = 0; d < dim; d++) out[d * plane + to] = codewords[from + d];
      }
    }
    return out;
  };
}

/** Fill the gaps of what was received: by the model's network, or by the nearest received index. */
export async function restore(
  received: Received,
  tables: TierTables,
  nets: Nets,
  report: Report,
): Promise<Filled> {
  const { indices, h, w } = received;
  if (!nets.model.has("restorer.onnx")) {
    return { by: "neighbour", latents: fromWords(copyNeighbours(indices, h, w), w, tables) };
  }
  const restored = await nets.restore(indices, h, w, tables, report);
  const kept = fromWords(
    indices.map((index) => Math.max(index, 0)),
    w,
    tables,
  );
  return {
    by: "transformer",
    latents: (frame) => {
      const out = kept(frame);
      const columns = frame.right - frame.left;
      const plane = (frame.bottom - frame.top) * columns;
      for (let y = frame.top, to = 0; y < frame.bottom; y++) {
        for (let x = frame.left; x < frame.right; x++, to++) {
          if (indices[y * w + x] >= 0) continue;
          for (let d = 0; d < tables.codewordSize; d++) {
            out[d * plane + to] = restored[(y * w + x) * tables.codewordSize + d];
          }
        }
      }
      return out;
    },
  };
}
