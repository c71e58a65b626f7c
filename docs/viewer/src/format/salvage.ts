/**
 * The intact packets of the file that any bytes hold: damaged, cut, shuffled, amid other bytes.
 *
 * FORMAT.md section 4A. What was found, and the answer to bytes in which nothing is.
 */

import { parse, payloadsOf } from "./container";
import { ChecksumError, FormatError, NotVqcError } from "./errors";
import type { Find, Span } from "./finds";
import { MAGIC, PACKET_HEAD_BYTES, PREFIX_BYTES } from "./layout";
import { checksumOf, storedChecksum } from "./packets";
import type { Header, Packet } from "./packets";
import { Search } from "./search";
import { ascending } from "./settling";

/** What was found of a file. */
export interface Salvage {
  readonly header: Header;
  /** Intact packets in the order of the data, one per index, parity packets included. */
  readonly packets: readonly Packet[];
  /** What stands where the prefix, exact or nearly, is followed by no intact packet. */
  readonly damaged: readonly Packet[];
  /**
   * Packets whose end no prefix marks, but a checksum that came out right among many lengths tried.
   */
  readonly uncertain: ReadonlySet<number>;
  /** Further intact packets of indices that are there. */
  readonly nDuplicates: number;
  /** Bytes that belong to no packet, intact or damaged, and to no magic. */
  readonly nForeignBytes: number;
}

/**
 * Find the intact packets of the file that `data` holds; of several files, that whose intact
 * packets carry the most positions of its index map.
 *
 * @throws ChecksumError there are packets, but no intact one
 * @throws NotVqcError there is nothing like a packet
 * @throws FormatError as `parse` has it where that says more
 */
export function salvage(data: Uint8Array): Salvage {
  const search = new Search(data);
  const best = search.best();
  if (!best) {
    throw refusal(data, search.nLeads);
  }
  const damaged = cutDamaged(data, best, search.magics);
  const covered: Span[] = [...best.spans];
  for (const { offset, payload } of damaged) {
    covered.push([offset, offset + PACKET_HEAD_BYTES + payload.length]);
  }
  const starts = new Set(covered.map(([start]) => start));
  for (const magic of search.magics) {
    if (starts.has(magic + MAGIC.length)) {
      covered.push([magic, magic + MAGIC.length]);
    }
  }
  return {
    header: best.header,
    packets: [...best.packets.values()].sort((one, other) => one.offset - other.offset),
    damaged,
    uncertain: best.uncertain,
    nDuplicates: best.spans.length - best.packets.size,
    nForeignBytes: data.length - union(covered),
  };
}

/** Count the bytes that lie in any of the spans. */
function union(spans: readonly Span[]): number {
  let total = 0;
  let until = 0;
  for (const [start, end] of [...spans].sort(([a, b], [c, d]) => a - c || b - d)) {
    total += Math.max(end - Math.max(start, until), 0);
    until = Math.max(until, end);
  }
  return total;
}

/** Cut out what stands at the places without an intact packet, as far as each may reach. */
function cutDamaged(data: Uint8Array, find: Find, magics: readonly number[]): Packet[] {
  const starts = find.spans.map(([start]) => start);
  const borders = ascending([...starts, ...find.damaged, ...magics, data.length]);
  const following = new Map(borders.map((border, i) => [border, borders[i + 1]]));
  const packets: Packet[] = [];
  for (const start of find.damaged) {
    const body = start + PACKET_HEAD_BYTES;
    const index = data[start + PREFIX_BYTES];
    const end = Math.min(following.get(start)!, body + (find.sizes(index)?.[1] ?? 0));
    if (end >= body) {
      const payload = data.subarray(body, end);
      const checksum = checksumOf(data.subarray(start, start + PREFIX_BYTES), index, payload);
      const stored = storedChecksum(data, body);
      packets.push({ index, offset: start, payload, storedChecksum: stored, checksum });
    }
  }
  return packets;
}

/** Say why there is nothing. */
function refusal(data: Uint8Array, nLeads: number): FormatError {
  try {
    payloadsOf(parse(data));
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    const isAboutPackets = ["packets", "index"].includes(String(error.details.field));
    const isTelling = error instanceof NotVqcError ? !nLeads : !isAboutPackets;
    if (error instanceof ChecksumError || isTelling) {
      return error;
    }
  }
  return new ChecksumError("the file holds packets, but none is intact; get it again");
}
