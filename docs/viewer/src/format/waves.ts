/**
 * The order in which coding mode 2 visits an index map, and what it sees there of neighbours.
 *
 * FORMAT.md section 7A.1. Position (r, c) belongs to wave c + 2 r: all that a wave depends on lies
 * in earlier ones. Packets stay independent of one another, since an index of another packet is
 * never seen.
 */

/** A walk over an index map, wave by wave; within a wave by packet, then by row. */
export class Walk {
  /** Flat positions row * width + column in visiting order. */
  readonly positions: Int32Array;
  private readonly canvas: Int32Array;
  /** On the canvas the packet of each position, -1 outside; absent where there is one packet. */
  private readonly owners?: Int16Array;
  private readonly steps: Int32Array;
  private readonly pitch: number;
  private readonly origin: number;

  /**
   * @param packets (h, w) the packet of every position
   * @param offsets dy, dx of the neighbours
   * @param size K; it stands for an index of another packet, K + 1 for what is outside the map
   */
  constructor(
    private readonly packets: Uint8Array,
    private readonly h: number,
    private readonly w: number,
    offsets: readonly (readonly [number, number])[],
    private readonly size: number,
  ) {
    const top = Math.max(0, ...offsets.map(([dy]) => -dy));
    const before = Math.max(0, ...offsets.map(([, dx]) => -dx));
    const behind = Math.max(0, ...offsets.map(([, dx]) => dx));
    // A canvas with a margin, on which every neighbour lies at a fixed distance.
    this.pitch = before + w + behind;
    this.origin = top * this.pitch + before;
    this.canvas = new Int32Array((top + h) * this.pitch).fill(size + 1);
    for (let row = 0; row < h; row++) {
      const at = this.origin + row * this.pitch;
      this.canvas.fill(size, at, at + w);
    }
    this.steps = Int32Array.from(offsets, ([dy, dx]) => dy * this.pitch + dx);
    if (packets.some((packet) => packet > 0)) {
      this.owners = new Int16Array(this.canvas.length).fill(-1);
      for (let row = 0; row < h; row++) {
        const line = packets.subarray(row * w, (row + 1) * w);
        this.owners.set(line, this.origin + row * this.pitch);
      }
    }
    this.positions = this.order();
  }

  private order(): Int32Array {
    const { h, w, packets } = this;
    const positions = new Int32Array(h * w);
    let n = 0;
    for (let wave = 0; wave <= w - 1 + 2 * (h - 1); wave++) {
      const begin = n;
      const last = Math.min(h - 1, wave >> 1);
      for (let row = Math.max(0, Math.ceil((wave - w + 1) / 2)); row <= last; row++) {
        positions[n++] = row * w + wave - 2 * row;
      }
      if (this.owners) {
        const rank = (at: number): number => packets[at] * h * w + at;
        positions.subarray(begin, n).sort((one, other) => rank(one) - rank(other));
      }
    }
    return positions;
  }

  private place(position: number): number {
    const row = Math.floor(position / this.w);
    return this.origin + row * this.pitch + (position - row * this.w);
  }

  /** See the neighbours of a position: M indices, K or K + 1. */
  look(position: number, neighbours: Int32Array): void {
    const { canvas, owners, steps, size } = this;
    const place = this.place(position);
    const packet = this.packets[position];
    for (let m = 0; m < steps.length; m++) {
      const at = place + steps[m];
      const isForeign = owners !== undefined && owners[at] >= 0 && owners[at] !== packet;
      neighbours[m] = isForeign ? size : canvas[at];
    }
  }

  /** Write the index of a position. */
  put(position: number, index: number): void {
    this.canvas[this.place(position)] = index;
  }
}
