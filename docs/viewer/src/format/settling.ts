/**
 * Packets that begin at given places, settled by their checksums: where does each end?
 *
 * FORMAT.md section 4A. Work is counted in nanoseconds or so, and bounded by the size of the data;
 * what is not found by then is lost.
 */

import { crc32 } from "./checksums";
import type { Find, Sizes, Span } from "./finds";
import { PACKET_HEAD_BYTES, PREFIX_BYTES } from "./layout";
import { storedChecksum } from "./packets";

const WORK_PER_BYTE = 128;
const WORK_AT_LEAST = 2 ** 26;
const STEP_WORK = 128; // per byte of a checksum that is compared after each
const END_WORK = 512; // per end of a packet that is tried
const MOST_ENDS = 16; // of a packet, from the next border on

export const ascending = (numbers: Iterable<number>): number[] =>
  [...new Set(numbers)].sort((one, other) => one - other);

/** First place in an ascending list whose number is not below a value. */
function lowerBound(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Put a span into an ascending list. */
function insert(spans: Span[], span: Span): void {
  let at = spans.length;
  while (at > 0 && spans[at - 1][0] > span[0]) {
    at--;
  }
  spans.splice(at, 0, span);
}

/** Settles packets in some bytes, at a bounded expense. */
export class Settling {
  /** Where intact packets begin, under any prefix. */
  readonly starts = new Set<number>();
  mostWork: number;
  work = 0;

  /**
   * @param data any bytes
   * @param magics offsets of the magic in them
   */
  constructor(
    private readonly data: Uint8Array,
    private readonly magics: readonly number[],
  ) {
    this.mostWork = WORK_AT_LEAST + WORK_PER_BYTE * data.length;
  }

  /** Count work that is about to be done; false if it is too much. */
  spend(work: number): boolean {
    if (this.work + work > this.mostWork) {
      return false;
    }
    this.work += work;
    return true;
  }

  /** Settle packets that end where the format or a known border says. */
  collect(find: Find, starts: readonly number[]): Find {
    const { data } = this;
    const borders = ascending([...starts, ...this.magics, data.length]);
    let until = 0;
    let damagedUntil = 0;
    for (const start of starts) {
      if (start < until || start + PACKET_HEAD_BYTES > data.length) {
        continue;
      }
      const end = this.settle(find, start, borders);
      if (end !== undefined) {
        this.take(find, start, end);
        until = end;
      } else if (start >= damagedUntil) {
        find.damaged.push(start);
        damagedUntil = start + PACKET_HEAD_BYTES;
      }
    }
    return find;
  }

  /** Find the end, of those in question, at which the checksum is right. */
  private settle(find: Find, start: number, borders: readonly number[]): number | undefined {
    const { data } = this;
    const body = start + PACKET_HEAD_BYTES;
    const index = data[start + PREFIX_BYTES];
    const sizes = this.sizes(find, index);
    if (!sizes || body + sizes[0] > data.length) {
      return undefined;
    }
    const [least, most] = sizes;
    const from = lowerBound(borders, body + least);
    const to = Math.min(lowerBound(borders, body + most + 1), from + MOST_ENDS);
    const ends = least === most ? [body + least] : borders.slice(from, to);
    const stored = storedChecksum(data, body);
    let checksum = this.begin(find, start);
    let at = body;
    for (const end of ends) {
      if (!this.spend(END_WORK + end - at)) {
        return undefined;
      }
      checksum = crc32(data.subarray(at, end), checksum);
      at = end;
      if ((checksum & 0xffffff) === stored && find.mayBe(index, data.subarray(body, end))) {
        return this.spend(find.counting(index)) ? end : undefined;
      }
    }
    return undefined;
  }

  /** Settle packets whose end nothing marks, where the format leaves it open. */
  tryLengths(find: Find): void {
    const { coding, nPackets } = find.header;
    if (coding === "fixed") {
      return;
    }
    const { data } = this;
    const parity = [...find.packets].filter(([index]) => index >= nPackets);
    const sizes = new Set(parity.map(([, packet]) => packet.payload.length));
    const starts = find.spans.map(([start]) => start);
    const borders = ascending([...find.damaged, ...starts, data.length]);
    for (const start of [...find.damaged]) {
      const index = data[start + PREFIX_BYTES];
      if (find.packets.has(index)) {
        continue;
      }
      const body = start + PACKET_HEAD_BYTES;
      let end: number | undefined;
      if (index >= nPackets) {
        // As long as the others; trying could never be confirmed.
        const ends = ascending([...sizes].map((size) => body + size));
        const inside = ends.filter((each) => each <= data.length);
        end = inside.length ? this.settle(find, start, inside) : undefined;
      } else {
        end = this.endByTrying(find, start, borders[lowerBound(borders, start + 1)]);
        if (end !== undefined) {
          find.uncertain.add(index);
        }
      }
      if (end !== undefined) {
        this.take(find, start, end);
        find.damaged.splice(find.damaged.indexOf(start), 1);
      }
    }
  }

  /** Find the first end up to `limit` at which the checksum is right. */
  private endByTrying(find: Find, start: number, limit: number): number | undefined {
    const { data } = this;
    const body = start + PACKET_HEAD_BYTES;
    const index = data[start + PREFIX_BYTES];
    const sizes = this.sizes(find, index);
    if (!sizes) {
      return undefined;
    }
    const last = Math.min(limit, body + sizes[1]);
    if (!this.spend(STEP_WORK * Math.max(last - body, 0) + find.counting(index))) {
      return undefined;
    }
    const stored = storedChecksum(data, body);
    let checksum = this.begin(find, start);
    for (let at = body; at < last; at++) {
      checksum = crc32(data.subarray(at, at + 1), checksum);
      if ((checksum & 0xffffff) === stored && data[at]) {
        return at + 1;
      }
    }
    return undefined;
  }

  /** The checksum of what is before the payload, with the prefix as it should be. */
  private begin(find: Find, start: number): number {
    const index = this.data.subarray(start + PREFIX_BYTES, start + PREFIX_BYTES + 1);
    return crc32(index, crc32(find.prefix));
  }

  /** As `Find.sizes`, at the price of counting positions; none when that is too much. */
  private sizes(find: Find, index: number): Sizes {
    return this.spend(find.sizing(index)) ? find.sizes(index) : undefined;
  }

  /** Keep an intact packet. */
  private take(find: Find, start: number, end: number): void {
    const { data } = this;
    const body = start + PACKET_HEAD_BYTES;
    const index = data[start + PREFIX_BYTES];
    const stored = storedChecksum(data, body);
    if (!find.packets.has(index)) {
      const payload = data.subarray(body, end);
      const checks = { storedChecksum: stored, checksum: stored };
      find.packets.set(index, { index, offset: start, payload, ...checks });
    }
    insert(find.spans, [start, end]);
    this.starts.add(start);
  }
}
