/**
 * Which packet carries which position of an index map (FORMAT.md section 5).
 *
 * A lattice, so that one lost packet leaves scattered holes whose neighbours were received.
 */

import { blockOf, mapHeight, mapWidth, rowStep } from "./packets";
import type { Header } from "./packets";

/** The packet of every position of the index map, (h, w) values in [0, P). */
export function packetMap(header: Header): Uint8Array {
  const [h, w] = [mapHeight(header), mapWidth(header)];
  const [blockRows, blockColumns] = blockOf(header);
  const step = rowStep(header);
  const { nPackets } = header;
  const packets = new Uint8Array(h * w);
  for (let row = 0, at = 0; row < h; row++) {
    const shift = step * Math.floor(row / blockRows);
    for (let column = 0; column < w; column++, at++) {
      packets[at] = (Math.floor(column / blockColumns) + shift) % nPackets;
    }
  }
  return packets;
}

/**
 * Every packet's positions row * width + column in raster order; together a permutation of all.
 *
 * A packet may have none where the map is small.
 */
export function packetPositions(packets: Uint8Array, nPackets: number): Int32Array[] {
  const counts = new Int32Array(nPackets);
  for (const packet of packets) {
    counts[packet]++;
  }
  const positions = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  for (let at = 0; at < packets.length; at++) {
    const packet = packets[at];
    positions[packet][counts[packet]++] = at;
  }
  return positions;
}
