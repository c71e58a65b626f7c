/**
 * The whole file: the magic, then packets that all begin with the same eight bytes.
 *
 * FORMAT.md sections 4 and 5A. `parse` splits any bytes into packets and says which are intact;
 * `payloadsOf` insists that the file is whole, parity packets included.
 */

import { concat, equal, find, longest, startsWith } from "./bytes";
import { ChecksumError, FormatError, NotVqcError, TruncatedError } from "./errors";
import { MAGIC, MAX_CODEWORD, PACKET_HEAD_BYTES, PREFIX_BYTES } from "./layout";
import { isIntact, parsePacket, parsePrefix, writePacket } from "./packets";
import type { Header, Packet } from "./packets";

/** A parsed file: its header and its packets in file order, intact or not. */
export interface Container {
  readonly header: Header;
  readonly packets: readonly Packet[];
}

const hex = (value: number): string => value.toString(16).padStart(6, "0");

/** Parity packets that the file was written with, as the first intact one says; or 0. */
export function numParity({ header, packets }: Container): number {
  const { nPackets } = header;
  for (const packet of packets) {
    if (isIntact(packet) && packet.index >= nPackets && nPackets > 1 && packet.payload.length) {
      const nParity = packet.payload[0];
      if (packet.index < nPackets + nParity && nPackets + nParity <= MAX_CODEWORD) {
        return nParity;
      }
    }
  }
  return 0;
}

/**
 * The data packets' payloads by packet index, if every packet is there and intact.
 *
 * @throws ChecksumError a packet's bytes were changed
 * @throws TruncatedError a packet is missing
 * @throws FormatError a packet's index is too large, or stands twice, or parity packets disagree on
 *   their number or are not as long as the longest data packet asks
 */
export function payloadsOf(container: Container): Uint8Array[] {
  const { nPackets } = container.header;
  const nParity = numParity(container);
  const nAll = nPackets + nParity;
  const told = nParity ? `${nPackets}+${nParity}` : `${nPackets}`;
  const found = new Map<number, Packet>();
  container.packets.forEach((packet, number) => {
    const { index, offset, checksum, storedChecksum } = packet;
    const place = `packet ${number} at byte ${offset}`;
    if (!isIntact(packet)) {
      throw new ChecksumError(
        `${place}: checksum ${hex(checksum)}, stored ${hex(storedChecksum)}; ` +
          "the file is damaged, get it again",
        { offset, expected: storedChecksum, found: checksum },
      );
    }
    if (index >= nAll || found.has(index)) {
      throw new FormatError(
        `${place}: index ${index} is ${found.has(index) ? "there twice" : "too large"} ` +
          `in a file of ${told} packets; get the file again`,
        { offset, field: "index", found: index },
      );
    }
    found.set(index, packet);
  });
  if (found.size < nAll) {
    const missing = Array.from({ length: nAll }, (_, index) => index).filter((i) => !found.has(i));
    const named = missing.slice(0, 8).join(", ") + (missing.length > 8 ? ", ..." : "");
    throw new TruncatedError(
      `${missing.length} of ${told} packets missing (${named}); get the file again`,
      { field: "packets" },
    );
  }
  const payloads = Array.from({ length: nPackets }, (_, i) => found.get(i)!.payload);
  const size = 1 + longest(payloads);
  for (let index = nPackets; index < nAll; index++) {
    const { payload, offset } = found.get(index)!;
    if (payload.length !== size || payload[0] !== nParity) {
      throw new FormatError(
        `packet ${index} at byte ${offset}: not parity of these ${nPackets} packets; ` +
          "get the file again",
        { offset, field: "parity" },
      );
    }
  }
  return payloads;
}

/**
 * Write a file.
 *
 * @param header of all packets
 * @param payloads one per data packet, by packet index
 * @param parity payloads of the parity packets, as `protect` makes them of these `payloads`
 * @returns the whole file, which `parse` reads back to exactly these payloads
 * @throws RangeError not `nPackets` payloads, or parity that is not theirs, or a payload that
 *   happens to hold the file's own prefix; another coding mode or packet count helps
 */
export function write(
  header: Header,
  payloads: readonly Uint8Array[],
  parity: readonly Uint8Array[] = [],
): Uint8Array {
  const { nPackets } = header;
  if (payloads.length !== nPackets) {
    throw new RangeError(`${payloads.length} payloads for ${nPackets} packets`);
  }
  const size = 1 + longest(payloads);
  if (parity.some((row) => row.length !== size || row[0] !== parity.length)) {
    throw new RangeError(`${parity.length} parity payloads that were not made of these payloads`);
  }
  const every = [...payloads, ...parity];
  if (parity.length && (nPackets === 1 || every.length > MAX_CODEWORD)) {
    throw new RangeError(`${nPackets}+${parity.length} packets: see FORMAT.md section 5A`);
  }
  const data = concat([MAGIC, ...every.map((payload, i) => writePacket(header, i, payload))]);
  if (!isFoundAgain(data, every)) {
    throw new RangeError(
      "a payload holds the prefix of its own file; choose another coding or packet count",
    );
  }
  return data;
}

function isFoundAgain(data: Uint8Array, every: readonly Uint8Array[]): boolean {
  try {
    const found = parse(data);
    payloadsOf(found);
    const { packets } = found;
    return packets.length === every.length && packets.every((p, i) => equal(p.payload, every[i]));
  } catch (error) {
    if (error instanceof FormatError) {
      return false;
    }
    throw error;
  }
}

/**
 * Split a file into packets. Checksums are computed, not insisted on.
 *
 * @throws NotVqcError the magic is missing
 * @throws TruncatedError the file ends inside the magic or a packet's head
 * @throws VersionError another format version
 * @throws FormatError a reserved value in the header, or more packets than such a file can have
 */
export function parse(data: Uint8Array): Container {
  if (!startsWith(data, MAGIC)) {
    if (data.length && startsWith(MAGIC, data)) {
      throw new TruncatedError(
        `the file ends at byte ${data.length}, inside its magic; get it again`,
        { offset: data.length },
      );
    }
    throw new NotVqcError("not a .vqc file: it does not begin with the bytes d6 56 51 43", {
      offset: 0,
    });
  }
  let start = MAGIC.length;
  const prefix = data.subarray(start, start + PREFIX_BYTES);
  const header = parsePrefix(prefix, start);
  const packets: Packet[] = [];
  const most = Math.max(header.nPackets, MAX_CODEWORD);
  while (start < data.length) {
    if (packets.length === most) {
      throw new FormatError(
        `byte ${start}: another packet after the ${most} that a file can have; ` +
          "get the file again",
        { offset: start, field: "packets" },
      );
    }
    const next = header.nPackets > 1 ? find(data, prefix, start + PACKET_HEAD_BYTES) : -1;
    const end = next < 0 ? data.length : next;
    packets.push(parsePacket(data.subarray(start, end), start));
    start = end;
  }
  return { header, packets };
}
