/**
 * What a search has found under one prefix, and what the prefix says of packets' sizes.
 *
 * FORMAT.md sections 4A, 5 and 5A.
 */

import { payloadBytes } from "./fixedlength";
import { MAX_CODEWORD } from "./layout";
import { blockOf, codebookSize, mapHeight, mapWidth, numIndices, parsePrefix } from "./packets";
import type { Header, Packet } from "./packets";
import { toPrefix } from "./places";

/** Work, as `search` counts it, of counting one packet's positions, per packet of the file. */
const COUNT_WORK = 1024;

/** First byte and end. */
export type Span = readonly [number, number];

/** Bytes that a payload may have, from the least to the most; absent if there is no such packet. */
export type Sizes = Span | undefined;

export class Find {
  readonly prefix: Uint8Array;
  readonly header: Header;
  /** The first intact packet of each index. */
  readonly packets = new Map<number, Packet>();
  /** Of every intact packet, duplicates included, ascending. */
  readonly spans: Span[] = [];
  /** Where the prefix, exact or nearly, is followed by no intact packet. */
  damaged: number[] = [];
  /** Packets whose length was found by trying. */
  readonly uncertain = new Set<number>();
  private readonly isLarge: boolean;
  private readonly counts = new Map<number, number>();

  /**
   * @param key a prefix of which `isHeader` is true
   * @param room bytes of the data; no payload is longer
   */
  constructor(
    readonly key: string,
    private readonly room: number,
  ) {
    this.prefix = toPrefix(key);
    this.header = parsePrefix(this.prefix, 0);
    // The data ends before a payload must: to know that, no positions are counted.
    this.isLarge = this.header.coding !== "fixed" && 3 * leastIndices(this.header) >= room;
  }

  private numIndices(index: number): number {
    let count = this.counts.get(index);
    if (count === undefined) {
      count = numIndices(this.header, index);
      this.counts.set(index, count);
    }
    return count;
  }

  /** Work that counting has yet to do for a packet; none for parity, which has no positions. */
  counting(index: number): number {
    const { nPackets } = this.header;
    return this.counts.has(index) || index >= nPackets ? 0 : COUNT_WORK * nPackets;
  }

  /** Work that `sizes` has yet to do for a packet. */
  sizing(index: number): number {
    const { nPackets } = this.header;
    if (this.isLarge) {
      return 0;
    }
    if (index < nPackets) {
      return this.counting(index);
    }
    return this.all().reduce((sum, each) => sum + this.counting(each), 0);
  }

  private all(): number[] {
    return Array.from({ length: this.header.nPackets }, (_, index) => index);
  }

  /** Positions of the map that are there, then packets, then how early they are. */
  score(): [number, number, number] {
    const data = [...this.packets.keys()].filter((index) => index < this.header.nPackets);
    const nPositions = data.reduce((sum, index) => sum + this.numIndices(index), 0);
    return [nPositions, this.packets.size, -(this.spans[0]?.[0] ?? 0)];
  }

  sizes(index: number): Sizes {
    const isFixed = this.header.coding === "fixed";
    const { nPackets } = this.header;
    const longest = (n: number): number => {
      const size = codebookSize(this.header.tier);
      return isFixed ? payloadBytes(n, size) : n ? 3 * n + 1 : 0;
    };
    if (index < nPackets) {
      const most = this.isLarge ? this.room : longest(this.numIndices(index));
      return [isFixed ? most : 0, most];
    }
    if (nPackets === 1 || index >= MAX_CODEWORD) {
      return undefined;
    }
    if (this.isLarge) {
      return this.room >= 1 ? [1, this.room] : undefined;
    }
    const n = this.all().reduce((largest, each) => Math.max(largest, this.numIndices(each)), 0);
    const most = 1 + longest(n);
    return [isFixed ? most : 1, most];
  }

  /** Whether an encoder can have written a payload of this size, as far as bytes tell. */
  mayBe(index: number, payload: Uint8Array): boolean {
    const { nPackets, coding } = this.header;
    if (index >= nPackets) {
      const nAll = nPackets + payload[0];
      return index < nAll && nAll <= MAX_CODEWORD;
    }
    return coding === "fixed" || !payload.length || payload[payload.length - 1] !== 0;
  }
}

/** Positions that each data packet has at least; counting them takes longer. */
export function leastIndices(header: Header): number {
  const [, columns] = blockOf(header);
  return mapHeight(header) * columns * Math.floor(mapWidth(header) / (columns * header.nPackets));
}

/** Whether one score is more than another. */
export function isMore(one: Find, other: Find): boolean {
  const [a, b] = [one.score(), other.score()];
  const place = a.findIndex((value, i) => value !== b[i]);
  return place >= 0 && a[place] > b[place];
}
